//! What can be quantized: nodes with constant binary32 weights.

use pannier_graph::{Attribute, Body, DType, Encoding, Graph, Node, ValueId, Weight};
use std::collections::{BTreeMap, BTreeSet};

/// A node with weights that can be quantized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Index in `graph.body.nodes`.
    pub node: usize,
    /// The node's name, or operator and index where it has none.
    pub name: String,
    /// The operator.
    pub op: String,
    /// What the first weight is multiplied with; `None` for a table that is only looked up.
    pub input: Option<ValueId>,
    /// The weights, in the operator's order: an `LSTM` has two. A weight that several nodes use belongs to the first.
    pub weights: Vec<ValueId>,
    /// Axis of the output channels in each of the weights.
    pub axis: usize,
    /// Elements of all weights.
    pub elements: u64,
    /// Whether it can compute with 8-bit activations; otherwise its weights are quantized and nothing else.
    pub integer: bool,
}

/// Operators whose presence says that a model is quantized already, or computes with integers of its own.
const QUANTIZED: &[&str] = &[
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "MatMulNBits",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
    "MatMulIntegerToFloat",
    "QGemm",
    "QAttention",
    "QLinearAdd",
];

/// The first sign that a graph is quantized already: a node's or weight's name.
pub fn is_quantized(graph: &Graph) -> Option<String> {
    let node = graph.body.nodes.iter().find(|node| QUANTIZED.contains(&node.op.as_str()));
    let weight = graph.body.weights.iter().find(|weight| weight.encoding != Encoding::Raw);
    node.map(|node| format!("node `{}` ({})", node.name, node.op))
        .or_else(|| weight.map(|weight| format!("weight `{}`", graph.value_name(weight.value))))
}

/// Every layer of the main body, in the order of its nodes.
///
/// Weights are constants of binary32 with at least two axes and one element.
pub fn layers(graph: &Graph) -> Vec<Layer> {
    let weights: BTreeMap<ValueId, &Weight> = graph.body.weights.iter().map(|weight| (weight.value, weight)).collect();
    let mut uses: BTreeMap<ValueId, usize> = BTreeMap::new();
    count_uses(&graph.body, &mut uses);
    let makers: BTreeMap<ValueId, &Node> = graph
        .body
        .nodes
        .iter()
        .flat_map(|node| node.outputs.iter().flatten().map(move |value| (*value, node)))
        .collect();
    let mut taken = BTreeSet::new();
    let mut layers = Vec::new();
    for (index, node) in graph.body.nodes.iter().enumerate().filter(|(_, node)| node.domain.is_empty()) {
        let Some(shape) = Shape::of(node) else { continue };
        let usable = |value: &ValueId| {
            weights.get(value).is_some_and(|weight| {
                let fits = weight.dtype == DType::F32 && weight.encoding == Encoding::Raw;
                fits && weight.shape.len() >= 2 && !weight.is_empty() && weight.len().is_some()
            })
        };
        let found: Vec<ValueId> =
            shape.operands.iter().filter_map(|operand| *node.inputs.get(*operand)?).filter(usable).collect();
        let own: Vec<ValueId> = found.iter().copied().filter(|value| taken.insert(*value)).collect();
        let Some(first) = own.first().and_then(|value| weights.get(value)) else { continue };
        let rank = first.shape.len();
        let input = node.inputs.get(shape.input).copied().flatten();
        let constant_input = input.is_none_or(|input| weights.contains_key(&input));
        let one_hot = input.is_some_and(|input| is_one_hot(input, &makers));
        let shared = own.iter().any(|value| uses.get(value).is_some_and(|uses| *uses > 1));
        layers.push(Layer {
            node: index,
            name: if node.name.is_empty() { format!("{}#{index}", node.op) } else { node.name.clone() },
            op: node.op.clone(),
            input: input.filter(|_| node.op != "Gather"),
            axis: shape.axis.min(rank - 1),
            elements: own.iter().filter_map(|value| weights.get(value)?.len()).sum(),
            integer: !shared && shape.integer.contains(&rank) && own == found && !constant_input && !one_hot,
            weights: own,
        });
    }
    layers
}

/// Whether a value is rows with a single one, as exporters write them. Engines take rows of the table in place of such a product, which
/// no product of integers is as fast as.
fn is_one_hot(value: ValueId, makers: &BTreeMap<ValueId, &Node>) -> bool {
    let Some(maker) = makers.get(&value) else { return false };
    let compared = || makers.get(&maker.inputs.first().copied().flatten()?);
    maker.op == "OneHot" || maker.op == "Cast" && compared().is_some_and(|maker| maker.op == "Equal")
}

/// Where an operator has its weights.
struct Shape {
    /// Operand that the weights are multiplied with.
    input: usize,
    /// Operands that are weights.
    operands: &'static [usize],
    /// Axis of the output channels; a larger number than there are axes is the last.
    axis: usize,
    /// Ranks of weights with which engines have products of integers.
    integer: &'static [usize],
}

impl Shape {
    fn of(node: &Node) -> Option<Shape> {
        let int = |name: &str| matches!(node.attribute(name), Some(Attribute::Int(value)) if *value != 0);
        let plain = |name: &str| !matches!(node.attribute(name), Some(Attribute::Float(value)) if *value != 1.0);
        let shape = |axis, integer| Shape { input: 0, operands: &[1], axis, integer };
        Some(match node.op.as_str() {
            "Conv" => shape(0, &[3, 4]),
            "ConvTranspose" => shape(1, &[]),
            "MatMul" => shape(usize::MAX, &[2]),
            "Gemm" => {
                let integer: &[usize] = if int("transA") || !plain("alpha") || !plain("beta") { &[] } else { &[2] };
                shape(usize::from(!int("transB")), integer)
            }
            // [directions, gates * hidden, inputs]: each row of each gate has its own scale.
            "LSTM" | "GRU" | "RNN" => Shape { operands: &[1, 2], ..shape(1, &[]) },
            "Gather" if !int("axis") => Shape { input: 1, operands: &[0], ..shape(0, &[]) },
            _ => return None,
        })
    }
}

/// Uses of each value by nodes, those of nested bodies included, and by outputs.
pub(super) fn count_uses(body: &Body, uses: &mut BTreeMap<ValueId, usize>) {
    let nested = body.nodes.iter().flat_map(|node| &node.attributes).filter_map(|(_, attribute)| match attribute {
        Attribute::Body(body) => Some(&**body),
        _ => None,
    });
    for value in body.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(&body.outputs) {
        *uses.entry(*value).or_default() += 1;
    }
    nested.for_each(|body| count_uses(body, uses));
}
