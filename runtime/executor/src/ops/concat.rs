//! `Concat`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::ir::Op;
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use pannier_graph::{Attribute, Node};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Concat {
    pub(crate) axis: i64,
}

/// `Concat`
pub(crate) fn concat(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Concat { axis: attributes.int("axis", 0)? }))
}

/// A concatenation as a node of the compiler.
pub(crate) fn along(axis: usize) -> Option<Op> {
    let axis = i64::try_from(axis).ok()?;
    let node = Node {
        name: String::new(),
        domain: String::new(),
        op: "Concat".into(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        attributes: vec![("axis".into(), Attribute::Int(axis))],
    };
    Some(Op::Standard { node: Arc::new(node), operator: Arc::new(Concat { axis }) })
}

impl Operator for Concat {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        (1..inputs.len()).try_for_each(|index| expect_same(inputs, index, dtype))?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let mut result = inputs.shape(0)?.to_vec();
        let axis = shape::axis(self.axis, result.len())?;
        for index in 1..inputs.0.len() {
            let part = inputs.shape(index)?;
            let fits = part.len() == result.len() && (0..part.len()).all(|i| i == axis || part[i] == result[i]);
            if !fits {
                return Err(Refusal::Invalid(format!("{part:?} does not fit {result:?} but for axis {axis}")));
            }
            result[axis] = result[axis].saturating_add(part[axis]);
        }
        Ok(vec![result])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let parts = io.inputs;
        let output = io.output(0)?;
        let axis = shape::axis(self.axis, output.shape.len())?;
        let (outer, along, inner) = shape::around(output.shape, axis);
        let row = along * inner * output.dtype.size_bytes();
        let mut start = 0;
        for part in parts.iter().flatten() {
            let size = part.bytes.len() / outer.max(1);
            if size == 0 {
                continue;
            }
            for (to, from) in output.bytes.chunks_exact_mut(row).zip(part.bytes.chunks_exact(size)) {
                to.get_mut(start..start + size).ok_or("a part is too large")?.copy_from_slice(from);
            }
            start += size;
        }
        Ok(())
    }
}
