//! Nodes whose answer is known.

use super::Tally;
use crate::import::evaluate;
use crate::import::model::{Constant, Element, Model, for_each_body, output};
use crate::import::tensor::size_bytes;
use pannier_engine::Engine;
use pannier_graph::{Attribute, DType, Node, ValueId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A constant of this size is folded even if what it is computed from is smaller.
const SMALL_BYTES: u64 = 4 << 10;

/// Operators that are not evaluated here: those that give another answer every time; and `DequantizeLinear`, by which engines know
/// what they can compute with integers.
const KEPT: &[&str] = &[
    "Bernoulli",
    "DequantizeLinear",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
];

/// Nodes that the engine could not evaluate, by their first output: they are not tried again.
pub(super) type Failed = BTreeSet<ValueId>;

/// Replaces nodes by constants: those whose inputs are constant, and those that only read shapes that are known.
///
/// A constant may not be larger than what it is computed from, except up to 4 KiB: otherwise a file would grow by what
/// an `Expand` or a dequantization unpacks.
pub(super) fn constants(model: &mut Model, engine: &dyn Engine, failed: &mut Failed, tally: &mut Tally) {
    let mut body = std::mem::take(&mut model.body);
    let mut folded = 0;
    for_each_body(&mut body, &mut |body| {
        body.nodes.retain(|node| {
            let found = by_elements(model, node).or_else(|| by_engine(model, node, engine, failed));
            let Some(constants) = found else { return true };
            for (value, constant) in constants {
                model.set_constant(value, constant);
            }
            folded += 1;
            false
        });
    });
    model.body = body;
    tally.add(["folded 1 constant node", "folded # constant nodes"], folded);
}

/// The answer of a node that computes a list of integers, all of which inference knows.
fn by_elements(model: &Model, node: &Node) -> Option<Vec<(ValueId, Constant)>> {
    let [Some(value)] = node.outputs.as_slice() else { return None };
    let r#type = model.r#type(*value);
    let elements = r#type.elements.as_ref()?;
    let known = |element: &Element| if let Element::Known(value) = element { Some(*value) } else { None };
    let ints: Vec<i64> = elements.iter().map(known).collect::<Option<_>>()?;
    let shape = r#type.fixed_shape()?;
    let bytes: Vec<u8> = match r#type.dtype? {
        DType::I64 => ints.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::I32 => {
            let narrow: Vec<i32> = ints.iter().map(|value| i32::try_from(*value).ok()).collect::<Option<_>>()?;
            narrow.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        _ => return None,
    };
    let dtype = r#type.dtype?;
    if size_bytes(dtype, &shape) != Some(bytes.len() as u64) {
        return None;
    }
    Some(vec![(*value, Constant { dtype, shape, bytes: Arc::new(bytes) })])
}

/// The answer of a node whose inputs are all constant.
fn by_engine(model: &Model, node: &Node, engine: &dyn Engine, failed: &mut Failed) -> Option<Vec<(ValueId, Constant)>> {
    let constant = node.inputs.iter().flatten().all(|value| model.constants.contains_key(value));
    let nested = node.attributes.iter().any(|(_, attribute)| matches!(attribute, Attribute::Body(_)));
    let first = output(node, 0).or_else(|| node.outputs.iter().flatten().next().copied())?;
    if !constant || nested || KEPT.contains(&node.op.as_str()) || failed.contains(&first) {
        return None;
    }
    let inputs = node.inputs.iter().flatten().filter_map(|value| model.constants.get(value));
    let most_bytes = inputs.map(|constant| constant.bytes.len() as u64).sum::<u64>().max(SMALL_BYTES);
    let result = if expected_bytes(model, node).is_some_and(|expected| expected > most_bytes) {
        None
    } else {
        evaluate::node(model, node, engine)
    };
    let result = result.filter(|constants| {
        constants.iter().map(|(_, constant)| constant.bytes.len() as u64).sum::<u64>() <= most_bytes
    });
    if result.is_none() {
        failed.insert(first);
    }
    result
}

/// Size of a node's outputs together; `None` if a shape is not known.
fn expected_bytes(model: &Model, node: &Node) -> Option<u64> {
    node.outputs.iter().flatten().try_fold(0u64, |total, value| {
        let r#type = model.r#type(*value);
        total.checked_add(size_bytes(r#type.dtype?, &r#type.fixed_shape()?)?)
    })
}
