//! Rows of a table by index: what a product with one-hot rows amounts to.

use crate::ops::{Facts, Io, Operator, Refusal, expect_type, gather_index};
use crate::view::Failure;
use pannier_engine::DType;

/// Operands: the table `[rows + 1, width]` and the indices. An index that is no row takes the last row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) rows: usize,
    /// Shape of the result: that of the indices, and the width.
    pub(crate) shape: Vec<usize>,
}

impl Operator for Lookup {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, &[DType::I32, DType::I64])?;
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (table, indices) = (io.input(0)?.as_slice::<f32>()?, io.input(1)?);
        let width = crate::shape::row_len(&self.shape);
        let to = io.output(0)?.as_slice::<f32>()?;
        for (at, slot) in to.chunks_exact_mut(width.max(1)).enumerate() {
            let index = usize::try_from(gather_index(indices, at)?).unwrap_or(usize::MAX).min(self.rows);
            slot.copy_from_slice(table.get(index * width..(index + 1) * width).ok_or("a row outside of the table")?);
        }
        Ok(())
    }
}
