//! What this engine can run, told from the graph alone.

use crate::attributes::Attributes;
use crate::failure::{Failure, label, qualified};
use crate::ops;
use pannier_engine::Unsupported;
use pannier_graph::{Graph, Node, ValueId};
use std::collections::HashSet;

/// Every node that cannot run.
pub(crate) fn check(graph: &Graph) -> Result<(), Vec<Unsupported>> {
    // Small inputs are known to the CPU. Whether one is small shows when it comes.
    let inputs = graph.body.inputs.iter().map(|input| input.value);
    let weights = graph.body.weights.iter().map(|weight| weight.value);
    let mut known: HashSet<ValueId> = inputs.chain(weights).collect();
    let mut missing = Vec::new();
    for node in &graph.body.nodes {
        match support(node, &known) {
            Ok(true) => known.extend(node.outputs.iter().flatten()),
            Ok(false) => {}
            Err(reason) => {
                missing.push(Unsupported { op: qualified(node), node: label(node).to_string(), reason });
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Whether the CPU may know what a node computes, or why it cannot run.
fn support(node: &Node, known: &HashSet<ValueId>) -> Result<bool, String> {
    let operator = ops::find(node).ok_or("operator")?;
    match (operator.check)(&Attributes(node)) {
        // What breaks the standard is no missing operator: running says what is wrong with it.
        Ok(()) | Err(Failure::Invalid(_)) => {}
        Err(Failure::Unsupported(reason)) => return Err(reason),
        Err(other) => return Err(format!("{other:?}")),
    }
    for index in operator.needs {
        if node.inputs.get(*index).copied().flatten().is_some_and(|value| !known.contains(&value)) {
            return Err(format!("operand {index} depends on data"));
        }
    }
    Ok(operator.host.is_some()
        && (operator.of_shapes || node.inputs.iter().flatten().all(|value| known.contains(value))))
}
