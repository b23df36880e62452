//! What this engine can run, told without running or planning anything.

use crate::import::{NESTED, label, qualified};
use crate::ops::{self, Refusal};
use pannier_engine::{DType, Unsupported};
use pannier_graph::{Attribute, Body, Graph, Input, Node, ValueId};
use std::collections::HashMap;

/// What is known of a value before shapes are.
#[derive(Debug, Clone, Copy)]
struct Known {
    dtype: Option<DType>,
    /// Whether its elements can be known when a plan is made: they depend on shapes and on small inputs only.
    when_planned: bool,
}

/// Every node that cannot run, nested ones too.
pub(crate) fn check(graph: &Graph) -> Result<(), Vec<Unsupported>> {
    let mut check = Check { known: HashMap::new(), missing: Vec::new() };
    for input in &graph.body.inputs {
        let known = Known { dtype: input.dtype, when_planned: may_steer(input) };
        check.known.insert(input.value, known);
    }
    check.body(&graph.body);
    if check.missing.is_empty() { Ok(()) } else { Err(check.missing) }
}

/// Whether an input is such as says a shape, an axis or a condition.
pub(crate) fn may_steer(input: &Input) -> bool {
    let small = input.shape.as_ref().is_some_and(|shape| shape.len() <= 1);
    small && input.dtype.is_some()
}

struct Check {
    known: HashMap<ValueId, Known>,
    missing: Vec<Unsupported>,
}

impl Check {
    fn body(&mut self, body: &Body) {
        for weight in &body.weights {
            self.known.insert(weight.value, Known { dtype: Some(weight.dtype), when_planned: true });
        }
        for node in &body.nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        let operands: Vec<Option<Known>> =
            node.inputs.iter().map(|value| value.and_then(|value| self.known.get(&value).copied())).collect();
        match (node.domain.as_str(), node.op.as_str()) {
            ("", "If") => return self.branches(node, &operands),
            ("", "Loop" | "Scan") if NESTED => return self.repeated(node, &operands),
            _ => {}
        }
        let (types, reason) = match types(node, &operands) {
            Ok(types) => (types, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        if let Some(reason) = reason {
            self.missing.push(Unsupported { op: qualified(node), node: label(node).to_string(), reason });
        }
        // A node is known with its operands; of some only the shape matters.
        let of_shapes = matches!(node.op.as_str(), "Shape" | "Size");
        let when_planned = of_shapes || operands.iter().flatten().all(|known| known.when_planned);
        for (index, output) in node.outputs.iter().enumerate() {
            if let Some(output) = output {
                self.known.insert(*output, Known { dtype: types.get(index).copied(), when_planned });
            }
        }
    }

    fn missing(&mut self, node: &Node, reason: &str) {
        let (op, node, reason) = (qualified(node), label(node).to_string(), reason.to_string());
        self.missing.push(Unsupported { op, node, reason });
    }

    fn branches(&mut self, node: &Node, operands: &[Option<Known>]) {
        let chosen = matches!(operands.first(), Some(Some(known)) if known.when_planned);
        if !chosen && !NESTED {
            self.missing(node, "a condition that depends on data");
        }
        for (_, attribute) in &node.attributes {
            let Attribute::Body(body) = attribute else { continue };
            self.body(body);
            for (inner, outer) in body.outputs.iter().zip(&node.outputs) {
                if let (Some(known), Some(outer)) = (self.known.get(inner).copied(), outer) {
                    self.known.insert(*outer, Known { when_planned: known.when_planned && chosen, ..known });
                }
            }
        }
    }

    /// `Loop` and `Scan`: nothing in their programs is known but what lies around them, and that a step is done because it is to be.
    fn repeated(&mut self, node: &Node, operands: &[Option<Known>]) {
        let Some(Attribute::Body(body)) = node.attribute("body") else { return };
        let leading = if node.op == "Loop" { 2 } else { 0 };
        for (index, input) in body.inputs.iter().enumerate() {
            let known = match index {
                0 if leading == 2 => Known { dtype: Some(DType::I64), when_planned: false },
                1 if leading == 2 => Known { dtype: Some(DType::Bool), when_planned: true },
                _ => {
                    let dtype = operands.get(index).copied().flatten().and_then(|known| known.dtype);
                    Known { dtype: dtype.or(input.dtype), when_planned: false }
                }
            };
            self.known.insert(input.value, known);
        }
        self.body(body);
        let known = |operand: usize| operands.get(operand).copied().flatten().is_none_or(|known| known.when_planned);
        let collects = node.outputs.len() > operands.len().saturating_sub(2);
        let ends = body.outputs.first().and_then(|value| self.known.get(value)).is_none_or(|known| known.when_planned);
        if leading == 2 && collects && !(known(0) && known(1) && ends) {
            self.missing(node, "results of each step of a loop that data ends");
        }
        let results = body.outputs.get(leading.min(1)..).unwrap_or_default();
        for (inner, outer) in results.iter().zip(&node.outputs) {
            if let (Some(known), Some(outer)) = (self.known.get(inner).copied(), outer) {
                self.known.insert(*outer, Known { when_planned: false, ..known });
            }
        }
    }
}

/// Types of the results, or what is missing.
fn types(node: &Node, operands: &[Option<Known>]) -> Result<Vec<DType>, String> {
    let reason = |refusal: Refusal| match refusal {
        Refusal::Unsupported(reason) => Some(reason),
        // An invalid node is no missing operator: preparing says what is wrong with it.
        Refusal::Invalid(_) | Refusal::NeedsValue(_) => None,
    };
    let operator = match ops::build(node) {
        Ok(operator) => operator,
        Err(refusal) => return reason(refusal).map_or(Ok(Vec::new()), Err),
    };
    for index in operator.needs() {
        if matches!(operands.get(*index), Some(Some(known)) if !known.when_planned) {
            return Err(format!("operand {index} depends on data"));
        }
    }
    let types: Vec<Option<DType>> = operands.iter().map(|known| known.and_then(|known| known.dtype)).collect();
    // After a node that is missing types are unknown; one that is missing is enough to say.
    if operands.iter().flatten().any(|known| known.dtype.is_none()) {
        return Ok(Vec::new());
    }
    operator.types(&types).or_else(|refusal| reason(refusal).map_or(Ok(Vec::new()), Err))
}
