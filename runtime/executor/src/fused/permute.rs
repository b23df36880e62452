//! Axes in another order.

use super::chain::text;
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::strided::Strided;
use crate::view::Failure;
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::Kernels;

/// Operand: any tensor of the rank of `perm`.
#[derive(Debug, Clone)]
pub(crate) struct Permute {
    pub(crate) perm: Vec<usize>,
    pub(crate) kernels: Kernels,
}

impl Operator for Permute {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        Ok(vec![self.perm.iter().filter_map(|axis| from.get(*axis).copied()).collect()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let output = io.output(0)?;
        // Matrices side by side have a kernel.
        if let (DType::F32, &[batch, rows, cols], [0, 2, 1]) = (input.dtype, input.shape, self.perm.as_slice()) {
            let (from, to, size) = (input.as_slice::<f32>()?, output.as_slice::<f32>()?, rows * cols);
            for (from, to) in from.chunks_exact(size.max(1)).zip(to.chunks_exact_mut(size.max(1))).take(batch) {
                let from = kernels::View::dense(from, rows, cols).map_err(text)?;
                let to = kernels::ViewMut::dense(to, cols, rows).map_err(text)?;
                self.kernels.transpose(from, to).map_err(text)?;
            }
            return Ok(());
        }
        Strided::dense(input.shape).transposed(&self.perm).copy(input, output)
    }
}
