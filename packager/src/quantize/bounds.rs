//! What a value cannot exceed, whatever the input is: no calibration has to find that out.

use pannier_engine::Program;
use pannier_graph::{Attribute, Graph, Node, ValueId};

/// Operators that only move numbers, or take some of them, or average them.
const PASSING: &[&str] = &[
    "AveragePool",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
/// How far back such operators are followed.
const MOST_STEPS: usize = 8;

/// Nothing is known.
const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// Minima of `x HardSigmoid(x)` (at -1.5), `x Sigmoid(x)` (at -1.278) and the exact `Gelu` (at -0.752), rounded away from zero.
const HARD_SWISH: f32 = -0.375;
const SILU: f32 = -0.278_465;
const GELU: f32 = -0.170_041;

/// Smallest and largest number that a value can be; infinite where that is not known.
pub(super) fn of(program: &Program, mut value: ValueId) -> [f32; 2] {
    let graph = &program.graph;
    for _ in 0..MOST_STEPS {
        let Some(node) = maker(graph, value) else { break };
        if !PASSING.contains(&node.op.as_str()) {
            // The cell of an LSTM has no bounds.
            let cell = node.outputs.get(2) == Some(&Some(value));
            return if cell { UNBOUNDED } else { of_node(program, node) };
        }
        let Some(input) = node.inputs.first().copied().flatten() else { break };
        value = input;
    }
    UNBOUNDED
}

fn of_node(program: &Program, node: &Node) -> [f32; 2] {
    match node.op.as_str() {
        "Sigmoid" | "HardSigmoid" | "Softmax" => [0.0, 1.0],
        "Tanh" => [-1.0, 1.0],
        "LSTM" if node.attribute("activations").is_none() => [-1.0, 1.0],
        "Relu" => [0.0, f32::INFINITY],
        "HardSwish" => [HARD_SWISH, f32::INFINITY],
        "Gelu" => [GELU, f32::INFINITY],
        "Mul" => [gated(&program.graph, node).unwrap_or(f32::NEG_INFINITY), f32::INFINITY],
        "Clip" => {
            let limit = |operand: usize| constant(program, (*node.inputs.get(operand)?)?);
            [limit(1).unwrap_or(f32::NEG_INFINITY), limit(2).unwrap_or(f32::INFINITY)]
        }
        _ => UNBOUNDED,
    }
}

/// The least of a number times a gate of the same number.
fn gated(graph: &Graph, node: &Node) -> Option<f32> {
    let [Some(a), Some(b)] = node.inputs.as_slice() else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(number, gate)| {
        let gate = maker(graph, *gate).filter(|gate| gate.inputs.first() == Some(&Some(*number)))?;
        match gate.op.as_str() {
            "Sigmoid" => Some(SILU),
            // `max(0, min(1, x / 6 + 1 / 2))`
            "HardSigmoid" => {
                let alpha = matches!(gate.attribute("alpha"), Some(Attribute::Float(alpha)) if (alpha * 6.0 - 1.0).abs() < 1e-4);
                let beta = matches!(gate.attribute("beta"), None | Some(Attribute::Float(0.5)));
                (alpha && beta).then_some(HARD_SWISH)
            }
            _ => None,
        }
    })
}

fn maker(graph: &Graph, value: ValueId) -> Option<&Node> {
    graph.body.nodes.iter().find(|node| node.domain.is_empty() && node.outputs.contains(&Some(value)))
}

/// A constant of one number of binary32.
fn constant(program: &Program, value: ValueId) -> Option<f32> {
    let weight = program.graph.body.weights.iter().find(|weight| weight.value == value)?;
    let bytes = weight.decode(|span| program.bytes(span))?;
    let one = <[u8; 4]>::try_from(&bytes[..]).ok().map(f32::from_le_bytes)?;
    (weight.dtype == pannier_graph::DType::F32 && !one.is_nan()).then_some(one)
}
