//! `Softmax`, `LogSoftmax` and `Hardmax`.

use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Soft,
    Log,
    Hard,
}

#[derive(Debug)]
struct Softmax {
    kind: Kind,
    axis: i64,
}

/// `Softmax` and `LogSoftmax`
pub(crate) fn softmax(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let kind = if attributes.op() == "Softmax" { Kind::Soft } else { Kind::Log };
    Ok(Arc::new(Softmax { kind, axis: attributes.int("axis", -1)? }))
}

/// `Hardmax`
pub(crate) fn hardmax(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Softmax { kind: Kind::Hard, axis: attributes.int("axis", -1)? }))
}

impl Operator for Softmax {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, FLOATS)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        shape::axis(self.axis, from.len())?;
        Ok(vec![from.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let output = io.output(0)?;
        let (outer, along, inner) = shape::around(input.shape, shape::axis(self.axis, input.shape.len())?);
        let (from, mut to) = (input.numbers::<f64>()?, output.numbers::<f64>()?);
        let mut line = vec![0.0; along];
        for index in 0..outer * inner {
            let start = index / inner * along * inner + index % inner;
            for (step, value) in line.iter_mut().enumerate() {
                *value = from.at(start + step * inner);
            }
            self.line(&mut line);
            for (step, value) in line.iter().enumerate() {
                to.set(start + step * inner, *value);
            }
        }
        Ok(())
    }
}

impl Softmax {
    fn line(&self, line: &mut [f64]) {
        let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.kind == Kind::Hard {
            let first = line.iter().position(|value| *value == largest);
            line.iter_mut().enumerate().for_each(|(index, value)| *value = f64::from(u8::from(Some(index) == first)));
            return;
        }
        let sum: f64 = line.iter().map(|value| (value - largest).exp()).sum();
        for value in line {
            *value = match self.kind {
                Kind::Log => *value - largest - sum.ln(),
                _ => (*value - largest).exp() / sum,
            };
        }
    }
}
