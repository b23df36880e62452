//! The graph's types. All of them are wire types: frozen per [`Graph::VERSION`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use pannier_bundle::manifest::{DType, Dim};
use serde::{Deserialize, Serialize};

/// The `ai.onnx` operator set that every graph is written in.
pub const OPSET: u32 = 25;

/// A whole program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Operator sets other than `ai.onnx`, sorted by domain: for example `("ai.onnx.ml", 5)`.
    pub domains: Vec<(String, u32)>,
    /// Names of all values, in the main body and in nested ones. A [`ValueId`] is an index into it.
    pub values: Vec<String>,
    /// Inputs, outputs, nodes and weights.
    pub body: Body,
}

impl Graph {
    /// Version of this structure on the wire.
    pub const VERSION: u16 = 1;

    /// Name of a value; empty if there is no such value.
    pub fn value_name(&self, id: ValueId) -> &str {
        usize::try_from(id.0).ok().and_then(|index| self.values.get(index)).map_or("", String::as_str)
    }
}

/// A value: a graph input, a weight or the output of one node. Each is defined exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

/// A list of nodes with its interface: the main program, or the branch of an `If`, or the body of a `Loop`.
///
/// A nested body may use every value that is visible where its node stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Body {
    /// Inputs, in order.
    pub inputs: Vec<Input>,
    /// Outputs, in order.
    pub outputs: Vec<ValueId>,
    /// Nodes in topological order: a node comes after everything it uses.
    pub nodes: Vec<Node>,
    /// Constant tensors, sorted by value.
    pub weights: Vec<Weight>,
}

/// An input of a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The value it defines.
    pub value: ValueId,
    /// Element type. Always known in the main body.
    pub dtype: Option<DType>,
    /// Shape. Always known in the main body, though dimensions may be symbols.
    pub shape: Option<Vec<Dim>>,
}

/// One operator call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name in the source file, for messages. May be empty.
    pub name: String,
    /// Operator set; empty for `ai.onnx`.
    pub domain: String,
    /// Operator, for example `Conv`.
    pub op: String,
    /// Inputs in the operator's order; `None` for an optional one that is absent.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs in the operator's order; `None` for one that nobody wants.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes, sorted by name.
    pub attributes: Vec<(String, Attribute)>,
}

impl Node {
    /// The attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    /// `INT`
    Int(i64),
    /// `FLOAT`
    Float(f32),
    /// `STRING`; ONNX does not promise UTF-8.
    String(Vec<u8>),
    /// `TENSOR`
    Tensor(Literal),
    /// `GRAPH`
    Body(#[serde(deserialize_with = "crate::wire::nested_body")] Box<Body>),
    /// `INTS`
    Ints(Vec<i64>),
    /// `FLOATS`
    Floats(Vec<f32>),
    /// `STRINGS`
    Strings(Vec<Vec<u8>>),
}

/// A small tensor inside an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Literal {
    /// Element type.
    pub dtype: DType,
    /// Row-major shape.
    pub shape: Vec<u64>,
    /// Little-endian elements.
    pub bytes: Vec<u8>,
}

/// A constant tensor whose bytes lie in a `weights/N` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The value it defines.
    pub value: ValueId,
    /// Element type that the operators see.
    pub dtype: DType,
    /// Row-major shape.
    pub shape: Vec<u64>,
    /// How the elements are stored.
    pub encoding: Encoding,
    /// Where the stored elements lie.
    pub data: Span,
}

/// A range of bytes in a weights section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// N of `weights/N`.
    pub section: u32,
    /// First byte; a multiple of 64.
    pub offset: u64,
    /// Length in bytes.
    pub size_bytes: u64,
}

/// How a weight's elements are stored. Everything but `Raw` is decoded to `dtype` before an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Encoding {
    /// Little-endian elements of `dtype`.
    Raw,
    /// IEEE 754 binary16, widened to binary32.
    F16,
    /// `(q - zero_point) * scale` with signed 8-bit `q`.
    Int8 {
        /// Axis along which scales differ; `None` for one scale.
        axis: Option<u32>,
        /// binary32 scales.
        scale: Span,
        /// Signed 8-bit zero points, as many as scales; `None` for zero.
        zero_point: Option<Span>,
    },
    /// Like `Int8` with 4-bit `q`, two to a byte, low half first; blocks run along the last axis.
    Int4 {
        /// Elements per block.
        block: u32,
        /// binary32 scales, row-major, one per block.
        scale: Span,
        /// Signed 8-bit zero points, one per block; `None` for zero.
        zero_point: Option<Span>,
    },
}
