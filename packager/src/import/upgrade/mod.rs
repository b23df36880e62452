//! Every operator version from opset 7 on, rewritten to the newest: upward only, and with the same answers.
//!
//! Most versions of an operator only admit more types or more optional attributes; such nodes stay as they are. What
//! does change is listed in [`RULES`], one row an operator.

mod axes;
mod normalisation;
mod resize;
mod scan;
mod softmax;
mod values;

use super::emit::Emit;
use super::error::Why;
use super::model::{Attributes, Model, input};
use pannier_graph::{Attribute, Node, ValueId};

/// Appends what replaces a node. Gets the version of the operator's definition that the node was written for.
type Rule = fn(Node, u32, &mut Emit<'_>) -> Result<(), Why>;

/// Operator of `ai.onnx`, first version that needs no rewriting, and the rule for those before it.
const RULES: &[(&str, u32, Rule)] = &[
    ("BatchNormalization", 14, normalisation::batch_normalization),
    ("Cast", ALWAYS, values::cast),
    ("CastLike", ALWAYS, values::cast),
    ("Clip", 11, values::clip),
    ("DFT", 20, values::dft),
    ("Dropout", 12, values::dropout),
    ("GridSample", 20, values::grid_sample),
    ("GroupNormalization", 21, normalisation::group_normalization),
    ("Hardmax", 13, softmax::flattened),
    ("LogSoftmax", 13, softmax::flattened),
    ("Pad", 11, values::pad),
    ("QuantizeLinear", ALWAYS, values::cast),
    ("ReduceL1", 18, axes::to_input),
    ("ReduceL2", 18, axes::to_input),
    ("ReduceLogSum", 18, axes::to_input),
    ("ReduceLogSumExp", 18, axes::to_input),
    ("ReduceMax", 18, axes::to_input),
    ("ReduceMean", 18, axes::to_input),
    ("ReduceMin", 18, axes::to_input),
    ("ReduceProd", 18, axes::to_input),
    ("ReduceSum", 13, axes::to_input),
    ("ReduceSumSquare", 18, axes::to_input),
    ("Resize", ALWAYS, resize::resize),
    ("RoiAlign", 16, values::roi_align),
    ("Scan", 9, scan::batched),
    ("Scatter", ALWAYS, values::scatter),
    ("Slice", 10, axes::slice),
    ("Softmax", 13, softmax::flattened),
    ("Split", 18, axes::split),
    ("Squeeze", 13, axes::to_input),
    ("TopK", 10, values::top_k),
    ("Unsqueeze", 13, axes::to_input),
    ("Upsample", ALWAYS, resize::upsample),
];

const ALWAYS: u32 = u32::MAX;

/// Appends to `out` what a node is in the newest operator set.
///
/// # Errors
/// [`Why::Upgrade`] for a use that has no counterpart there, [`Why::Attribute`] for attributes that break the old
/// definition.
pub(super) fn upgrade(node: Node, version: u32, model: &mut Model, out: &mut Vec<Node>) -> Result<(), Why> {
    let base = node.name.clone();
    let mut emit = Emit::new(model, out, &base);
    match rule(&node).filter(|(_, first, _)| version < *first) {
        Some((_, _, rule)) => rule(node, version, &mut emit),
        None => {
            emit.push(node);
            Ok(())
        }
    }
}

/// Whether an operator is always rewritten to another one.
pub(super) fn is_replaced(op: &str) -> bool {
    matches!(op, "Scatter" | "Upsample")
}

fn rule(node: &Node) -> Option<&'static (&'static str, u32, Rule)> {
    RULES.iter().find(|(op, _, _)| node.domain.is_empty() && node.op == *op)
}

/// The whole numbers of an attribute that is taken away.
fn take_ints(node: &mut Node, name: &str) -> Result<Option<Vec<i64>>, Why> {
    match node.take(name) {
        None => Ok(None),
        Some(Attribute::Ints(values)) => Ok(Some(values)),
        Some(_) => Err(Why::Attribute { name: name.to_owned(), reason: "wrong type" }),
    }
}

/// The number of an attribute that is taken away.
fn take_int(node: &mut Node, name: &str) -> Result<Option<i64>, Why> {
    match node.take(name) {
        None => Ok(None),
        Some(Attribute::Int(value)) => Ok(Some(value)),
        Some(_) => Err(Why::Attribute { name: name.to_owned(), reason: "wrong type" }),
    }
}

/// The number of an attribute that is taken away.
fn take_float(node: &mut Node, name: &str) -> Result<Option<f32>, Why> {
    match node.take(name) {
        None => Ok(None),
        Some(Attribute::Float(value)) => Ok(Some(value)),
        Some(_) => Err(Why::Attribute { name: name.to_owned(), reason: "wrong type" }),
    }
}

/// The first input, which every version of the operator requires.
fn first_input(node: &Node) -> Result<ValueId, Why> {
    input(node, 0).ok_or(Why::InputAbsent(0))
}

/// Sets an input, after filling up with absent ones.
fn set_input(node: &mut Node, index: usize, value: ValueId) {
    if node.inputs.len() <= index {
        node.inputs.resize(index + 1, None);
    }
    node.inputs[index] = Some(value);
}
