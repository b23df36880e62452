//! A tensor repeated to another shape.

use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::strided::{Strided, signed};
use crate::view::Failure;
use pannier_engine::DType;

/// Operand: any tensor that broadcasts to the shape.
#[derive(Debug, Clone)]
pub(crate) struct Expand {
    pub(crate) shape: Vec<usize>,
}

impl Operator for Expand {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let strides = shape::broadcast_strides(input.shape, &self.shape).into_iter().map(signed).collect();
        Strided { shape: self.shape.clone(), base: 0, strides }.copy(input, io.output(0)?)
    }
}
