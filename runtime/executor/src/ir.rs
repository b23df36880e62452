//! The program while it is compiled: every value has a type and a shape, every node an operator that can run.
//!
//! It starts as the operators of the standard and is rewritten by [`passes`](crate::passes) into fewer and faster ones.

use crate::fused::Fused;
use crate::ops::{Fact, Facts, Operator};
use crate::view::View;
use pannier_engine::{DType, TensorView};
use pannier_graph::{AlignedBytes, Node as GraphNode};
use std::ops::Range;
use std::sync::Arc;

/// Index of a value.
pub(crate) type Id = usize;

/// The elements of a constant: bytes of its own, or a range of a section that others share.
#[derive(Clone)]
pub(crate) struct Constant {
    bytes: Arc<AlignedBytes>,
    range: Range<usize>,
}

impl Constant {
    pub(crate) fn owned(bytes: AlignedBytes) -> Constant {
        let range = 0..bytes.len();
        Constant { bytes: Arc::new(bytes), range }
    }

    pub(crate) fn copy_from(bytes: &[u8]) -> Constant {
        Constant::owned(AlignedBytes::copy_from(bytes))
    }

    /// A range of a section; `None` if it is not there.
    pub(crate) fn section(bytes: Arc<AlignedBytes>, range: Range<usize>) -> Option<Constant> {
        bytes.get(range.clone())?;
        Some(Constant { bytes, range })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }

    /// Whether the bytes belong to this constant alone, and not to a section that holds more.
    pub(crate) fn is_whole(&self) -> bool {
        self.range.len() == self.bytes.len()
    }

    /// The same, with bytes of its own.
    pub(crate) fn detached(&self) -> Constant {
        if self.is_whole() { self.clone() } else { Constant::copy_from(self.bytes()) }
    }
}

impl std::fmt::Debug for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Constant({} bytes)", self.range.len())
    }
}

/// A tensor of the program.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// For messages.
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) constant: Option<Constant>,
}

impl Value {
    pub(crate) fn len(&self) -> usize {
        crate::shape::len(&self.shape)
    }

    /// Size in bytes; what is too large was refused when the value was made.
    pub(crate) fn size_bytes(&self) -> usize {
        self.len().saturating_mul(self.dtype.size_bytes())
    }

    pub(crate) fn fact(&self) -> Fact<'_> {
        Fact { dtype: self.dtype, shape: &self.shape, value: self.constant.as_ref().map(Constant::bytes) }
    }

    /// The elements of a constant.
    pub(crate) fn view(&self) -> Option<View<'_>> {
        Some(View { dtype: self.dtype, shape: &self.shape, bytes: self.constant.as_ref()?.bytes() })
    }

    /// The elements of a binary32 constant.
    pub(crate) fn floats(&self) -> Option<&[f32]> {
        self.view().filter(|view| view.dtype == DType::F32)?.as_slice().ok()
    }

    /// The one number of a binary32 constant, whatever its rank.
    pub(crate) fn scalar(&self) -> Option<f32> {
        match self.floats()? {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// The integers of a constant.
    pub(crate) fn ints(&self) -> Option<Vec<i64>> {
        self.view()?.to_ints().ok()
    }
}

/// What a node does.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for each node, and most are the large ones in the end")]
pub(crate) enum Op {
    /// An operator of the standard, as it stood in the graph.
    Standard { node: Arc<GraphNode>, operator: Arc<dyn Operator> },
    /// The same bytes under another shape.
    Reshape,
    /// Elements that lie side by side in the operand, from this one on, under another shape.
    Part { first: usize },
    /// Axes in another order.
    Transpose(Vec<usize>),
    /// One of our own.
    Fused(Fused),
}

/// One step of the program.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// For messages and profiles.
    pub(crate) name: String,
    pub(crate) op: Op,
    pub(crate) inputs: Vec<Option<Id>>,
    pub(crate) outputs: Vec<Option<Id>>,
}

impl Node {
    /// Whether it is this operator of the standard.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.standard().is_some_and(|node| node.op == name)
    }

    pub(crate) fn standard(&self) -> Option<&GraphNode> {
        match &self.op {
            Op::Standard { node, .. } => Some(node),
            _ => None,
        }
    }

    pub(crate) fn input(&self, index: usize) -> Option<Id> {
        self.inputs.get(index).copied().flatten()
    }

    /// The result, of a node that has one.
    pub(crate) fn output(&self) -> Option<Id> {
        self.outputs.first().copied().flatten()
    }
}

/// A program with all shapes known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ir {
    pub(crate) values: Vec<Value>,
    /// In an order in which they can run.
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Id>,
    pub(crate) outputs: Vec<Id>,
}

impl Ir {
    pub(crate) fn add(&mut self, value: Value) -> Id {
        self.values.push(value);
        self.values.len() - 1
    }

    /// A value that some node will compute.
    pub(crate) fn fresh(&mut self, name: &str, dtype: DType, shape: Vec<usize>) -> Id {
        self.add(Value { name: name.to_string(), dtype, shape, constant: None })
    }

    pub(crate) fn constant(&mut self, name: &str, dtype: DType, shape: Vec<usize>, constant: Constant) -> Id {
        self.add(Value { name: name.to_string(), dtype, shape, constant: Some(constant) })
    }

    pub(crate) fn float_constant(&mut self, name: &str, shape: Vec<usize>, values: &[f32]) -> Id {
        self.constant(name, DType::F32, shape, Constant::copy_from(bytemuck::cast_slice(values)))
    }

    pub(crate) fn shape(&self, id: Id) -> &[usize] {
        &self.values[id].shape
    }

    pub(crate) fn is_constant(&self, id: Id) -> bool {
        self.values[id].constant.is_some()
    }

    /// The operands of a node, for its operator's questions. The list lives as long as the caller keeps it.
    pub(crate) fn facts(&self, inputs: &[Option<Id>]) -> Vec<Option<Fact<'_>>> {
        inputs.iter().map(|id| id.map(|id| self.values[id].fact())).collect()
    }

    /// How often each value is used: by nodes, and as a result of the program.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let inputs = self.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
        inputs.chain(&self.outputs).for_each(|id| uses[*id] += 1);
        uses
    }
}

/// Wraps facts for the trait's methods.
pub(crate) fn facts<'a>(list: &'a [Option<Fact<'a>>]) -> Facts<'a> {
    Facts(list)
}

/// The input tensors' bytes as constants, for those that steer shapes.
pub(crate) fn constant_of(view: &TensorView<'_>) -> Constant {
    Constant::copy_from(view.bytes())
}
