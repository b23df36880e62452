//! Matrix products: with constant weights that are packed when the plan is made, or with two operands.

use super::Epilogue;
use super::chain::text;
use super::conv::floats;
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use pannier_kernels as kernels;

/// Where the second matrix comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    /// A constant `[k, n]` (or `[n, k]`) and a bias that may be absent, before they are packed: operands 1 and 2.
    Constant { transposed: bool },
    /// Operand 1, weights and bias packed.
    Packed,
    /// Operand 1, `[batch, k, n]` (or `[batch, n, k]`), packed by each run.
    Operand { transposed: bool },
}

/// `A B + bias`, then the epilogue; A is operand 0, `[batch, m, k]`.
#[derive(Debug, Clone)]
pub(crate) struct MatMul {
    pub(crate) product: kernels::MatMul,
    pub(crate) weights: Weights,
    /// Products side by side; constant weights are the same for all, so there it is 1.
    pub(crate) batch: usize,
    pub(crate) rows: usize,
    pub(crate) epilogue: Epilogue,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl MatMul {
    /// Index of the epilogue's first operand.
    pub(crate) fn operands(&self) -> usize {
        if matches!(self.weights, Weights::Constant { .. }) { 3 } else { 2 }
    }
}

impl Operator for MatMul {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        if matches!(self.weights, Weights::Operand { .. }) { self.product.packed_len().saturating_mul(4) } else { 0 }
    }

    fn flops(&self, _: &Facts<'_>) -> usize {
        2 * shape::len(&[self.batch, self.rows, self.product.k(), self.product.n()])
    }

    fn detail(&self) -> String {
        let (m, k, n) = (self.rows, self.product.k(), self.product.n());
        format!("{} x [{m}, {k}] x [{k}, {n}]{}", self.batch, self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, b) = (io.input(0)?.as_slice::<f32>()?, io.input(1)?.as_slice::<f32>()?);
        let operands = io.inputs.get(self.operands()..).unwrap_or_default();
        let scratch = floats(io.scratch)?;
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let (m, k, n) = (self.rows, self.product.k(), self.product.n());
        let out = output.as_slice::<f32>()?;
        if let Weights::Operand { transposed } = self.weights {
            let packed = scratch.get_mut(..self.product.packed_len()).ok_or("too little scratch memory")?;
            for batch in 0..self.batch {
                let matrix = b.get(batch * k * n..).unwrap_or_default();
                let packing = if transposed {
                    kernels::View::dense(matrix, n, k).and_then(|b| self.product.pack_transposed(b, None, packed))
                } else {
                    kernels::View::dense(matrix, k, n).and_then(|b| self.product.pack(b, None, packed))
                };
                packing.map_err(text)?;
                let a = kernels::View::dense(a.get(batch * m * k..).unwrap_or_default(), m, k).map_err(text)?;
                let c =
                    kernels::ViewMut::dense(out.get_mut(batch * m * n..).unwrap_or_default(), m, n).map_err(text)?;
                self.epilogue.with_steps(operands, self.batch * m, n, |steps| {
                    self.product.run(a, packed, c, steps).map_err(text)
                })?;
            }
            return Ok(());
        }
        let rows = self.batch * m;
        let a = kernels::View::dense(a, rows, k).map_err(text)?;
        let c = kernels::ViewMut::dense(out, rows, n).map_err(text)?;
        self.epilogue.with_steps(operands, rows, n, |steps| self.product.run(a, b, c, steps).map_err(text))
    }
}
