//! Running one node on constants, through an engine.

use super::model::{Constant, Model, Type};
use super::weights;
use pannier_engine::{Engine, RunBudget};
use pannier_graph::{Body, Node, ValueId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The outputs of a node whose inputs are all constant; `None` if the engine cannot run it.
///
/// The node must not have nested bodies: they could use values that are not constant.
pub(super) fn node(model: &Model, node: &Node, engine: &dyn Engine) -> Option<Vec<(ValueId, Constant)>> {
    // A model of its own with this one node.
    let mut alone = Model::default();
    let mut ids: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    let mut call = node.clone();
    for value in call.inputs.iter_mut().flatten() {
        let constant = model.constants.get(value)?.clone();
        let name = model.name(*value);
        *value = *ids.entry(*value).or_insert_with(|| alone.constant(name, constant));
    }
    let wanted: Vec<ValueId> = call.outputs.iter().flatten().copied().collect();
    for value in call.outputs.iter_mut().flatten() {
        *value = alone.value(model.name(*value));
    }
    let outputs = call.outputs.iter().flatten().copied().collect();
    if !node.domain.is_empty() {
        alone.domains.insert(node.domain.clone(), model.domains.get(&node.domain).copied().unwrap_or(1));
    }
    alone.body = Body { inputs: Vec::new(), outputs, nodes: vec![call], weights: Vec::new() };
    let program = weights::program(alone).ok()?;
    let budget = RunBudget { memory_bytes: Some(MOST_BYTES), watch: None };
    let results = engine.prepare(&program, &budget).ok()?.run(&[], &budget).ok()?;
    if results.len() != wanted.len() {
        return None;
    }
    let mut constants = Vec::new();
    for (value, result) in wanted.into_iter().zip(results) {
        let constant = Constant {
            dtype: result.dtype(),
            shape: result.shape().iter().map(|size| *size as u64).collect(),
            bytes: Arc::new(result.bytes().to_vec()),
        };
        // An engine that disagrees with the standard about a type must not decide it.
        if !agrees(model.r#type(value), &constant) {
            return None;
        }
        constants.push((value, constant));
    }
    Some(constants)
}

/// Most memory that one evaluation may take.
const MOST_BYTES: u64 = 1 << 30;

fn agrees(r#type: &Type, constant: &Constant) -> bool {
    let found = constant.r#type();
    let dtype = r#type.dtype.is_none() || r#type.dtype == found.dtype;
    let shape = match (r#type.fixed_shape(), &r#type.shape) {
        (Some(shape), _) => shape == constant.shape,
        (None, Some(shape)) => shape.len() == constant.shape.len(),
        (None, None) => true,
    };
    dtype && shape
}
