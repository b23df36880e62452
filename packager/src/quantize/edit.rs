//! Changing a program: weights are replaced, nodes inserted, and at the end everything is laid out anew.

use super::error::QuantizeError;
use pannier_engine::Program;
use pannier_graph::{
    ALIGNMENT_BYTES, AlignedBytes, Attribute, Body, DType, Encoding, Graph, GraphLimits, Node, Span, ValueId, Weight,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A program that is being changed. Indices of nodes are those of the original until it is finished.
pub(super) struct Editor {
    graph: Graph,
    /// The original's, then one for each blob that was added.
    sections: Vec<Arc<AlignedBytes>>,
    names: BTreeSet<String>,
    node_names: BTreeSet<String>,
    /// Nodes that come before one of the original.
    inserted: BTreeMap<usize, Vec<Node>>,
}

impl Editor {
    pub(super) fn new(program: &Program) -> Editor {
        let graph = Graph::clone(&program.graph);
        Editor {
            names: graph.values.iter().cloned().collect(),
            node_names: graph.body.nodes.iter().map(|node| node.name.clone()).collect(),
            sections: program.sections.clone(),
            inserted: BTreeMap::new(),
            graph,
        }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Adds bytes that a weight may refer to.
    pub(super) fn store(&mut self, bytes: &[u8]) -> Span {
        self.sections.push(Arc::new(AlignedBytes::copy_from(bytes)));
        let section = u32::try_from(self.sections.len() - 1).unwrap_or(u32::MAX);
        Span { section, offset: 0, size_bytes: bytes.len() as u64 }
    }

    /// Adds little-endian numbers that a weight may refer to.
    pub(super) fn store_floats(&mut self, numbers: &[f32]) -> Span {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.store(&bytes)
    }

    /// A new value. Its name is this one, with a number where that is taken.
    pub(super) fn value(&mut self, name: &str) -> ValueId {
        let name = unique(&mut self.names, name);
        let value = ValueId(u32::try_from(self.graph.values.len()).unwrap_or(u32::MAX));
        self.graph.values.push(name);
        value
    }

    /// A new constant.
    pub(super) fn constant(&mut self, name: &str, dtype: DType, shape: &[usize], bytes: &[u8]) -> ValueId {
        let value = self.value(name);
        let data = self.store(bytes);
        let shape = shape.iter().map(|size| *size as u64).collect();
        self.graph.body.weights.push(Weight { value, dtype, shape, encoding: Encoding::Raw, data });
        value
    }

    /// A new weight under a new name.
    pub(super) fn weight(&mut self, name: &str, shape: &[usize], encoding: Encoding, data: Span) -> ValueId {
        let value = self.value(name);
        let shape = shape.iter().map(|size| *size as u64).collect();
        self.graph.body.weights.push(Weight { value, dtype: DType::F32, shape, encoding, data });
        value
    }

    /// A constant with the bytes of another; `None` where the value is none.
    pub(super) fn copy(&mut self, value: ValueId) -> Option<ValueId> {
        let original = self.graph.body.weights.iter().find(|weight| weight.value == value)?.clone();
        let name = self.graph.value_name(value).to_owned();
        let copy = self.value(&name);
        self.graph.body.weights.push(Weight { value: copy, ..original });
        Some(copy)
    }

    /// Gives a weight of plain numbers another shape.
    pub(super) fn resize(&mut self, value: ValueId, shape: &[usize], data: Span) {
        if let Some(weight) = self.graph.body.weights.iter_mut().find(|weight| weight.value == value) {
            weight.shape = shape.iter().map(|size| *size as u64).collect();
            weight.data = data;
        }
    }

    /// Sets an attribute of a node of the original.
    pub(super) fn set_attribute(&mut self, node: usize, name: &str, value: Attribute) {
        let Some(node) = self.graph.body.nodes.get_mut(node) else { return };
        node.attributes.retain(|(known, _)| known != name);
        node.attributes.push((name.to_owned(), value));
        node.attributes.sort_by(|a, b| a.0.cmp(&b.0));
    }

    /// Stores a weight in another way.
    pub(super) fn encode(&mut self, value: ValueId, encoding: Encoding, data: Span) {
        if let Some(weight) = self.graph.body.weights.iter_mut().find(|weight| weight.value == value) {
            (weight.encoding, weight.data) = (encoding, data);
        }
    }

    /// Takes a weight out, for a node to define its value.
    pub(super) fn undefine(&mut self, value: ValueId) {
        self.graph.body.weights.retain(|weight| weight.value != value);
    }

    /// Puts a node before one of the original. The first that was inserted there comes first.
    pub(super) fn insert(
        &mut self,
        before: usize,
        op: &str,
        inputs: &[ValueId],
        outputs: &[ValueId],
        attributes: &[(&str, Attribute)],
    ) {
        let name = outputs.first().map_or(op, |value| self.graph.value_name(*value)).to_owned();
        let mut attributes: Vec<_> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let node = Node {
            name: unique(&mut self.node_names, &format!("{name}_{op}")),
            domain: String::new(),
            op: op.to_owned(),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: outputs.iter().copied().map(Some).collect(),
            attributes,
        };
        self.inserted.entry(before).or_default().push(node);
    }

    /// Makes a node read another value. An operand that is not there yet is added.
    pub(super) fn set_input(&mut self, node: usize, operand: usize, value: ValueId) {
        let Some(node) = self.graph.body.nodes.get_mut(node) else { return };
        if node.inputs.len() <= operand {
            node.inputs.resize(operand + 1, None);
        }
        if let Some(slot) = node.inputs.get_mut(operand) {
            *slot = Some(value);
        }
    }

    /// The program, checked, its weights in one section for each size of element.
    ///
    /// # Errors
    /// [`QuantizeError::Graph`]: a limit of bundles is exceeded.
    pub(super) fn finish(mut self) -> Result<Program, QuantizeError> {
        let nodes = std::mem::take(&mut self.graph.body.nodes);
        for (index, node) in nodes.into_iter().enumerate() {
            self.graph.body.nodes.extend(self.inserted.remove(&index).unwrap_or_default());
            self.graph.body.nodes.push(node);
        }
        self.graph.body.weights.sort_by_key(|weight| weight.value);
        let mut layout = Sections { old: &self.sections, moved: BTreeMap::new(), sections: Vec::new() };
        layout.body(&mut self.graph.body);
        let sections = layout.sections;
        self.graph.validate(&GraphLimits::default())?;
        let sections: Vec<Arc<AlignedBytes>> =
            sections.into_iter().map(|section| Arc::new(AlignedBytes::copy_from(&section.bytes))).collect();
        let sizes: Vec<u64> = sections.iter().map(|section| section.len() as u64).collect();
        self.graph.check_sections(&sizes)?;
        Ok(Program { graph: Arc::new(self.graph), sections })
    }
}

/// The name, with a number behind it where it is taken.
fn unique(taken: &mut BTreeSet<String>, name: &str) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// Bytes of weights in one section for each size of element.
struct Sections<'a> {
    old: &'a [Arc<AlignedBytes>],
    moved: BTreeMap<(u32, u64, u64, usize), Span>,
    sections: Vec<Section>,
}

struct Section {
    width: usize,
    bytes: Vec<u8>,
}

impl Sections<'_> {
    fn body(&mut self, body: &mut Body) {
        for weight in &mut body.weights {
            let width = match weight.encoding {
                Encoding::Raw => weight.dtype.size_bytes(),
                Encoding::F16 => 2,
                Encoding::Int8 { .. } | Encoding::Int4 { .. } => 1,
            };
            self.place(&mut weight.data, width);
            if let Encoding::Int8 { scale, zero_point, .. } | Encoding::Int4 { scale, zero_point, .. } =
                &mut weight.encoding
            {
                self.place(scale, 4);
                zero_point.iter_mut().for_each(|span| self.place(span, 1));
            }
        }
        for (_, attribute) in body.nodes.iter_mut().flat_map(|node| &mut node.attributes) {
            if let Attribute::Body(body) = attribute {
                self.body(body);
            }
        }
    }

    fn place(&mut self, span: &mut Span, width: usize) {
        let key = (span.section, span.offset, span.size_bytes, width);
        if let Some(moved) = self.moved.get(&key) {
            *span = *moved;
            return;
        }
        let program = |span: &Span| {
            let section = self.old.get(usize::try_from(span.section).ok()?)?;
            let start = usize::try_from(span.offset).ok()?;
            section.get(start..start.checked_add(usize::try_from(span.size_bytes).ok()?)?)
        };
        // A span outside its section keeps its size, which the check of the finished graph then refuses.
        let bytes = program(span).unwrap_or_default();
        let index = self.sections.iter().position(|section| section.width == width).unwrap_or_else(|| {
            self.sections.push(Section { width, bytes: Vec::new() });
            self.sections.len() - 1
        });
        if let Some(section) = self.sections.get_mut(index) {
            section.bytes.resize(section.bytes.len().next_multiple_of(ALIGNMENT_BYTES), 0);
            span.section = u32::try_from(index).unwrap_or(u32::MAX);
            span.offset = section.bytes.len() as u64;
            section.bytes.extend_from_slice(bytes);
        }
        self.moved.insert(key, *span);
    }
}
