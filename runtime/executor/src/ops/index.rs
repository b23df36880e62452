//! Operators that work on the places of elements: `OneHot`, `Trilu`, `ReverseSequence`.

use super::elementwise::numbers;
use super::{Attributes, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug)]
struct OneHot {
    axis: i64,
}

/// `OneHot`
pub(crate) fn one_hot(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(OneHot { axis: attributes.int("axis", -1)? }))
}

impl Operator for OneHot {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let numbers = [super::FLOATS, super::INTEGERS].concat();
        expect_type(inputs, 0, &numbers)?;
        expect_type(inputs, 1, &numbers)?;
        Ok(vec![expect_type(inputs, 2, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let mut result = inputs.shape(0)?.to_vec();
        let depth = numbers(inputs.value(1)?)?.first().copied().unwrap_or(0.0);
        if !(1.0..=2f64.powi(40)).contains(&depth) || inputs.shape(2)? != [2] {
            return Err(Refusal::Invalid("depth or values are not what they must be".into()));
        }
        result.insert(shape::axis(self.axis, result.len() + 1)?, depth as usize);
        Ok(vec![result])
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (indices, values) = (numbers(io.input(0)?)?, io.input(2)?);
        let output = io.output(0)?;
        let (_, depth, inner) = shape::around(output.shape, shape::axis(self.axis, output.shape.len())?);
        let (inner, depth) = (inner.max(1), depth.max(1));
        let size = values.dtype.size_bytes();
        let (off, on) = values.bytes.split_at_checked(size).ok_or("values are missing")?;
        for (at, slot) in output.bytes.chunks_exact_mut(size).enumerate() {
            let index = indices.get(at / (depth * inner) * inner + at % inner).copied().unwrap_or(f64::NAN);
            let index = if index < 0.0 { index + depth as f64 } else { index };
            slot.copy_from_slice(if index == (at / inner % depth) as f64 { on } else { off });
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Trilu {
    upper: bool,
}

/// `Trilu`
pub(crate) fn trilu(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Trilu { upper: attributes.flag("upper", true)? }))
}

impl Operator for Trilu {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        if from.len() < 2 { Err(Refusal::Invalid("the rank is below 2".into())) } else { Ok(vec![from.to_vec()]) }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let diagonal = io.get(1).map(|view| view.to_ints()).transpose()?;
        let diagonal = i128::from(diagonal.and_then(|list| list.first().copied()).unwrap_or(0));
        let output = io.output(0)?;
        let &[.., rows, columns] = output.shape else { return Err("the rank is below 2".into()) };
        let size = input.dtype.size_bytes();
        for (at, (slot, value)) in output.bytes.chunks_exact_mut(size).zip(input.bytes.chunks_exact(size)).enumerate() {
            let offset = (at % columns) as i128 - (at / columns % rows) as i128;
            let kept = if self.upper { offset >= diagonal } else { offset <= diagonal };
            if kept { slot.copy_from_slice(value) } else { slot.fill(0) }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct ReverseSequence {
    batch_first: bool,
}

/// `ReverseSequence`
pub(crate) fn reverse_sequence(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    match (attributes.int("batch_axis", 1)?, attributes.int("time_axis", 0)?) {
        (0, 1) => Ok(Arc::new(ReverseSequence { batch_first: true })),
        (1, 0) => Ok(Arc::new(ReverseSequence { batch_first: false })),
        other => Err(Refusal::Invalid(format!("batch_axis and time_axis of {other:?}"))),
    }
}

impl Operator for ReverseSequence {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        expect_same(inputs, 1, DType::I64)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        let batch = from.get(usize::from(!self.batch_first)).copied();
        if from.len() < 2 || inputs.shape(1)? != [batch.unwrap_or(0)] {
            return Err(Refusal::Invalid("the lengths do not fit the batch".into()));
        }
        Ok(vec![from.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (input, lengths) = (io.input(0)?, io.input(1)?.to_ints()?);
        let output = io.output(0)?;
        let &[a, b, ref rest @ ..] = input.shape else { return Err("the rank is below 2".into()) };
        let size = shape::len(rest) * input.dtype.size_bytes();
        for (at, slot) in output.bytes.chunks_exact_mut(size.max(1)).enumerate().take(a * b) {
            let (batch, time) = if self.batch_first { (at / b, at % b) } else { (at % b, at / b) };
            let steps = if self.batch_first { b } else { a };
            let length = lengths.get(batch).and_then(|length| usize::try_from(*length).ok()).unwrap_or(0).min(steps);
            let time = if time < length { length - 1 - time } else { time };
            let from = if self.batch_first { batch * b + time } else { time * b + batch };
            slot.copy_from_slice(input.bytes.get(from * size..(from + 1) * size).ok_or("an element is missing")?);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Determinant;

/// `Det`
pub(crate) fn det(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Determinant))
}

impl Operator for Determinant {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, super::FLOATS)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        match inputs.shape(0)? {
            [batch @ .., rows, columns] if rows == columns => Ok(vec![batch.to_vec()]),
            other => Err(Refusal::Invalid(format!("{other:?} is no square matrix"))),
        }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let n = shape::row_len(input.shape);
        let values = numbers(input)?;
        let output = io.output(0)?;
        let matrix = |at: usize| values.get(at * n * n..(at + 1) * n * n).unwrap_or_default().to_vec();
        output.numbers()?.fill(|at| determinant(matrix(at), n));
        Ok(())
    }
}

/// By elimination with the largest pivot.
fn determinant(mut matrix: Vec<f64>, n: usize) -> f64 {
    let mut result = 1.0;
    for column in 0..n {
        let magnitude = |row: &usize| matrix[row * n + column].abs();
        let pivot = (column..n).max_by(|a, b| magnitude(a).total_cmp(&magnitude(b))).unwrap_or(column);
        if matrix[pivot * n + column] == 0.0 {
            return 0.0;
        }
        if pivot != column {
            (0..n).for_each(|at| matrix.swap(pivot * n + at, column * n + at));
            result = -result;
        }
        result *= matrix[column * n + column];
        for row in column + 1..n {
            let factor = matrix[row * n + column] / matrix[column * n + column];
            (column..n).for_each(|at| matrix[row * n + at] -= factor * matrix[column * n + at]);
        }
    }
    result
}
