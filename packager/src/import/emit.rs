//! Writing nodes.

use super::model::{Attributes, Constant, Model};
use pannier_graph::{Attribute, Node, ValueId};

/// Appends nodes to a list, naming them and their values after the node that they replace.
pub(super) struct Emit<'a> {
    pub model: &'a mut Model,
    out: &'a mut Vec<Node>,
    base: String,
}

impl<'a> Emit<'a> {
    pub(super) fn new(model: &'a mut Model, out: &'a mut Vec<Node>, base: &str) -> Emit<'a> {
        Emit { model, out, base: base.to_owned() }
    }

    /// A node of an operator that needs no attributes. Returns its output.
    pub(super) fn op(&mut self, op: &str, inputs: &[ValueId]) -> ValueId {
        self.op_with(op, inputs, [])
    }

    /// A node with attributes. Returns its output.
    pub(super) fn op_with<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[ValueId],
        attributes: [(&str, Attribute); N],
    ) -> ValueId {
        let output = self.model.value(&format!("{}/{op}", self.base));
        let inputs = inputs.iter().copied().map(Some).collect();
        self.push(node(op, inputs, vec![Some(output)], attributes));
        output
    }

    /// A node whose values exist.
    pub(super) fn push(&mut self, mut node: Node) {
        if node.name.is_empty() {
            node.name.clone_from(&self.base);
        }
        while node.inputs.last() == Some(&None) {
            node.inputs.pop();
        }
        while node.outputs.len() > 1 && node.outputs.last() == Some(&None) {
            node.outputs.pop();
        }
        self.out.push(node);
    }

    /// A constant list of whole numbers.
    pub(super) fn ints(&mut self, values: &[i64]) -> ValueId {
        self.constant(Constant::ints_1d(values))
    }

    pub(super) fn constant(&mut self, constant: Constant) -> ValueId {
        self.model.constant(&format!("{}/const", self.base), constant)
    }
}

/// A node of `ai.onnx`, to be named later.
pub(super) fn node<const N: usize>(
    op: &str,
    inputs: Vec<Option<ValueId>>,
    outputs: Vec<Option<ValueId>>,
    attributes: [(&str, Attribute); N],
) -> Node {
    let mut node =
        Node { name: String::new(), domain: String::new(), op: op.to_owned(), inputs, outputs, attributes: Vec::new() };
    for (name, value) in attributes {
        node.set(name, value);
    }
    node
}
