//! Resizing. burn's own interpolation knows one rule for coordinates; here positions and weights come from the standard's rules,
//! on the CPU, and the device gathers and adds.

use super::{Call, Operator, one};
use crate::array::Array;
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Resize", resize).check(check).needs(&[2, 3])];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    attributes.only("mode", attributes.text("mode", "nearest")?, &["nearest", "linear", "cubic"])?;
    let transform = attributes.text("coordinate_transformation_mode", "half_pixel")?;
    let known = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"];
    attributes.only("coordinate_transformation_mode", transform, &known)?;
    let policy = attributes.text("keep_aspect_ratio_policy", "stretch")?;
    attributes.only("keep_aspect_ratio_policy", policy, &["stretch"])?;
    for name in ["antialias", "exclude_outside"] {
        if attributes.flag(name, false)? {
            return Err(Failure::Unsupported(format!("attribute {name}=1")));
        }
    }
    Ok(())
}

/// One axis: its size before and after, and by what the standard's rules say it grows.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
    scale: f64,
}

fn axes(call: &Call<'_>, shape: &[usize]) -> Outcome<Vec<(usize, Axis)>> {
    let named = match call.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|axis| shape::axis(*axis, shape.len())).collect::<Outcome<Vec<_>>>()?,
        None => (0..shape.len()).collect(),
    };
    let scales = if call.get(2).is_some() { call.floats(2)? } else { Vec::new() };
    let sizes = call.ints_if_any(3)?.unwrap_or_default();
    let mut found = Vec::with_capacity(named.len());
    for (index, axis) in named.iter().enumerate() {
        let from = shape[*axis];
        let (to, scale) = match (sizes.get(index), scales.get(index)) {
            (Some(size), _) => (shape::size(*size)?, *size as f64 / from as f64),
            (None, Some(scale)) if scale.is_finite() && *scale > 0.0 => {
                ((from as f64 * scale).floor() as usize, *scale)
            }
            _ => return Err(Failure::Invalid("no size for each axis".into())),
        };
        found.push((*axis, Axis { from, to, scale }));
    }
    Ok(found)
}

fn resize(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let mut x = call.float(0)?;
    for (axis, sizes) in axes(call, &x.shape)? {
        // Asked before lists of that length are made on the CPU.
        call.scope.lease(&shape::with(&x.shape, axis, sizes.to))?;
        if sizes.from != sizes.to || sizes.scale != 1.0 {
            x = along(call, &x, axis, sizes)?;
        }
    }
    one(x)
}

fn along(call: &Call<'_>, x: &Array, axis: usize, sizes: Axis) -> Outcome<Array> {
    let transform = call.attributes.text("coordinate_transformation_mode", "half_pixel")?;
    let positions: Vec<f64> = (0..sizes.to).map(|index| position(index as f64, sizes, transform)).collect();
    let last = sizes.from as f64 - 1.0;
    let inside = |value: f64| value.clamp(0.0, last) as usize;
    let taps: Vec<Tap> = match call.attributes.text("mode", "nearest")? {
        "nearest" => {
            let rounding = call.attributes.text("nearest_mode", "round_prefer_floor")?;
            vec![positions.iter().map(|value| (inside(nearest(*value, rounding)), 1.0)).collect()]
        }
        "linear" => {
            let near = positions.iter().map(|value| value.clamp(0.0, last));
            let split: Vec<(f64, f64)> = near.map(|value| (value.floor(), value - value.floor())).collect();
            vec![
                split.iter().map(|(low, part)| (inside(*low), 1.0 - part)).collect(),
                split.iter().map(|(low, part)| (inside(low + 1.0), *part)).collect(),
            ]
        }
        _ => {
            let curve = call.attributes.float("cubic_coeff_a", -0.75)?;
            (-1..=2)
                .map(|tap| {
                    positions
                        .iter()
                        .map(|value| {
                            let low = value.floor();
                            (inside(low + f64::from(tap)), cubic(value - low - f64::from(tap), curve))
                        })
                        .collect()
                })
                .collect()
        }
    };
    weighted(&call.scope, x, axis, &taps)
}

/// For each element of the result: which element to take, and its weight.
type Tap = Vec<(usize, f64)>;

/// The sum of what all taps take.
fn weighted(scope: &Scope<'_>, x: &Array, axis: usize, taps: &[Tap]) -> Outcome<Array> {
    let mut sum: Option<Array> = None;
    for tap in taps {
        let indices = scope.indices(&tap.iter().map(|(index, _)| *index).collect::<Vec<_>>())?;
        let mut part = scope.select(x, axis, &indices)?;
        if tap.iter().any(|(_, weight)| *weight != 1.0) {
            let mut shape = vec![1; x.rank()];
            shape[axis] = tap.len();
            let weights = scope.floats(shape, tap.iter().map(|(_, weight)| *weight).collect())?;
            part = scope.mul(&part, &weights)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => scope.add(&sum, &part)?,
        });
    }
    sum.ok_or_else(|| Failure::Invalid("nothing to interpolate".into()))
}

/// Where an element of the result lies in the input.
fn position(index: f64, sizes: Axis, transform: &str) -> f64 {
    let Axis { from, to, scale } = sizes;
    let (from, to) = (from as f64, to as f64);
    match transform {
        "asymmetric" => index / scale,
        "align_corners" if to == 1.0 => 0.0,
        "align_corners" => index * (from - 1.0) / (to - 1.0),
        "pytorch_half_pixel" if to == 1.0 => 0.0,
        "half_pixel_symmetric" => {
            let adjustment = to / (from * scale);
            from / 2.0 * (1.0 - adjustment) + (index + 0.5) / scale - 0.5
        }
        _ => (index + 0.5) / scale - 0.5,
    }
}

fn nearest(value: f64, rounding: &str) -> f64 {
    match rounding {
        "floor" => value.floor(),
        "ceil" => value.ceil(),
        "round_prefer_ceil" => (value + 0.5).floor(),
        _ => (value - 0.5).ceil(),
    }
}

/// The weight of an element at a distance, with Keys's `a`.
fn cubic(distance: f64, a: f64) -> f64 {
    let d = distance.abs();
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}
