//! Matrix products: with constant weights that are packed when the plan is made, or with two operands.

use super::Epilogue;
use super::chain::text;
use super::share::{cut, share, tasks};
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::plan::per_thread;
use crate::shape;
use crate::view::{Failure, floats_mut};
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

    fn shares(&self) -> bool {
        matches!(self.weights, Weights::Operand { .. })
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
        let scratch = floats_mut(io.scratch)?;
        let (pool, work) = (io.pool, Operator::flops(self, &Facts(&[])));
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let (m, k, n) = (self.rows, self.product.k(), self.product.n());
        let rows = self.batch * m;
        let c = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, n).map_err(text)?;
        let tasks = tasks(pool, work);
        if let Weights::Operand { transposed } = self.weights {
            let each = per_thread(self.product.packed_len().saturating_mul(4)) / 4;
            let tasks = tasks.min(self.batch).max(1);
            let (mut rest, mut scratches) = (Some(c), scratch.chunks_mut(each.max(1)));
            let parts = cut(self.batch, tasks, 1).filter_map(|batches| {
                let (part, more) = rest.take()?.split_rows(batches.len() * m);
                rest = Some(more);
                Some((batches, part, scratches.next().unwrap_or_default()))
            });
            return self.epilogue.with_steps(operands, &self.shape, rows, n, |steps| {
                share(pool, parts, |(batches, mut rest, scratch)| {
                    let packed = scratch.get_mut(..self.product.packed_len()).unwrap_or_default();
                    for batch in batches {
                        let matrix = b.get(batch * k * n..).unwrap_or_default();
                        if transposed {
                            self.product.pack_transposed(kernels::View::dense(matrix, n, k)?, None, packed)?;
                        } else {
                            self.product.pack(kernels::View::dense(matrix, k, n)?, None, packed)?;
                        }
                        let a = kernels::View::dense(a.get(batch * m * k..).unwrap_or_default(), m, k)?;
                        let (part, more) = rest.split_rows(m);
                        self.product.run(a, packed, part, steps)?;
                        rest = more;
                    }
                    Ok(())
                })
                .map_err(text)
            });
        }
        let a = kernels::View::dense(a, rows, k).map_err(text)?;
        self.epilogue.with_steps(operands, &self.shape, rows, n, |steps| {
            let mut rest = Some(c);
            if tasks > 1 && rows < 16 * tasks {
                let parts = cut(self.product.panels(), tasks, 1).filter_map(|panels| {
                    let (part, more) = rest.take()?.split_cols(self.product.columns(panels.clone()).len());
                    rest = Some(more);
                    Some((panels, part))
                });
                share(pool, parts, |(panels, part)| self.product.run_panels(panels, a, b, part, steps))
            } else {
                let parts = cut(rows, tasks, 8).filter_map(|run| {
                    let (part, more) = rest.take()?.split_rows(run.len());
                    rest = Some(more);
                    Some((run, part))
                });
                share(pool, parts, |(run, part)| self.product.run_rows(run, a, b, part, steps))
            }
            .map_err(text)
        })
    }
}
