//! The program while it is compiled: every value has a type and a shape, every node an operator that can run.
//!
//! It starts as the operators of the standard and is rewritten by [`passes`](crate::passes) into fewer and faster ones.

use crate::encoded::Encoded;
use crate::fused::Fused;
use crate::ops::{Fact, Facts, Operator};
use crate::view::View;
use crate::weights::{Identity, Turned};
use pannier_engine::{DType, TensorView};
use pannier_graph::{AlignedBytes, Node as GraphNode, Span};
use std::ops::Range;
use std::sync::Arc;

/// Index of a value.
pub(crate) type Id = usize;

/// The elements of a constant.
#[derive(Clone)]
pub(crate) struct Constant {
    source: Source,
    /// The weight that it is.
    span: Option<Span>,
}

#[derive(Clone)]
enum Source {
    /// A range of bytes that others may share.
    Bytes(Arc<AlignedBytes>, Range<usize>),
    /// A weight that is kept in the form that a kernel reads.
    Turned(Arc<Turned>),
    /// Numbers that are stored in fewer bits.
    Encoded(Arc<Encoded>),
}

impl Constant {
    pub(crate) fn owned(bytes: AlignedBytes) -> Constant {
        Constant::shared(Arc::new(bytes))
    }

    pub(crate) fn shared(bytes: Arc<AlignedBytes>) -> Constant {
        let range = 0..bytes.len();
        Constant { source: Source::Bytes(bytes, range), span: None }
    }

    pub(crate) fn copy_from(bytes: &[u8]) -> Constant {
        Constant::owned(AlignedBytes::copy_from(bytes))
    }

    /// A weight as it was stored; `None` if the range is not there.
    pub(crate) fn stored(bytes: Arc<AlignedBytes>, range: Range<usize>, span: Span) -> Option<Constant> {
        bytes.get(range.clone())?;
        Some(Constant { source: Source::Bytes(bytes, range), span: Some(span) })
    }

    pub(crate) fn turned(turned: Arc<Turned>, span: Span) -> Constant {
        Constant { source: Source::Turned(turned), span: Some(span) }
    }

    pub(crate) fn encoded(encoded: Encoded) -> Constant {
        Constant { source: Source::Encoded(Arc::new(encoded)), span: None }
    }

    /// The numbers as they are stored, of a constant that is stored in fewer bits.
    pub(crate) fn as_encoded(&self) -> Option<&Arc<Encoded>> {
        match &self.source {
            Source::Encoded(encoded) => Some(encoded),
            Source::Bytes(..) | Source::Turned(_) => None,
        }
    }

    /// The elements; of a weight that is kept in another form, they are made at the first call.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::Bytes(bytes, range) => bytes.get(range.clone()).unwrap_or_default(),
            Source::Turned(turned) => turned.bytes(),
            Source::Encoded(encoded) => encoded.numbers(),
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match &self.source {
            Source::Bytes(_, range) => range.len(),
            Source::Turned(turned) => turned.len(),
            Source::Encoded(encoded) => encoded.size_bytes(),
        }
    }

    /// Whether it is kept in another form.
    pub(crate) fn is_turned(&self) -> bool {
        !matches!(self.source, Source::Bytes(..))
    }

    /// The weight that it is, bit by bit.
    pub(crate) fn span(&self) -> Option<Span> {
        self.span
    }

    /// The weight whose bytes it is made of.
    pub(crate) fn stored_span(&self) -> Option<Span> {
        self.as_encoded().map_or(self.span, |encoded| encoded.span())
    }

    pub(crate) fn identity(&self) -> Identity {
        match (&self.source, self.span) {
            (Source::Encoded(encoded), _) => encoded.identity(),
            (_, Some(span)) => Identity::Stored(span),
            (_, None) => Identity::computed(self.bytes()),
        }
    }

    /// The allocation that holds the bytes, and its size.
    pub(crate) fn allocation(&self) -> Option<(*const AlignedBytes, usize)> {
        match &self.source {
            Source::Bytes(bytes, _) => Some((Arc::as_ptr(bytes), bytes.len())),
            Source::Turned(_) | Source::Encoded(_) => None,
        }
    }

    /// The same, in the form that it was stored in.
    pub(crate) fn present(&self) -> Constant {
        if self.is_turned() { self.detached() } else { self.clone() }
    }

    /// The same, with bytes of its own: not those of a section that holds more, nor those in another form.
    pub(crate) fn detached(&self) -> Constant {
        match &self.source {
            Source::Bytes(bytes, range) if range.len() == bytes.len() => self.clone(),
            Source::Encoded(encoded) => Constant::shared(encoded.numbers().clone()),
            _ => Constant::copy_from(self.bytes()),
        }
    }
}

impl std::fmt::Debug for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Constant({} bytes)", self.size_bytes())
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
        Fact { dtype: self.dtype, shape: &self.shape, value: self.constant.as_ref() }
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
        if self.len() == 1 { self.floats()?.first().copied() } else { None }
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
    /// An operator with programs of its own inside.
    Nested(Box<Nested>),
}

/// What an operator with programs inside does: `If`, `Loop` or `Scan`.
#[derive(Debug, Clone)]
pub(crate) struct Nested {
    /// The operator of the standard.
    pub(crate) op: String,
    pub(crate) control: Control,
    /// Of a branch, that of the condition and that of its opposite; else one.
    pub(crate) bodies: Vec<NestedBody>,
}

/// A program inside of a node. Whatever it reads that lies around it is an operand of the node and an input of the program.
#[derive(Debug, Clone)]
pub(crate) struct NestedBody {
    pub(crate) ir: Ir,
    /// By input of the program.
    pub(crate) feeds: Vec<Feed>,
}

/// Where an input of a nested program comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Feed {
    /// An operand of the node.
    Operand(usize),
    /// A part of an operand along its first axis, from its start on or from its end.
    Element { operand: usize, backward: bool },
    /// What the step before has left, or else the initial value.
    Carried(usize),
    /// The number of the step.
    Step,
    /// The program has it as a constant.
    Known,
}

/// Which program of a node runs, and how often.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    /// The first one if operand 0 holds, else the second. Its results are the node's.
    Branch,
    Repeat(Repeat),
}

/// One program, again and again. Its results are whether to go on, if it `tells`; the carried values; what is collected.
#[derive(Debug, Clone)]
pub(crate) struct Repeat {
    pub(crate) steps: Steps,
    /// The operand that says whether there is a first step.
    pub(crate) condition: Option<usize>,
    pub(crate) tells: bool,
    /// The operands with the initial values.
    pub(crate) carried: Vec<usize>,
    /// Of each result that is collected along a first axis, whether from its end on.
    pub(crate) backward: Vec<bool>,
}

/// Most steps of a loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Steps {
    Known(usize),
    Operand(usize),
    /// As many as the program wants.
    Any,
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
