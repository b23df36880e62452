//! A graph with its weights, and a way to write one by hand.

use crate::tensor::Tensor;
use pannier_bundle::manifest::{DType, Dim};
use pannier_graph::{
    ALIGNMENT_BYTES, AlignedBytes, Attribute, Body, Encoding, Graph, Input, Node, Span, ValueId, Weight,
};
use std::sync::Arc;

/// A graph with the bytes of its weights.
#[derive(Clone)]
pub struct Program {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Content of the sections `weights/0`, `weights/1`, ...
    pub sections: Vec<Arc<AlignedBytes>>,
}

impl Program {
    /// The bytes of a span, if it lies within its section.
    pub fn bytes(&self, span: &Span) -> Option<&[u8]> {
        let section = self.sections.get(usize::try_from(span.section).ok()?)?;
        let start = usize::try_from(span.offset).ok()?;
        let end = start.checked_add(usize::try_from(span.size_bytes).ok()?)?;
        section.as_bytes().get(start..end)
    }
}

/// Writes a program by hand, node after node: for tests, benches and programs that no file holds.
///
/// ```
/// use pannier_engine::{DType, Dim, ProgramBuilder, Tensor};
///
/// let mut builder = ProgramBuilder::new();
/// let x = builder.input("x", DType::F32, &[Dim::Symbol("n".into())]);
/// let half = builder.weight("half", &Tensor::scalar(0.5f32));
/// let y = builder.node("Mul", &[x, half]);
/// builder.output("y", y);
/// let program = builder.build();
/// assert_eq!(program.graph.body.nodes.len(), 1);
/// ```
#[derive(Default)]
pub struct ProgramBuilder {
    values: Vec<String>,
    body: Body,
    section: Vec<u8>,
}

impl ProgramBuilder {
    /// An empty program.
    pub fn new() -> ProgramBuilder {
        ProgramBuilder::default()
    }

    /// A value that nothing defines yet: for outputs of [`node_with`](ProgramBuilder::node_with) and inputs of nested bodies.
    pub fn value(&mut self, name: &str) -> ValueId {
        let id = ValueId(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        self.values.push(name.to_string());
        id
    }

    /// An input of the program.
    pub fn input(&mut self, name: &str, dtype: DType, shape: &[Dim]) -> ValueId {
        let value = self.value(name);
        self.body.inputs.push(Input { value, dtype: Some(dtype), shape: Some(shape.to_vec()) });
        value
    }

    /// A constant.
    pub fn weight(&mut self, name: &str, tensor: &Tensor) -> ValueId {
        let value = self.value(name);
        let (offset, size_bytes) = (self.section.len() as u64, tensor.bytes().len() as u64);
        self.section.extend_from_slice(tensor.bytes());
        self.section.resize(self.section.len().next_multiple_of(ALIGNMENT_BYTES), 0);
        self.body.weights.push(Weight {
            value,
            dtype: tensor.dtype(),
            shape: tensor.shape().iter().map(|dim| *dim as u64).collect(),
            encoding: Encoding::Raw,
            data: Span { section: 0, offset, size_bytes },
        });
        value
    }

    /// A node of `ai.onnx` with one output, without attributes.
    pub fn node(&mut self, op: &str, inputs: &[ValueId]) -> ValueId {
        let name = format!("{}_{}", op.to_ascii_lowercase(), self.body.nodes.len());
        let output = self.value(&name);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.node_with(Node {
            name,
            domain: String::new(),
            op: op.to_string(),
            inputs,
            outputs: vec![Some(output)],
            attributes: Vec::new(),
        });
        output
    }

    /// A node of `ai.onnx` with one output and attributes.
    pub fn node_attributes(&mut self, op: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)]) -> ValueId {
        let output = self.node(op, inputs);
        if let Some(node) = self.body.nodes.last_mut() {
            node.attributes = attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
            node.attributes.sort_by(|a, b| a.0.cmp(&b.0));
        }
        output
    }

    /// Any node.
    pub fn node_with(&mut self, node: Node) {
        self.body.nodes.push(node);
    }

    /// Makes a value an output of the program under this name.
    pub fn output(&mut self, name: &str, value: ValueId) {
        if let Some(slot) = usize::try_from(value.0).ok().and_then(|index| self.values.get_mut(index)) {
            *slot = name.to_string();
        }
        self.body.outputs.push(value);
    }

    /// The program.
    pub fn build(self) -> Program {
        let graph = Graph { domains: Vec::new(), values: self.values, body: self.body };
        Program { graph: Arc::new(graph), sections: vec![Arc::new(AlignedBytes::copy_from(&self.section))] }
    }
}
