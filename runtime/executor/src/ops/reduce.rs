//! Reductions along axes, and `CumSum`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type, is_float};
use crate::number::{Numbers, NumbersMut, Wide};
use crate::shape;
use crate::view::{Failure, ViewMut};
use pannier_engine::DType;
use std::sync::Arc;

/// What is computed of all elements along the axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ReduceOp {
    L1,
    L2,
    LogSum,
    LogSumExp,
    Max,
    Mean,
    Min,
    Prod,
    Sum,
    SumSquare,
}

#[derive(Debug)]
struct Reduce {
    op: ReduceOp,
    keep: bool,
    /// No axes mean no reduction, instead of one along all.
    noop: bool,
}

/// Every `Reduce...`
pub(crate) fn reduce(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let op = match attributes.op() {
        "ReduceL1" => ReduceOp::L1,
        "ReduceL2" => ReduceOp::L2,
        "ReduceLogSum" => ReduceOp::LogSum,
        "ReduceLogSumExp" => ReduceOp::LogSumExp,
        "ReduceMax" => ReduceOp::Max,
        "ReduceMean" => ReduceOp::Mean,
        "ReduceMin" => ReduceOp::Min,
        "ReduceProd" => ReduceOp::Prod,
        "ReduceSum" => ReduceOp::Sum,
        "ReduceSumSquare" => ReduceOp::SumSquare,
        _ => return Err(Refusal::Unsupported("operator".into())),
    };
    let (keep, noop) = (attributes.flag("keepdims", true)?, attributes.flag("noop_with_empty_axes", false)?);
    Ok(Arc::new(Reduce { op, keep, noop }))
}

impl Reduce {
    fn axes(&self, list: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, String> {
        match list {
            Some(list) if !list.is_empty() => shape::axes(list, rank),
            _ if self.noop => Ok(Vec::new()),
            _ => Ok((0..rank).collect()),
        }
    }
}

impl Operator for Reduce {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        let fits = match self.op {
            ReduceOp::Max | ReduceOp::Min => true,
            ReduceOp::LogSum | ReduceOp::LogSumExp | ReduceOp::L2 => is_float(dtype),
            _ => dtype != DType::Bool,
        };
        if fits { Ok(vec![dtype]) } else { Err(Refusal::Unsupported(format!("element type {}", dtype.name()))) }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        let axes = self.axes(inputs.ints_if_any(1)?.as_deref(), from.len())?;
        let kept = from.iter().enumerate().filter_map(|(axis, size)| match (axes.contains(&axis), self.keep) {
            (true, true) => Some(1),
            (true, false) => None,
            (false, _) => Some(*size),
        });
        Ok(vec![kept.collect()])
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let list = io.get(1).map(|view| view.to_ints()).transpose()?;
        let axes = self.axes(list.as_deref(), input.shape.len())?;
        let reduced = axes.iter().fold(1usize, |len, axis| len.saturating_mul(input.shape[*axis]));
        // The place of an element's result: strides of the result, 0 along the axes.
        let kept: Vec<usize> =
            input.shape.iter().enumerate().map(|(axis, size)| if axes.contains(&axis) { 1 } else { *size }).collect();
        let places = shape::broadcast_strides(&kept, input.shape);
        let output = io.output(0)?;
        if axes.is_empty()
            && self.noop
            && matches!(self.op, ReduceOp::Sum | ReduceOp::Mean | ReduceOp::Max | ReduceOp::Min | ReduceOp::Prod)
        {
            output.bytes.copy_from_slice(input.bytes);
            return Ok(());
        }
        let results = output.len();
        if is_float(input.dtype) {
            let values = input.numbers()?.to_vec();
            let results = floats(self.op, &values, input.shape, &places, results, reduced)?;
            output.numbers()?.write(&results);
        } else {
            let results = integers(self.op, input.numbers()?, input.shape, &places, results, reduced)?;
            output.numbers()?.write(&results);
        }
        Ok(())
    }
}

/// Calls `visit` with the index of each element and of its result.
fn each(shape: &[usize], places: &[usize], mut visit: impl FnMut(usize, usize)) -> Result<(), Failure> {
    let (len, by) = (shape::row_len(shape), shape::row_stride(places));
    let mut at = 0;
    shape::for_each_row(shape, [places], |[place]| {
        for step in 0..len {
            visit(at, place + step * by);
            at += 1;
        }
        Ok(())
    })
}

fn floats(
    op: ReduceOp,
    values: &[f64],
    shape: &[usize],
    places: &[usize],
    results: usize,
    reduced: usize,
) -> Result<Vec<f64>, Failure> {
    let start = match op {
        ReduceOp::Max | ReduceOp::LogSumExp => f64::NEG_INFINITY,
        ReduceOp::Min => f64::INFINITY,
        ReduceOp::Prod => 1.0,
        _ => 0.0,
    };
    let mut sums = vec![start; results];
    each(shape, places, |at, place| {
        let x = values[at];
        let sum = &mut sums[place];
        match op {
            ReduceOp::L1 => *sum += x.abs(),
            ReduceOp::L2 | ReduceOp::SumSquare => *sum += x * x,
            ReduceOp::Max | ReduceOp::LogSumExp => *sum = if x.is_nan() || x > *sum { x } else { *sum },
            ReduceOp::Min => *sum = if x.is_nan() || x < *sum { x } else { *sum },
            ReduceOp::Prod => *sum *= x,
            ReduceOp::LogSum | ReduceOp::Mean | ReduceOp::Sum => *sum += x,
        }
    })?;
    match op {
        ReduceOp::L2 => sums.iter_mut().for_each(|sum| *sum = sum.sqrt()),
        ReduceOp::LogSum => sums.iter_mut().for_each(|sum| *sum = sum.ln()),
        ReduceOp::Mean => sums.iter_mut().for_each(|sum| *sum /= reduced as f64),
        ReduceOp::LogSumExp => {
            // Relative to the largest, so that nothing overflows.
            let largest: Vec<f64> = sums.iter().map(|max| if max.is_finite() { *max } else { 0.0 }).collect();
            let mut exps = vec![0.0; sums.len()];
            each(shape, places, |at, place| exps[place] += (values[at] - largest[place]).exp())?;
            sums = exps.iter().zip(largest).map(|(sum, max)| sum.ln() + max).collect();
        }
        _ => {}
    }
    Ok(sums)
}

fn integers(
    op: ReduceOp,
    values: Numbers<'_, i128>,
    shape: &[usize],
    places: &[usize],
    results: usize,
    reduced: usize,
) -> Result<Vec<i128>, Failure> {
    let mut sums: Vec<Option<i128>> = vec![None; results];
    each(shape, places, |at, place| {
        let x = values.at(at);
        let value = match op {
            ReduceOp::L1 => x.abs(),
            ReduceOp::SumSquare => x.wrapping_mul(x),
            _ => x,
        };
        sums[place] = Some(match (sums[place], op) {
            (None, _) => value,
            (Some(sum), ReduceOp::Max) => sum.max(value),
            (Some(sum), ReduceOp::Min) => sum.min(value),
            (Some(sum), ReduceOp::Prod) => sum.wrapping_mul(value),
            (Some(sum), _) => sum.wrapping_add(value),
        });
    })?;
    let empty = if op == ReduceOp::Prod { 1 } else { 0 };
    let count = if op == ReduceOp::Mean { i128::try_from(reduced.max(1)).unwrap_or(1) } else { 1 };
    Ok(sums.into_iter().map(|sum| sum.unwrap_or(empty) / count).collect())
}

#[derive(Debug)]
struct CumSum {
    exclusive: bool,
    reverse: bool,
}

/// `CumSum`
pub(crate) fn cum_sum(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(CumSum {
        exclusive: attributes.flag("exclusive", false)?,
        reverse: attributes.flag("reverse", false)?,
    }))
}

impl Operator for CumSum {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        if dtype == DType::Bool {
            return Err(Refusal::Unsupported("element type bool".into()));
        }
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        shape::axis(inputs.int(1)?, from.len())?;
        Ok(vec![from.to_vec()])
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let axis = *io.input(1)?.to_ints()?.first().ok_or("the axis is missing")?;
        let around = shape::around(input.shape, shape::axis(axis, input.shape.len())?);
        let output: &mut ViewMut<'_> = io.output(0)?;
        if is_float(input.dtype) {
            self.sums(around, input.numbers::<f64>()?, output.numbers()?, |sum, value| sum + value);
        } else {
            self.sums(around, input.numbers::<i128>()?, output.numbers()?, |sum, value| sum.wrapping_add(value));
        }
        Ok(())
    }
}

impl CumSum {
    fn sums<W: Wide>(
        &self,
        (outer, along, inner): (usize, usize, usize),
        from: Numbers<'_, W>,
        mut to: NumbersMut<'_, W>,
        add: impl Fn(W, W) -> W,
    ) {
        for line in 0..outer * inner {
            let start = line / inner * along * inner + line % inner;
            let mut sum = W::default();
            for step in 0..along {
                let place = start + if self.reverse { along - 1 - step } else { step } * inner;
                let next = add(sum, from.at(place));
                to.set(place, if self.exclusive { sum } else { next });
                sum = next;
            }
        }
    }
}
