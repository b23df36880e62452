//! Elementwise steps in one pass over memory.

use super::Epilogue;
use super::epilogue::split;
use super::share::{cut, share, tasks};
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::view::Failure;
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::Kernels;

/// Operands: what the steps begin with, then those of the steps.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) kernels: Kernels,
    pub(crate) epilogue: Epilogue,
}

impl Operator for Chain {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn detail(&self) -> String {
        self.epilogue.describe()
    }

    fn in_place(&self) -> &'static [usize] {
        &[0]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let inputs = io.inputs;
        let (first, operands) = inputs.split_first().ok_or("an operand is missing")?;
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let shape = output.shape;
        let (rows, cols) = matrix(shape, operands)?;
        let to = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, cols).map_err(text)?;
        let from = match first {
            Some(from) => Some(kernels::View::dense(from.as_slice::<f32>()?, rows, cols).map_err(text)?),
            None => None,
        };
        let mut rest = Some(to);
        let parts = cut(rows, tasks(io.pool, rows.saturating_mul(cols)), 1).filter_map(|run| {
            let (part, more) = rest.take()?.split_rows(run.len());
            rest = Some(more);
            Some((run, part))
        });
        self.epilogue.with_steps(operands, shape, rows, cols, |steps| {
            share(io.pool, parts, |(run, to)| match from {
                Some(from) => self.kernels.pointwise_rows(run.start, from.sub_rows(run.start, run.len()), to, steps),
                None => self.kernels.pointwise_rows_in_place(run.start, to, steps),
            })
            .map_err(text)
        })
    }
}

pub(crate) fn text(error: kernels::KernelError) -> Failure {
    error.to_string()
}

/// [`split`] for the operands of a run.
fn matrix(result: &[usize], operands: &[Option<crate::view::View<'_>>]) -> Result<(usize, usize), Failure> {
    let mut shapes: [&[usize]; super::epilogue::MOST_STEPS] = [&[]; super::epilogue::MOST_STEPS];
    let mut count = 0;
    for view in operands.iter().flatten() {
        *shapes.get_mut(count).ok_or("too many operands")? = view.shape;
        count += 1;
    }
    split(result, &shapes[..count]).ok_or_else(|| "operands do not fit the result".to_string())
}
