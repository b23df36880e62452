//! `Resize`: nearest, linear and cubic, over any axes.

use super::{Attributes, FLOATS, Facts, INTEGERS, Io, Operator, Refusal, expect_type, is_float};
use crate::number::with_bits;
use crate::ops::window::each_index;
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

/// How an element between others is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ResizeMode {
    Nearest(NearestMode),
    Linear,
    Cubic { a: f64 },
}

/// Which of two neighbours is the nearest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NearestMode {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// Which place of the operand a place of the result stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    TfCropAndResize,
}

/// What happens where `sizes` would change the ratio of the sides.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Policy {
    Stretch,
    NotLarger,
    NotSmaller,
}

/// `Resize` with its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Resize {
    pub(crate) mode: ResizeMode,
    coordinates: Coordinates,
    policy: Policy,
    antialias: bool,
    exclude_outside: bool,
    extrapolation: f64,
    axes: Option<Vec<i64>>,
}

/// `Resize`
pub(crate) fn resize(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(parse(attributes)?))
}

pub(crate) fn parse(attributes: &Attributes<'_>) -> Result<Resize, Refusal> {
    let unknown = |name: &str, value: &str| Refusal::Unsupported(format!("attribute {name}={value}"));
    let nearest = match attributes.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => NearestMode::RoundPreferFloor,
        "round_prefer_ceil" => NearestMode::RoundPreferCeil,
        "floor" => NearestMode::Floor,
        "ceil" => NearestMode::Ceil,
        other => return Err(unknown("nearest_mode", other)),
    };
    let mode = match attributes.text("mode", "nearest")? {
        "nearest" => ResizeMode::Nearest(nearest),
        "linear" => ResizeMode::Linear,
        "cubic" => ResizeMode::Cubic { a: f64::from(attributes.float("cubic_coeff_a", -0.75)?) },
        other => return Err(unknown("mode", other)),
    };
    let coordinates = match attributes.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_crop_and_resize" => Coordinates::TfCropAndResize,
        other => return Err(unknown("coordinate_transformation_mode", other)),
    };
    let policy = match attributes.text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => Policy::Stretch,
        "not_larger" => Policy::NotLarger,
        "not_smaller" => Policy::NotSmaller,
        other => return Err(unknown("keep_aspect_ratio_policy", other)),
    };
    Ok(Resize {
        mode,
        coordinates,
        policy,
        antialias: attributes.flag("antialias", false)?,
        exclude_outside: attributes.flag("exclude_outside", false)?,
        extrapolation: f64::from(attributes.float("extrapolation_value", 0.0)?),
        axes: attributes.ints("axes")?.map(<[i64]>::to_vec),
    })
}

/// Places of the operand with their weights; `None`: outside of the operand.
pub(crate) type Tap = Option<Vec<(usize, f64)>>;

/// One axis of a resize.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Along {
    pub(crate) from: usize,
    pub(crate) to: usize,
    scale: f64,
    /// Of the region of interest, in parts of the size.
    roi: (f64, f64),
}

/// Operands of a `Resize` that say how large the result is.
pub(crate) struct Sizes {
    pub(crate) roi: Option<Vec<f64>>,
    pub(crate) scales: Option<Vec<f64>>,
    pub(crate) sizes: Option<Vec<i64>>,
}

impl Resize {
    pub(crate) fn along(&self, from: &[usize], given: &Sizes) -> Result<Vec<Along>, String> {
        let all: Vec<i64> = (0..i64::try_from(from.len()).unwrap_or(0)).collect();
        let axes = shape::axes(self.axes.as_deref().unwrap_or(&all), from.len())?;
        let mut along: Vec<Along> =
            from.iter().map(|size| Along { from: *size, to: *size, scale: 1.0, roi: (0.0, 1.0) }).collect();
        let scales = given.scales.as_deref().filter(|scales| !scales.is_empty());
        let sizes = given.sizes.as_deref().filter(|sizes| !sizes.is_empty());
        match (scales, sizes) {
            (Some(scales), None) if scales.len() == axes.len() => {
                for (axis, scale) in axes.iter().zip(scales) {
                    let to = (from[*axis] as f64 * scale).floor();
                    if !(*scale > 0.0 && to < 2f64.powi(40)) {
                        return Err(format!("a scale of {scale}"));
                    }
                    along[*axis] = Along { to: to as usize, scale: *scale, ..along[*axis] };
                }
            }
            (None, Some(sizes)) if sizes.len() == axes.len() => self.fit(&mut along, &axes, sizes)?,
            _ => return Err("exactly one of scales and sizes is expected, one number for each axis".into()),
        }
        if let Some(roi) = given.roi.as_deref().filter(|roi| roi.len() == 2 * axes.len()) {
            for (index, axis) in axes.iter().enumerate() {
                along[*axis].roi = (roi[index], roi[axes.len() + index]);
            }
        }
        Ok(along)
    }

    /// Sizes that are given, adapted to the policy.
    fn fit(&self, along: &mut [Along], axes: &[usize], sizes: &[i64]) -> Result<(), String> {
        let ratio = |axis: &usize, size: &i64| *size as f64 / along[*axis].from as f64;
        let ratios = axes.iter().zip(sizes).map(|(axis, size)| ratio(axis, size));
        let common = match self.policy {
            Policy::Stretch => None,
            Policy::NotLarger => Some(ratios.fold(f64::INFINITY, f64::min)),
            Policy::NotSmaller => Some(ratios.fold(0.0, f64::max)),
        };
        for (axis, size) in axes.iter().zip(sizes) {
            let place = &mut along[*axis];
            let (to, scale) = match common {
                None => (*size, *size as f64 / place.from as f64),
                // Rounded half up, as the standard's own implementation.
                Some(scale) => ((place.from as f64 * scale + 0.5).floor() as i64, scale),
            };
            if !(0..1 << 40).contains(&to) {
                return Err(format!("a size of {to}"));
            }
            (place.to, place.scale) = (usize::try_from(to).unwrap_or(0), scale);
        }
        Ok(())
    }

    /// The place in the operand.
    fn origin(&self, at: usize, along: &Along) -> f64 {
        let (x, from, to) = (at as f64, along.from as f64, along.to as f64);
        let exact = from * along.scale;
        match self.coordinates {
            Coordinates::HalfPixel => (x + 0.5) / along.scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = to / exact;
                let center = from / 2.0;
                center * (1.0 - adjustment) + (x + 0.5) / along.scale - 0.5
            }
            Coordinates::PytorchHalfPixel => {
                if to > 1.0 {
                    (x + 0.5) / along.scale - 0.5
                } else {
                    0.0
                }
            }
            Coordinates::AlignCorners => {
                if exact > 1.0 {
                    x * (from - 1.0) / (exact - 1.0)
                } else {
                    0.0
                }
            }
            Coordinates::Asymmetric => x / along.scale,
            Coordinates::TfCropAndResize => {
                let (start, end) = along.roi;
                if to > 1.0 {
                    start * (from - 1.0) + x * (end - start) * (from - 1.0) / (to - 1.0)
                } else {
                    0.5 * (start + end) * (from - 1.0)
                }
            }
        }
    }

    /// What each place of the result is made of.
    pub(crate) fn taps(&self, along: &Along) -> Vec<Tap> {
        (0..along.to).map(|at| self.tap(at, along)).collect()
    }

    fn tap(&self, at: usize, along: &Along) -> Tap {
        let origin = self.origin(at, along);
        let last = along.from.saturating_sub(1) as f64;
        if self.coordinates == Coordinates::TfCropAndResize && !(0.0..=last).contains(&origin) {
            return None;
        }
        let clamp = |place: f64| place.clamp(0.0, last) as usize;
        if let ResizeMode::Nearest(mode) = self.mode {
            let place = match mode {
                NearestMode::RoundPreferFloor => (origin - 0.5).ceil(),
                NearestMode::RoundPreferCeil => (origin + 0.5).floor(),
                NearestMode::Floor => origin.floor(),
                NearestMode::Ceil => origin.ceil(),
            };
            return Some(vec![(clamp(place), 1.0)]);
        }
        // A smaller result is made of more neighbours.
        let stretch = if self.antialias { along.scale.min(1.0) } else { 1.0 };
        let reach = if self.mode == ResizeMode::Linear { 1.0 } else { 2.0 } / stretch;
        let (first, end) = ((origin - reach).floor() as i64 + 1, (origin + reach).ceil() as i64);
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for place in first..end.max(first + 1) {
            let outside = place < 0 || place as f64 > last;
            let weight = self.weight((place as f64 - origin) * stretch);
            if self.exclude_outside && outside {
                continue;
            }
            taps.push((clamp(place as f64), weight));
        }
        let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
        if self.antialias || self.exclude_outside {
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        Some(taps)
    }

    fn weight(&self, distance: f64) -> f64 {
        let x = distance.abs();
        match self.mode {
            ResizeMode::Linear => (1.0 - x).max(0.0),
            ResizeMode::Cubic { a } if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            ResizeMode::Cubic { a } if x < 2.0 => a * (((x - 5.0) * x + 8.0) * x - 4.0),
            _ => 0.0,
        }
    }
}

fn numbers(view: Option<View<'_>>) -> Result<Option<Vec<f64>>, String> {
    view.map(crate::ops::elementwise::numbers).transpose()
}

impl Operator for Resize {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let all = [FLOATS, INTEGERS, &[DType::Bool]].concat();
        let nearest = matches!(self.mode, ResizeMode::Nearest(_));
        let dtype = expect_type(inputs, 0, if nearest { &all } else { &all[..all.len() - 1] })?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.along(inputs.shape(0)?, &given(inputs)?)?.iter().map(|along| along.to).collect()])
    }

    fn needs(&self) -> &'static [usize] {
        &[1, 2, 3]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let sizes = io.get(3).map(|view| view.to_ints()).transpose()?;
        let given = Sizes { roi: numbers(io.get(1))?, scales: numbers(io.get(2))?, sizes };
        let along = self.along(input.shape, &given)?;
        let output = io.output(0)?;
        let taps: Vec<_> = along.iter().map(|along| self.taps(along)).collect();
        let strides = shape::strides(input.shape);
        let shape = output.shape;
        if let ResizeMode::Nearest(_) = self.mode {
            let extrapolated = |at: &[usize]| at.iter().enumerate().any(|(axis, at)| taps[axis][*at].is_none());
            let place = |at: &[usize]| -> usize {
                at.iter()
                    .enumerate()
                    .map(|(axis, at)| taps[axis][*at].as_ref().map_or(0, |taps| taps[0].0) * strides[axis])
                    .sum()
            };
            with_bits!(output.dtype, T => {
                let from = input.as_slice::<T>()?;
                let mut slots = output.as_slice::<T>()?.iter_mut();
                each_index(shape, |at| if let (Some(slot), Some(value)) = (slots.next(), from.get(place(at))) {
                    *slot = if extrapolated(at) { T::default() } else { *value };
                });
            });
            return Ok(());
        }
        let whole = !is_float(output.dtype);
        let (from, mut to, mut slot) = (input.numbers::<f64>()?, output.numbers::<f64>()?, 0);
        each_index(shape, |at| {
            let value = sum(&taps, at, &strides, 0, &|place| from.at(place)).unwrap_or(self.extrapolation);
            to.set(slot, if whole { value.round_ties_even() } else { value });
            slot += 1;
        });
        Ok(())
    }
}

/// What a `Resize` node's operands say of the size.
pub(crate) fn given(inputs: &Facts<'_>) -> Result<Sizes, Refusal> {
    let floats = |index: usize| -> Result<Option<Vec<f64>>, Refusal> {
        if !inputs.has(index) {
            return Ok(None);
        }
        Ok(numbers(Some(inputs.value(index)?))?)
    };
    Ok(Sizes { roi: floats(1)?, scales: floats(2)?, sizes: inputs.ints_if_any(3)? })
}

/// Weighted sum over the remaining axes; `None` if the place is outside of the operand.
fn sum(taps: &[Vec<Tap>], at: &[usize], strides: &[usize], place: usize, value: &dyn Fn(usize) -> f64) -> Option<f64> {
    let (Some((axis, taps)), Some((at, rest)), Some((stride, strides))) =
        (taps.split_first(), at.split_first(), strides.split_first())
    else {
        return Some(value(place));
    };
    let mut total = 0.0;
    for (source, weight) in axis.get(*at)?.as_ref()? {
        if *weight != 0.0 {
            total += weight * sum(taps, rest, strides, place + source * stride, value)?;
        }
    }
    Some(total)
}
