//! `Transpose`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::strided::Strided;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

/// Axes in another order; reversed if none is given.
#[derive(Debug)]
struct Transpose(Option<Vec<i64>>);

/// `Transpose`
pub(crate) fn transpose(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Transpose(attributes.ints("perm")?.map(<[i64]>::to_vec))))
}

impl Transpose {
    fn order(&self, rank: usize) -> Result<Vec<usize>, String> {
        let Some(perm) = &self.0 else { return Ok((0..rank).rev().collect()) };
        let perm = shape::axes(perm, rank)?;
        if perm.len() == rank { Ok(perm) } else { Err("perm and rank differ".into()) }
    }
}

impl Operator for Transpose {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        Ok(vec![self.order(from.len())?.iter().map(|axis| from[*axis]).collect()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let perm = self.order(input.shape.len())?;
        Strided::dense(input.shape).transposed(&perm).copy(input, io.output(0)?)
    }
}

/// The order of axes of a `Transpose` node of this rank.
pub(crate) fn order(perm: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, String> {
    Transpose(perm.map(<[i64]>::to_vec)).order(rank)
}
