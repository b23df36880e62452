//! `Pad`.

use super::window::each_index;
use super::{Attributes, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::number::with_bits;
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

#[derive(Debug)]
struct Pad(Mode);

/// `Pad`
pub(crate) fn pad(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let mode = match attributes.text("mode", "constant")? {
        "constant" => Mode::Constant,
        "edge" => Mode::Edge,
        "reflect" => Mode::Reflect,
        "wrap" => Mode::Wrap,
        other => return Err(attributes.unsupported(&format!("mode={other}"))),
    };
    Ok(Arc::new(Pad(mode)))
}

/// Elements added before and after each axis; below 0, elements are cut off.
pub(crate) fn pads(pads: &[i64], axes: Option<&[i64]>, rank: usize) -> Result<Vec<(i64, i64)>, String> {
    let all: Vec<i64> = (0..i64::try_from(rank).unwrap_or(0)).collect();
    let axes = shape::axes(axes.unwrap_or(&all), rank)?;
    if pads.len() != axes.len() * 2 {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let mut result = vec![(0, 0); rank];
    for (index, axis) in axes.iter().enumerate() {
        result[*axis] = (pads[index], pads[axes.len() + index]);
    }
    Ok(result)
}

impl Pad {
    /// Where an element of the result comes from, along one axis; `None`: from the constant.
    fn source(&self, at: usize, before: i64, size: usize) -> Option<usize> {
        let (at, size) = (i64::try_from(at).ok()?.checked_sub(before)?, i64::try_from(size).ok()?);
        let inside = match self.0 {
            Mode::Constant => at,
            Mode::Edge => at.clamp(0, size - 1),
            Mode::Wrap => at.rem_euclid(size.max(1)),
            Mode::Reflect => {
                let period = (2 * (size - 1)).max(1);
                let at = at.rem_euclid(period);
                at.min(period - at).min(size - 1)
            }
        };
        usize::try_from(inside).ok().filter(|_| inside < size)
    }
}

impl Operator for Pad {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        let pads = pads(&inputs.ints(1)?, inputs.ints_if_any(3)?.as_deref(), from.len())?;
        let mut result = Vec::with_capacity(from.len());
        for (size, (before, after)) in from.iter().zip(pads) {
            let to = i64::try_from(*size).ok().and_then(|size| size.checked_add(before)?.checked_add(after));
            let to = to.and_then(|to| usize::try_from(to).ok()).ok_or(format!("pads of {before} and {after}"))?;
            if *size == 0 && to > 0 && self.0 != Mode::Constant {
                return Err(Refusal::Invalid("there is nothing to repeat".into()));
            }
            result.push(to);
        }
        Ok(vec![result])
    }

    fn needs(&self) -> &'static [usize] {
        &[1, 3]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (input, list, value, axes) = (io.input(0)?, io.input(1)?.to_ints()?, io.get(2), io.get(3));
        let axes = axes.map(|axes| axes.to_ints()).transpose()?;
        let pads = pads(&list, axes.as_deref(), input.shape.len())?;
        let output = io.output(0)?;
        let strides = shape::strides(input.shape);
        let sources: Vec<Vec<Option<usize>>> = (0..pads.len())
            .map(|axis| (0..output.shape[axis]).map(|at| self.source(at, pads[axis].0, input.shape[axis])).collect())
            .collect();
        let shape = output.shape;
        with_bits!(output.dtype, T => {
            let from = input.as_slice::<T>()?;
            let constant = value.map(|value| value.as_slice::<T>()).transpose()?.and_then(|value| value.first().copied());
            let mut slots = output.as_slice::<T>()?.iter_mut();
            each_index(shape, |index| {
                let place = index.iter().enumerate().try_fold(0, |sum, (axis, at)| Some(sum + sources[axis][*at]? * strides[axis]));
                if let Some(slot) = slots.next() {
                    *slot = place.and_then(|place| from.get(place).copied()).or(constant).unwrap_or_default();
                }
            });
            Ok(())
        })
    }
}
