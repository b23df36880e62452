//! Padding.

use super::{Call, Operator, one};
use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::shape;
use crate::value::Value;
use burn_backend::ops::{FloatTensorOps, PadMode};

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Pad", pad).check(check).needs(&[1, 2, 3])];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    attributes.only("mode", attributes.text("mode", "constant")?, &["constant", "edge", "reflect"])
}

fn pad(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    if x.kind() != Kind::Float {
        return Err(Failure::Unsupported(format!("Pad of {}", x.dtype.name())));
    }
    let pads = call.ints(1)?;
    let axes = call.ints_if_any(3)?.unwrap_or_else(|| (0..x.rank() as i64).collect());
    if pads.len() != axes.len() * 2 {
        return Err(Failure::Invalid(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut around = vec![(0i64, 0i64); x.rank()];
    for (index, axis) in axes.iter().enumerate() {
        around[shape::axis(*axis, x.rank())?] = (pads[index], pads[axes.len() + index]);
    }
    let x = cropped(call, x, &around)?;
    let around: Vec<(usize, usize)> = around.iter().map(|(begin, end)| (positive(*begin), positive(*end))).collect();
    if around.iter().all(|pair| *pair == (0, 0)) {
        return one(x);
    }
    let mode = match call.attributes.text("mode", "constant")? {
        "edge" => PadMode::Edge,
        "reflect" => {
            let reaches = |(size, pair): (&usize, &(usize, usize))| pair.0 >= *size || pair.1 >= *size;
            if x.shape.iter().zip(&around).any(reaches) {
                return Err(Failure::Unsupported("a reflection of more than the tensor".into()));
            }
            PadMode::Reflect
        }
        _ => PadMode::Constant(call.number_if_any(2)?.unwrap_or(0.0) as f32),
    };
    let sizes = x.shape.iter().zip(&around);
    let shape = sizes.map(|(size, (begin, end))| size.saturating_add(*begin).saturating_add(*end)).collect();
    one(call.scope.make(x.dtype, shape, || B::float_pad(x.data, &around, mode))?)
}

fn positive(pad: i64) -> usize {
    usize::try_from(pad).unwrap_or(0)
}

/// Negative pads cut off.
fn cropped(call: &Call<'_>, x: Array, around: &[(i64, i64)]) -> Outcome<Array> {
    let ranges: Vec<(usize, usize, usize)> = x
        .shape
        .iter()
        .zip(around)
        .map(|(size, (begin, end))| {
            let (first, cut) = (positive(begin.saturating_neg()), positive(end.saturating_neg()));
            (first.min(*size), size.saturating_sub(cut).max(first.min(*size)), 1)
        })
        .collect();
    call.scope.slice(&x, &ranges)
}
