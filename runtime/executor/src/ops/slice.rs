//! `Slice` and `Split`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::strided::{Strided, signed};
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug)]
struct Slice;

/// `Slice`
pub(crate) fn slice(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Slice))
}

/// What a `Slice` with these operands reads of a tensor.
pub(crate) fn sliced(
    from: &[usize],
    starts: &[i64],
    ends: &[i64],
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Result<Strided, String> {
    let count = starts.len();
    let all: Vec<i64> = (0..i64::try_from(count).unwrap_or(0)).collect();
    let axes = shape::axes(axes.unwrap_or(&all), from.len())?;
    let ones = vec![1; count];
    let steps = steps.unwrap_or(&ones);
    if ends.len() != count || axes.len() != count || steps.len() != count {
        return Err("starts, ends, axes and steps differ in length".into());
    }
    let mut result = Strided::dense(from);
    for (((start, end), axis), step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let size = i64::try_from(from[axis]).map_err(|_| "a dimension is too large")?;
        let from_end = |value: i64| if value < 0 { value.saturating_add(size) } else { value };
        // Backwards, the first element is at most the last one, and the end may lie before the first.
        let (lowest, highest) = if *step > 0 { (0, size) } else { (-1, size - 1) };
        let start = from_end(*start).clamp(lowest.max(0), highest.max(0));
        let end = from_end(*end).clamp(lowest, highest);
        let distance = if *step > 0 { end - start } else { start - end };
        let stride = step.checked_abs().filter(|stride| *stride > 0).ok_or("a step of 0")?;
        let len = if size == 0 || distance <= 0 { 0 } else { (distance - 1) / stride + 1 };
        result.shape[axis] = usize::try_from(len).unwrap_or(0);
        let first = usize::try_from(start).unwrap_or(0);
        result.base =
            result.base.saturating_add(first.saturating_mul(usize::try_from(result.strides[axis]).unwrap_or(0)));
        result.strides[axis] = result.strides[axis].saturating_mul(isize::try_from(*step).unwrap_or(isize::MAX));
    }
    if result.shape.contains(&0) {
        result.base = 0;
    }
    Ok(result)
}

impl Operator for Slice {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (starts, ends) = (inputs.ints(1)?, inputs.ints(2)?);
        let (axes, steps) = (inputs.ints_if_any(3)?, inputs.ints_if_any(4)?);
        Ok(vec![sliced(inputs.shape(0)?, &starts, &ends, axes.as_deref(), steps.as_deref())?.shape])
    }

    fn needs(&self) -> &'static [usize] {
        &[1, 2, 3, 4]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let (starts, ends) = (io.input(1)?.to_ints()?, io.input(2)?.to_ints()?);
        let axes = io.get(3).map(|view| view.to_ints()).transpose()?;
        let steps = io.get(4).map(|view| view.to_ints()).transpose()?;
        sliced(input.shape, &starts, &ends, axes.as_deref(), steps.as_deref())?.copy(input, io.output(0)?)
    }
}

#[derive(Debug)]
struct Split {
    axis: i64,
    results: usize,
}

/// `Split`
pub(crate) fn split(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Split { axis: attributes.int("axis", 0)?, results: attributes.outputs() }))
}

impl Operator for Split {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?; self.results])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        let axis = shape::axis(self.axis, from.len())?;
        let sizes = match inputs.ints_if_any(1)? {
            Some(sizes) => shape::sizes(&sizes)?,
            None => {
                // Equal parts, the last one smaller.
                let part = from[axis].div_ceil(self.results.max(1));
                (0..self.results).map(|index| from[axis].saturating_sub(index * part).min(part)).collect()
            }
        };
        let total = sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size));
        if sizes.len() != self.results || total != from[axis] {
            return Err(Refusal::Invalid(format!("parts of {sizes:?} along an axis of {}", from[axis])));
        }
        let with =
            |size: usize| from.iter().enumerate().map(|(index, old)| if index == axis { size } else { *old }).collect();
        Ok(sizes.into_iter().map(with).collect())
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let axis = shape::axis(self.axis, input.shape.len())?;
        let dense = Strided::dense(input.shape);
        let sizes = io.get(1).map(|view| view.to_ints()).transpose()?;
        let part = input.shape[axis].div_ceil(self.results.max(1));
        let mut start = 0usize;
        for (index, output) in io.outputs.iter_mut().enumerate() {
            let size = match &sizes {
                Some(sizes) => sizes.get(index).and_then(|size| usize::try_from(*size).ok()).unwrap_or(0),
                None => input.shape[axis].saturating_sub(start).min(part),
            };
            if let Some(output) = output {
                let base = usize::try_from(dense.strides[axis] * signed(start)).unwrap_or(0);
                Strided { shape: output.shape.to_vec(), base, strides: dense.strides.clone() }.copy(input, output)?;
            }
            start += size;
        }
        Ok(())
    }
}
