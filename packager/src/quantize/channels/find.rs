//! Which channels can be taken out, and everything that has to change with them.

use pannier_graph::{Attribute, Body, DType, Encoding, Node, ValueId, Weight};
use std::collections::{BTreeMap, BTreeSet};

/// Channels that come and go together: those of one layer, and of every layer whose result is added to its, or multiplied with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Channels.
    pub(super) size: usize,
    /// Constants with an index for each channel, along their axis: weights and biases that make them, and what changes each by
    /// itself.
    pub(super) made: Vec<Operand>,
    /// Weights that are multiplied with all of them.
    pub(super) read: Vec<Operand>,
    /// Convolutions of each channel by itself.
    pub(super) depthwise: Vec<usize>,
    /// Whether somebody reads them in another way.
    locked: bool,
}

/// A constant, by where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) node: usize,
    pub(super) operand: usize,
    /// Axis of the channels.
    pub(super) axis: usize,
}

/// Functions of each number, and pools of each channel, of their first operand.
const ALONE: &[&str] = &[
    "Abs",
    "AveragePool",
    "Celu",
    "Clip",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "MaxPool",
    "Mish",
    "Neg",
    "Reciprocal",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
    "ThresholdedRelu",
];

/// Functions of two numbers each.
const TOGETHER: &[&str] = &["Add", "Div", "Max", "Min", "Mul", "PRelu", "Sub"];

/// The groups of a body whose channels can be taken out. Every constant in them is used once.
pub(super) fn groups(body: &Body) -> Vec<Group> {
    let mut finder = Finder {
        constants: body.weights.iter().map(|weight| (weight.value, weight)).collect(),
        found: BTreeMap::new(),
        groups: Vec::new(),
        joined: Vec::new(),
    };
    for (index, node) in body.nodes.iter().enumerate() {
        finder.node(index, node);
    }
    for value in body.outputs.iter().chain(&nested_uses(body)) {
        finder.lock(*value);
    }
    let found = finder.groups.into_iter().zip(finder.joined.iter().enumerate());
    let own = found.filter(|(group, (index, root))| index == *root && !group.locked && !group.read.is_empty());
    own.map(|(group, _)| group).collect()
}

/// The channels of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channels {
    /// Index of a group that may have joined another one.
    group: usize,
    /// Axes behind theirs.
    behind: usize,
}

struct Finder<'a> {
    constants: BTreeMap<ValueId, &'a Weight>,
    found: BTreeMap<ValueId, Channels>,
    groups: Vec<Group>,
    /// The group that each has joined, or itself.
    joined: Vec<usize>,
}

impl Finder<'_> {
    fn node(&mut self, index: usize, node: &Node) {
        let known = node.domain.is_empty().then(|| match node.op.as_str() {
            "Conv" => self.conv(index, node),
            "Gemm" | "MatMul" => self.product(index, node),
            "BatchNormalization" => self.normalised(index, node),
            op if ALONE.contains(&op) => node.inputs.first().and_then(|input| self.of(*input)),
            op if TOGETHER.contains(&op) => self.together(index, node),
            _ => None,
        });
        match known.flatten() {
            Some(channels) if node.outputs.iter().flatten().count() == 1 => {
                self.found.extend(node.outputs.iter().flatten().map(|output| (*output, channels)));
            }
            // A product makes channels of its own and keeps those that it reads; whatever else is there locks both.
            other => {
                other.into_iter().for_each(|channels| self.lock_group(channels.group));
                node.inputs.iter().flatten().for_each(|input| self.lock(*input));
            }
        }
    }

    /// A convolution of all channels, or of each by itself.
    fn conv(&mut self, index: usize, node: &Node) -> Option<Channels> {
        let shape = self.shape(node, 1)?;
        let [makes, reads, kernel @ ..] = shape.as_slice() else { return None };
        let input = self.of(node.inputs.first().copied().flatten());
        let groups = match node.attribute("group") {
            Some(Attribute::Int(groups)) => usize::try_from(*groups).ok()?,
            _ => 1,
        };
        let fits = input.is_none_or(|input| input.behind == kernel.len());
        if !fits || !self.is_bias(node, *makes) {
            return None;
        }
        if groups == 1 {
            if let Some(input) = input {
                self.read(input, *reads, Operand { node: index, operand: 1, axis: 1 })?;
            }
            return Some(self.made(index, node, *makes, 0, kernel.len()));
        }
        let input = input.filter(|input| groups == *makes && *reads == 1 && self.size(*input) == groups)?;
        let root = self.root(input.group);
        self.groups[root].depthwise.push(index);
        self.changes(root, index, node, 0);
        Some(input)
    }

    /// A product with a matrix.
    fn product(&mut self, index: usize, node: &Node) -> Option<Channels> {
        let set = |name: &str| matches!(node.attribute(name), Some(Attribute::Int(value)) if *value != 0);
        let scaled = |name: &str| matches!(node.attribute(name), Some(Attribute::Float(value)) if *value != 1.0);
        let shape = self.shape(node, 1).filter(|shape| shape.len() == 2)?;
        if set("transA") || scaled("alpha") || scaled("beta") {
            return None;
        }
        let makes = usize::from(!set("transB"));
        let (count, reads) = (*shape.get(makes)?, *shape.get(1 - makes)?);
        if !self.is_bias(node, count) {
            return None;
        }
        if let Some(input) = self.of(node.inputs.first().copied().flatten()) {
            let input = Some(input).filter(|input| input.behind == 0)?;
            self.read(input, reads, Operand { node: index, operand: 1, axis: 1 - makes })?;
        }
        Some(self.made(index, node, count, makes, 0))
    }

    /// Four constants with a number for each channel.
    fn normalised(&mut self, index: usize, node: &Node) -> Option<Channels> {
        let input = self.of(node.inputs.first().copied().flatten())?;
        let size = self.size(input);
        let fit = (1..5).all(|operand| self.shape(node, operand).is_some_and(|shape| shape == [size]));
        let root = self.root(input.group);
        fit.then(|| self.groups[root].made.extend((1..5).map(|operand| Operand { node: index, operand, axis: 0 })))?;
        Some(input)
    }

    /// Two values of the same channels, or one with constants.
    fn together(&mut self, index: usize, node: &Node) -> Option<Channels> {
        let [Some(first), Some(second)] = node.inputs.as_slice() else { return None };
        match (self.of(Some(*first)), self.of(Some(*second))) {
            (Some(first), Some(second)) if first.behind == second.behind && self.size(first) == self.size(second) => {
                self.join(first.group, second.group);
                Some(first)
            }
            (Some(channels), None) => self.with_constant(index, node, 1, channels),
            (None, Some(channels)) => self.with_constant(index, node, 0, channels),
            _ => None,
        }
    }

    fn with_constant(&mut self, index: usize, node: &Node, operand: usize, channels: Channels) -> Option<Channels> {
        let shape = self.shape(node, operand)?;
        if let Some(axis) = shape.len().checked_sub(channels.behind + 1) {
            let size = *shape.get(axis)?;
            if size == self.size(channels) {
                let root = self.root(channels.group);
                self.groups[root].made.push(Operand { node: index, operand, axis });
            } else if size != 1 {
                return None;
            }
        }
        Some(channels)
    }

    /// A new group of channels that a node makes along an axis of its weight.
    fn made(&mut self, index: usize, node: &Node, size: usize, axis: usize, behind: usize) -> Channels {
        let group = self.groups.len();
        self.groups.push(Group { size, ..Group::default() });
        self.joined.push(group);
        self.changes(group, index, node, axis);
        Channels { group, behind }
    }

    /// Weight and bias of a node change with a group.
    fn changes(&mut self, group: usize, index: usize, node: &Node, axis: usize) {
        self.groups[group].made.push(Operand { node: index, operand: 1, axis });
        if node.inputs.get(2).is_some_and(Option::is_some) {
            self.groups[group].made.push(Operand { node: index, operand: 2, axis: 0 });
        }
    }

    fn read(&mut self, channels: Channels, size: usize, operand: Operand) -> Option<()> {
        let root = self.root(channels.group);
        let group = self.groups.get_mut(root).filter(|group| group.size == size)?;
        group.read.push(operand);
        Some(())
    }

    /// Whether a node has no bias, or a number for each channel.
    fn is_bias(&self, node: &Node, channels: usize) -> bool {
        match node.inputs.get(2) {
            None | Some(None) => true,
            Some(Some(_)) => self.shape(node, 2).is_some_and(|shape| shape == [channels]),
        }
    }

    /// The shape of a constant of binary32 that is an operand.
    fn shape(&self, node: &Node, operand: usize) -> Option<Vec<usize>> {
        let weight = self.constants.get(&node.inputs.get(operand).copied().flatten()?)?;
        let plain = weight.dtype == DType::F32 && weight.encoding == Encoding::Raw;
        plain.then(|| weight.shape.iter().map(|size| usize::try_from(*size).ok()).collect())?
    }

    fn of(&self, value: Option<ValueId>) -> Option<Channels> {
        self.found.get(&value?).copied()
    }

    fn size(&self, channels: Channels) -> usize {
        self.groups[self.root(channels.group)].size
    }

    fn root(&self, mut group: usize) -> usize {
        while self.joined[group] != group {
            group = self.joined[group];
        }
        group
    }

    /// Makes two groups one.
    fn join(&mut self, first: usize, second: usize) {
        let (first, second) = (self.root(first), self.root(second));
        if first != second {
            let joining = std::mem::take(&mut self.groups[second]);
            let group = &mut self.groups[first];
            group.made.extend(joining.made);
            group.read.extend(joining.read);
            group.depthwise.extend(joining.depthwise);
            group.locked |= joining.locked;
            self.joined[second] = first;
        }
    }

    fn lock(&mut self, value: ValueId) {
        if let Some(channels) = self.of(Some(value)) {
            self.lock_group(channels.group);
        }
    }

    fn lock_group(&mut self, group: usize) {
        let root = self.root(group);
        self.groups[root].locked = true;
    }
}

/// Values that bodies inside of nodes use.
fn nested_uses(body: &Body) -> BTreeSet<ValueId> {
    let mut uses = BTreeSet::new();
    let attributes = body.nodes.iter().flat_map(|node| &node.attributes);
    for body in attributes.filter_map(|(_, attribute)| match attribute {
        Attribute::Body(body) => Some(body),
        _ => None,
    }) {
        uses.extend(body.nodes.iter().flat_map(|node| node.inputs.iter().flatten()));
        uses.extend(&body.outputs);
        uses.extend(nested_uses(body));
    }
    uses
}
