//! Elementwise steps in one pass over memory.

use super::Epilogue;
use super::epilogue::split;
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
        let (rows, cols) = matrix(output.shape, operands)?;
        self.epilogue.with_steps(operands, rows, cols, |steps| {
            let to = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, cols).map_err(text)?;
            match first {
                Some(from) => {
                    let from = kernels::View::dense(from.as_slice::<f32>()?, rows, cols).map_err(text)?;
                    self.kernels.pointwise(from, to, steps).map_err(text)
                }
                None => self.kernels.pointwise_in_place(to, steps).map_err(text),
            }
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
