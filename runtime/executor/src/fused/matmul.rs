//! Matrix products: with constant weights that are packed when the plan is made, or with two operands.

use super::Epilogue;
use super::chain::text;
use super::share::{cut, share, tasks};
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::plan::per_thread;
use crate::shape;
use crate::view::{Failure, View, floats_mut};
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::{KernelError, PackedWeights, Step, Storage, ThreadPool};

/// Where the second matrix comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    /// A constant `[k, n]` (or `[n, k]`) and a bias that may be absent, before they are packed: operands 1 and 2.
    Constant { transposed: bool },
    /// Operand 1, weights and bias packed; how the weights stay as they are stored, `None` if they are numbers.
    Packed(Option<Storage>),
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

/// How weights are stored, for a description.
pub(super) fn of_storage(storage: Option<Storage>) -> &'static str {
    match storage {
        None => "",
        Some(Storage::Half) => " of 16 bits",
        Some(Storage::Int8(_)) => " of 8 bits",
        Some(Storage::Int4(_)) => " of 4 bits",
    }
}

/// Packed weights that a layer reads.
pub(super) fn packed<'a>(storage: Option<Storage>, weights: View<'a>) -> Result<PackedWeights<'a>, Failure> {
    Ok(match storage {
        None => PackedWeights::Floats(weights.as_slice()?),
        Some(storage) => PackedWeights::Stored(storage, weights.bytes),
    })
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
        let scratch_len = match self.weights {
            Weights::Constant { .. } => 0,
            Weights::Packed(storage) => self.product.scratch_len(self.batch * self.rows, storage),
            Weights::Operand { .. } => self.product.packed_len(),
        };
        scratch_len.saturating_mul(4)
    }

    fn shares(&self) -> bool {
        matches!(self.weights, Weights::Operand { .. } | Weights::Packed(Some(_)))
    }

    fn flops(&self, _: &Facts<'_>) -> usize {
        2 * shape::len(&[self.batch, self.rows, self.product.k(), self.product.n()])
    }

    fn detail(&self) -> String {
        let (m, k, n) = (self.rows, self.product.k(), self.product.n());
        let stored = of_storage(match self.weights {
            Weights::Packed(storage) => storage,
            Weights::Constant { .. } | Weights::Operand { .. } => None,
        });
        format!("{} x [{m}, {k}] x [{k}, {n}]{stored}{}", self.batch, self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, weights) = (io.input(0)?.as_slice::<f32>()?, io.input(1)?);
        let operands = io.inputs.get(self.operands()..).unwrap_or_default();
        let scratch = floats_mut(io.scratch)?;
        let (pool, work) = (io.pool, Operator::flops(self, &Facts(&[])));
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let (m, k, n) = (self.rows, self.product.k(), self.product.n());
        let rows = self.batch * m;
        let c = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, n).map_err(text)?;
        let tasks = tasks(pool, work);
        if let Weights::Operand { transposed } = self.weights {
            let b = weights.as_slice::<f32>()?;
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
        let storage = match self.weights {
            Weights::Packed(storage) => storage,
            Weights::Constant { .. } | Weights::Operand { .. } => None,
        };
        let b = packed(storage, weights)?;
        self.epilogue.with_steps(operands, &self.shape, rows, n, |steps| {
            self.run_shared(pool, tasks, a, b, c, steps, scratch).map_err(text)
        })
    }
}

impl MatMul {
    /// The product with packed weights, shared between threads by columns where there are few rows, else by rows. Weights that are
    /// stored are shared by columns where there are enough: so each panel is widened once.
    #[expect(clippy::too_many_arguments, reason = "those of the kernel, and how to share them")]
    fn run_shared(
        &self,
        pool: Option<&dyn ThreadPool>,
        tasks: usize,
        a: kernels::View<'_>,
        b: PackedWeights<'_>,
        c: kernels::ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        let (rows, panels, storage) = (a.rows(), self.product.panels(), b.storage());
        let each = per_thread(self.product.scratch_len(rows, storage).saturating_mul(4)) / 4;
        let mut scratches = scratch.chunks_mut(each.max(1));
        let mut rest = Some(c);
        let by_columns = tasks > 1 && (rows < 16 * tasks || storage.is_some() && panels >= tasks);
        let (len, unit) = if by_columns { (panels, 1) } else { (rows, 8) };
        let parts = cut(len, tasks, unit).filter_map(|run| {
            let whole = rest.take()?;
            let ((part, more), rows, panels) = if by_columns {
                (whole.split_cols(self.product.columns(run.clone()).len()), 0..rows, run)
            } else {
                (whole.split_rows(run.len()), run, 0..panels)
            };
            rest = Some(more);
            Some((rows, panels, part, scratches.next().unwrap_or_default()))
        });
        share(pool, parts, |(rows, panels, part, scratch)| {
            self.product.run_part(rows, panels, a, b, part, steps, scratch)
        })
    }
}
