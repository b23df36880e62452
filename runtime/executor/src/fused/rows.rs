//! Operators along the rows of a matrix.

use super::chain::text;
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::Kernels;

fn same_shape(inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
    Ok(vec![inputs.shape(0)?.to_vec()])
}

/// Softmax along the last axis.
#[derive(Debug, Clone)]
pub(crate) struct Softmax {
    pub(crate) kernels: Kernels,
    pub(crate) log: bool,
}

impl Operator for Softmax {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        same_shape(inputs)
    }

    fn in_place(&self) -> &'static [usize] {
        if self.log { &[] } else { &[0] }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.get(0);
        let output = io.output(0)?;
        let cols = shape::row_len(output.shape);
        let rows = output.len() / cols.max(1);
        let to = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, cols).map_err(text)?;
        let Some(input) = input else {
            self.kernels.softmax_in_place(to);
            return Ok(());
        };
        let from = kernels::View::dense(input.as_slice::<f32>()?, rows, cols).map_err(text)?;
        if self.log { self.kernels.log_softmax(from, to) } else { self.kernels.softmax(from, to) }.map_err(text)
    }
}

/// Layer normalisation along the last axes. Operands: the tensor, scale and shift (either may be absent).
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    pub(crate) kernels: Kernels,
    /// Elements of one row.
    pub(crate) cols: usize,
    pub(crate) epsilon: f32,
}

impl Operator for LayerNorm {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        same_shape(inputs)
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let scale = io.get(1).map(|view| view.as_slice::<f32>()).transpose()?;
        let shift = io.get(2).map(|view| view.as_slice::<f32>()).transpose()?;
        let output = io.output(0)?;
        let rows = output.len() / self.cols.max(1);
        let from = kernels::View::dense(input.as_slice::<f32>()?, rows, self.cols).map_err(text)?;
        let to = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, self.cols).map_err(text)?;
        self.kernels.layer_norm(from, to, scale, shift, self.epsilon).map_err(text)
    }
}

/// A reduction along neighbouring axes: of `[outer, along, inner]` the middle one.
#[derive(Debug, Clone)]
pub(crate) struct Reduce {
    pub(crate) kernels: Kernels,
    pub(crate) reduce: kernels::Reduce,
    pub(crate) outer: usize,
    pub(crate) along: usize,
    pub(crate) inner: usize,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl Operator for Reduce {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let from = io.input(0)?.as_slice::<f32>()?;
        let to = io.output(0)?.as_slice::<f32>()?;
        if self.inner == 1 {
            let from = kernels::View::dense(from, self.outer, self.along).map_err(text)?;
            return self.kernels.reduce_rows(self.reduce, from, to).map_err(text);
        }
        let blocks = from.chunks_exact((self.along * self.inner).max(1)).zip(to.chunks_exact_mut(self.inner.max(1)));
        for (from, to) in blocks.take(self.outer) {
            let from = kernels::View::dense(from, self.along, self.inner).map_err(text)?;
            self.kernels.reduce_cols(self.reduce, from, to).map_err(text)?;
        }
        Ok(())
    }
}
