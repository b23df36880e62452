//! Operators that choose elements by their values.

use super::elementwise::numbers;
use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::order::sorted;
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug)]
struct ArgExtreme {
    max: bool,
    axis: i64,
    keep: bool,
    last: bool,
}

/// `ArgMax` and `ArgMin`
pub(crate) fn arg_extreme(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(ArgExtreme {
        max: attributes.op() == "ArgMax",
        axis: attributes.int("axis", 0)?,
        keep: attributes.flag("keepdims", true)?,
        last: attributes.flag("select_last_index", false)?,
    }))
}

impl Operator for ArgExtreme {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[super::FLOATS, super::INTEGERS].concat())?;
        Ok(vec![DType::I64])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let mut result = inputs.shape(0)?.to_vec();
        let axis = shape::axis(self.axis, result.len())?;
        if result[axis] == 0 {
            return Err(Refusal::Invalid("there is nothing to choose from".into()));
        }
        result[axis] = 1;
        if !self.keep {
            result.remove(axis);
        }
        Ok(vec![result])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let values = numbers(input)?;
        let (_, along, inner) = shape::around(input.shape, shape::axis(self.axis, input.shape.len())?);
        for (line, slot) in io.output(0)?.as_slice::<i64>()?.iter_mut().enumerate() {
            let start = line / inner * along * inner + line % inner;
            let mut best = 0;
            for step in 1..along {
                let (value, most) = (values[start + step * inner], values[start + best * inner]);
                let better = if self.max { value > most } else { value < most };
                if better || (value.is_nan() && !most.is_nan()) || (self.last && value == most) {
                    best = step;
                }
            }
            *slot = i64::try_from(best).unwrap_or(i64::MAX);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct TopK {
    axis: i64,
    largest: bool,
}

/// `TopK`
pub(crate) fn top_k(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    // Results that need not be sorted may be.
    Ok(Arc::new(TopK { axis: attributes.int("axis", -1)?, largest: attributes.flag("largest", true)? }))
}

impl Operator for TopK {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, &[super::FLOATS, super::INTEGERS].concat())?;
        Ok(vec![dtype, DType::I64])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let mut result = inputs.shape(0)?.to_vec();
        let axis = shape::axis(self.axis, result.len())?;
        let k = usize::try_from(inputs.int(1)?).ok().filter(|k| *k <= result[axis]);
        result[axis] = k.ok_or_else(|| format!("more than the {} that there are", result[axis]))?;
        Ok(vec![result.clone(), result])
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let values = numbers(input)?;
        let axis = shape::axis(self.axis, input.shape.len())?;
        let (outer, along, inner) = shape::around(input.shape, axis);
        let k = usize::try_from(io.input(1)?.to_ints()?.first().copied().unwrap_or(0)).unwrap_or(0).min(along);
        let size = input.dtype.size_bytes();
        let mut chosen = vec![0usize; outer * k * inner];
        for line in 0..outer * inner {
            let start = line / inner * along * inner + line % inner;
            // Equal elements stay in their order; NaN is the largest.
            let order = sorted(along, &|a, b| {
                let (a, b) = (values[start + a * inner], values[start + b * inner]);
                let ascending = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                if self.largest { ascending.reverse() } else { ascending }
            });
            for (rank, step) in order.iter().take(k).enumerate() {
                chosen[line / inner * k * inner + rank * inner + line % inner] = *step;
            }
        }
        if let Some(output) = io.output_if_any(0) {
            for (at, slot) in output.bytes.chunks_exact_mut(size).enumerate() {
                let place = (at / (k * inner) * along + chosen[at]) * inner + at % inner;
                slot.copy_from_slice(input.bytes.get(place * size..(place + 1) * size).ok_or("an element is missing")?);
            }
        }
        if let Some(output) = io.output_if_any(1) {
            for (slot, step) in output.as_slice::<i64>()?.iter_mut().zip(&chosen) {
                *slot = i64::try_from(*step).unwrap_or(i64::MAX);
            }
        }
        Ok(())
    }
}

/// Elements that are not 0; how many, only the data tells.
#[derive(Debug)]
struct NonZero;

/// `NonZero`
pub(crate) fn non_zero(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(NonZero))
}

impl Operator for NonZero {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, DType::ALL)?;
        Ok(vec![DType::I64])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let count = numbers(inputs.value(0)?)?.iter().filter(|value| **value != 0.0).count();
        Ok(vec![vec![inputs.shape(0)?.len(), count]])
    }

    fn needs(&self) -> &'static [usize] {
        &[0]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let strides = shape::strides(input.shape);
        let places: Vec<usize> =
            numbers(input)?.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(at, _)| at).collect();
        let index = |axis: usize, place: usize| place / strides[axis].max(1) % input.shape[axis].max(1);
        let all = (0..input.shape.len()).flat_map(|axis| places.iter().map(move |place| (axis, *place)));
        for (slot, (axis, place)) in io.output(0)?.as_slice::<i64>()?.iter_mut().zip(all) {
            *slot = i64::try_from(index(axis, place)).unwrap_or(i64::MAX);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Compress {
    axis: Option<i64>,
}

/// `Compress`
pub(crate) fn compress(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let axis = attributes.get("axis").map(|_| attributes.int("axis", 0)).transpose()?;
    Ok(Arc::new(Compress { axis }))
}

impl Compress {
    fn around(&self, from: &[usize]) -> Result<(usize, usize, usize), String> {
        match self.axis {
            Some(axis) => Ok(shape::around(from, shape::axis(axis, from.len())?)),
            None => Ok((1, shape::len(from), 1)),
        }
    }
}

impl Operator for Compress {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, &[DType::Bool])?;
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        let (_, along, _) = self.around(from)?;
        let kept = inputs.value(1)?.bytes.iter().take(along).filter(|flag| **flag != 0).count();
        match self.axis {
            Some(axis) => {
                let mut result = from.to_vec();
                result[shape::axis(axis, from.len())?] = kept;
                Ok(vec![result])
            }
            None => Ok(vec![vec![kept]]),
        }
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (input, flags) = (io.input(0)?, io.input(1)?);
        let (_, along, inner) = self.around(input.shape)?;
        let size = (inner * input.dtype.size_bytes()).max(1);
        let kept = input.bytes.chunks_exact(size).enumerate();
        let kept = kept.filter(|(at, _)| flags.bytes.get(at % along.max(1)).is_some_and(|flag| *flag != 0));
        for (slot, (_, element)) in io.output(0)?.bytes.chunks_exact_mut(size).zip(kept) {
            slot.copy_from_slice(element);
        }
        Ok(())
    }
}
