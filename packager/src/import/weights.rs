//! The finished model as a program: constants become weights in sections.

use super::error::ImportError;
use super::model::{Constant, Model, Names, Type, fixed};
use pannier_engine::Program;
use pannier_graph::{
    ALIGNMENT_BYTES, AlignedBytes, Attribute, Body, Dim, Encoding, Graph, GraphLimits, Input, Node, Span, ValueId,
    Weight,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Lays the constants out: one section for each size of element, numbered and filled in the order of first use, each
/// weight 64-byte aligned. Values that nothing uses are left out.
///
/// # Errors
/// [`ImportError::Graph`] if the graph exceeds the limits of a bundle.
pub(super) fn program(mut model: Model) -> Result<Program, ImportError> {
    let body = std::mem::take(&mut model.body);
    let mut used = Used::default();
    used.body(&body, &model, true);
    let domains = std::mem::take(&mut model.domains).into_iter().collect();
    let mut writer = Writer {
        model,
        used,
        ids: BTreeMap::new(),
        names: Vec::new(),
        node_names: Names::default(),
        sections: Vec::new(),
    };
    let body = writer.body(body, true);
    let graph = Graph { domains, values: writer.names, body };
    graph.validate(&GraphLimits::default())?;
    let sections = writer.sections.into_iter().map(|section| Arc::new(section.finish())).collect();
    Ok(Program { graph: Arc::new(graph), sections })
}

/// Constants that are used, in the order of first use.
#[derive(Default)]
struct Used {
    order: Vec<ValueId>,
    seen: BTreeSet<ValueId>,
    /// Constants that a nested body hands out. They are that body's own; all others belong to the main body.
    nested: BTreeSet<ValueId>,
}

impl Used {
    fn body(&mut self, body: &Body, model: &Model, main: bool) {
        for node in &body.nodes {
            for value in node.inputs.iter().flatten() {
                self.value(*value, model);
            }
            for (_, attribute) in &node.attributes {
                if let Attribute::Body(nested) = attribute {
                    self.body(nested, model, false);
                }
            }
        }
        for value in &body.outputs {
            self.value(*value, model);
            if !main {
                self.nested.insert(*value);
            }
        }
    }

    fn value(&mut self, value: ValueId, model: &Model) {
        if model.constants.contains_key(&value) && self.seen.insert(value) {
            self.order.push(value);
        }
    }
}

struct Writer {
    model: Model,
    used: Used,
    /// New ids, without gaps.
    ids: BTreeMap<ValueId, ValueId>,
    names: Vec<String>,
    node_names: Names,
    sections: Vec<Section>,
}

impl Writer {
    fn id(&mut self, value: ValueId) -> ValueId {
        let next = ValueId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let id = *self.ids.entry(value).or_insert(next);
        if id == next {
            self.names.push(self.model.name(value).to_owned());
        }
        id
    }

    fn body(&mut self, body: Body, main: bool) -> Body {
        let inputs = body.inputs.into_iter().map(|input| self.input(input, main)).collect();
        let own: Vec<ValueId> = if main {
            let order = std::mem::take(&mut self.used.order);
            order.into_iter().filter(|value| !self.used.nested.contains(value)).collect()
        } else {
            let distinct: BTreeSet<ValueId> = body.outputs.iter().copied().collect();
            distinct.into_iter().filter(|value| self.model.constants.contains_key(value)).collect()
        };
        let weights = own.into_iter().filter_map(|value| self.weight(value)).collect();
        let nodes = body.nodes.into_iter().map(|node| self.node(node)).collect();
        let outputs = body.outputs.into_iter().map(|value| self.id(value)).collect();
        Body { inputs, outputs, nodes, weights }
    }

    fn input(&mut self, input: Input, main: bool) -> Input {
        let value = self.id(input.value);
        if main {
            return Input { value, ..input };
        }
        let Type { dtype, shape, .. } = self.model.r#type(input.value).clone();
        Input { value, dtype, shape: shape.and_then(|shape| shape.into_iter().collect()) }
    }

    fn node(&mut self, node: Node) -> Node {
        let inputs = node.inputs.into_iter().map(|value| value.map(|value| self.id(value))).collect();
        let attributes = node.attributes.into_iter().map(|(name, attribute)| match attribute {
            Attribute::Body(body) => (name, Attribute::Body(Box::new(self.body(*body, false)))),
            other => (name, other),
        });
        let attributes = attributes.collect();
        let outputs = node.outputs.into_iter().map(|value| value.map(|value| self.id(value))).collect();
        // Other tools refuse a file in which two nodes have one name.
        let name = self.node_names.unique(&node.name);
        Node { name, inputs, outputs, attributes, ..node }
    }

    fn weight(&mut self, value: ValueId) -> Option<Weight> {
        let constant = self.model.constants.get(&value)?.clone();
        let data = self.place(&constant);
        let value = self.id(value);
        Some(Weight { value, dtype: constant.dtype, shape: constant.shape, encoding: Encoding::Raw, data })
    }

    fn place(&mut self, constant: &Constant) -> Span {
        let width = constant.dtype.size_bytes();
        let index = self.sections.iter().position(|section| section.width == width).unwrap_or_else(|| {
            self.sections.push(Section { width, parts: Vec::new(), size_bytes: 0 });
            self.sections.len() - 1
        });
        let section = &mut self.sections[index];
        let offset = section.size_bytes.next_multiple_of(ALIGNMENT_BYTES);
        let size_bytes = constant.bytes.len();
        section.size_bytes = offset + size_bytes;
        section.parts.push((offset, Arc::clone(&constant.bytes)));
        Span { section: index as u32, offset: offset as u64, size_bytes: size_bytes as u64 }
    }
}

/// Weights whose elements have one size.
struct Section {
    width: usize,
    parts: Vec<(usize, Arc<Vec<u8>>)>,
    size_bytes: usize,
}

impl Section {
    fn finish(self) -> AlignedBytes {
        let mut bytes = AlignedBytes::zeroed(self.size_bytes);
        for (offset, part) in self.parts {
            bytes.as_bytes_mut()[offset..offset + part.len()].copy_from_slice(&part);
        }
        bytes
    }
}

/// The shape with a name for each size that is not known.
pub(super) fn named_shape(shape: &[Option<Dim>], mut name: impl FnMut(usize) -> String) -> Vec<Dim> {
    let named = shape.iter().enumerate().map(|(axis, size)| match (fixed(size), size) {
        (Some(size), _) => Dim::Fixed(size),
        (None, Some(symbol)) => symbol.clone(),
        (None, None) => Dim::Symbol(name(axis)),
    });
    named.collect()
}
