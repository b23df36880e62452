//! One walk over the nodes in order, writing a new list.

use crate::ir::{Constant, Id, Ir, Node, Op};
use crate::strided::Strided;
use crate::view::ViewMut;
use pannier_engine::DType;
use pannier_graph::AlignedBytes;

/// Takes the nodes of a program out and collects their successors.
pub(crate) struct Rewrite<'a> {
    pub(crate) ir: &'a mut Ir,
    nodes: Vec<Option<Node>>,
    /// By value: the node in `nodes` that computes it.
    maker: Vec<Option<usize>>,
    /// By value: what took its place.
    renamed: Vec<Option<Id>>,
}

impl Rewrite<'_> {
    /// Hands every node with its operands renamed to `each`, which emits what takes its place.
    pub(crate) fn walk<E>(ir: &mut Ir, mut each: impl FnMut(&mut Rewrite<'_>, Node) -> Result<(), E>) -> Result<(), E> {
        let nodes = std::mem::take(&mut ir.nodes);
        let mut rewrite =
            Rewrite { ir, nodes: Vec::with_capacity(nodes.len()), maker: Vec::new(), renamed: Vec::new() };
        for mut node in nodes {
            for input in node.inputs.iter_mut().flatten() {
                *input = rewrite.resolve(*input);
            }
            each(&mut rewrite, node)?;
        }
        for index in 0..rewrite.ir.outputs.len() {
            rewrite.ir.outputs[index] = rewrite.resolve(rewrite.ir.outputs[index]);
        }
        rewrite.ir.nodes = rewrite.nodes.into_iter().flatten().collect();
        Ok(())
    }

    /// What a value is called now.
    pub(crate) fn resolve(&self, mut id: Id) -> Id {
        while let Some(next) = self.renamed.get(id).copied().flatten() {
            id = next;
        }
        id
    }

    /// Lets another value take a value's place in all nodes to come.
    pub(crate) fn rename(&mut self, from: Id, to: Id) {
        let to = self.resolve(to);
        if from != to {
            if self.renamed.len() <= from {
                self.renamed.resize(from + 1, None);
            }
            self.renamed[from] = Some(to);
        }
    }

    pub(crate) fn emit(&mut self, node: Node) {
        for output in node.outputs.iter().flatten() {
            if self.maker.len() <= *output {
                self.maker.resize(self.ir.values.len().max(output + 1), None);
            }
            self.maker[*output] = Some(self.nodes.len());
        }
        self.nodes.push(Some(node));
    }

    /// Emits a node with one new result of this shape and the type of its first operand.
    pub(crate) fn make(&mut self, name: &str, op: Op, inputs: Vec<Option<Id>>, shape: Vec<usize>) -> Id {
        let dtype = inputs.first().copied().flatten().map_or(DType::F32, |id| self.ir.values[id].dtype);
        let output = self.ir.fresh(name, dtype, shape);
        self.emit(Node { name: name.to_string(), op, inputs, outputs: vec![Some(output)] });
        output
    }

    /// The node that computes a value, if that was emitted in this walk.
    pub(crate) fn maker(&self, id: Id) -> Option<&Node> {
        self.nodes.get(self.maker.get(id).copied().flatten()?)?.as_ref()
    }

    /// Takes the node that computes a value back: its work is to be done by another one.
    pub(crate) fn take(&mut self, id: Id) -> Option<Node> {
        self.nodes.get_mut(self.maker.get(id).copied().flatten()?)?.take()
    }

    /// The value under another shape, without a node where possible.
    pub(crate) fn reshaped(&mut self, id: Id, shape: &[usize]) -> Id {
        if self.ir.shape(id) == shape {
            return id;
        }
        let value = &self.ir.values[id];
        let name = value.name.clone();
        if let Some(constant) = value.constant.clone() {
            let dtype = value.dtype;
            return self.ir.constant(&name, dtype, shape.to_vec(), constant);
        }
        if let Some(source) = self.reshape_of(id) {
            return self.reshaped(source, shape);
        }
        self.make(&name, Op::Reshape, vec![Some(id)], shape.to_vec())
    }

    /// What this value is another shape of.
    fn reshape_of(&self, id: Id) -> Option<Id> {
        match self.maker(id) {
            Some(node) if matches!(node.op, Op::Reshape) => node.input(0),
            _ => None,
        }
    }

    /// The value with its axes in another order, without a node where possible.
    pub(crate) fn transposed(&mut self, id: Id, perm: &[usize]) -> Id {
        if perm.iter().enumerate().all(|(index, axis)| index == *axis) {
            return id;
        }
        let value = &self.ir.values[id];
        let shape: Vec<usize> = perm.iter().map(|axis| value.shape[*axis]).collect();
        let strided = Strided::dense(&value.shape).transposed(perm);
        if strided.contiguous().is_some() {
            return self.reshaped(id, &shape);
        }
        let name = value.name.clone();
        if let Some(view) = value.view() {
            let mut bytes = AlignedBytes::zeroed(value.size_bytes());
            let mut to = ViewMut { dtype: view.dtype, shape: &shape, bytes: bytes.as_bytes_mut() };
            if strided.copy(view, &mut to).is_ok() {
                let dtype = value.dtype;
                return self.ir.constant(&name, dtype, shape, Constant::owned(bytes));
            }
        }
        if let Some(node) = self.maker(id)
            && let (Op::Transpose(first), Some(source)) = (&node.op, node.input(0))
        {
            let composed: Vec<usize> = perm.iter().map(|axis| first[*axis]).collect();
            return self.transposed(source, &composed);
        }
        self.make(&name, Op::Transpose(perm.to_vec()), vec![Some(id)], shape)
    }
}
