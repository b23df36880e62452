//! The rules that every decoded graph keeps. They are listed at [`Graph::decode`].

use crate::{
    ALIGNMENT_BYTES, Attribute, Body, DType, Dim, Graph, GraphError, GraphLimits, Input, Literal, Node, Rule, Span,
    ValueId, Weight,
};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

impl Graph {
    /// Checks the rules of [`Graph::decode`] on a graph that was made in memory.
    ///
    /// # Errors
    /// [`GraphError::Limit`] and [`GraphError::Invalid`], as listed there.
    pub fn validate(&self, limits: &GraphLimits) -> Result<(), GraphError> {
        let mut check = Check { graph: self, limits, states: Vec::new(), nodes: 0, weight_bytes: 0 };
        check.domains()?;
        check.names()?;
        check.states = vec![State::Undefined; self.values.len()];
        check.body(&self.body, 0)?;
        match check.states.iter().position(|state| *state == State::Undefined) {
            Some(index) => Err(invalid(value_place(self, index), Rule::NeverDefined)),
            None => Ok(()),
        }
    }

    /// Checks that every weight lies within its section.
    ///
    /// `section_bytes[n]` is the size of `weights/n`.
    ///
    /// # Errors
    /// [`Rule::OutsideSection`].
    pub fn check_sections(&self, section_bytes: &[u64]) -> Result<(), GraphError> {
        self.body.try_visit(&mut |body| {
            body.weights.iter().try_for_each(|weight| {
                let inside = weight.spans().all(|span| span.lies_within(section_bytes));
                let place = || format!("weight `{}`", self.value_name(weight.value));
                if inside { Ok(()) } else { Err(invalid(place(), Rule::OutsideSection)) }
            })
        })
    }
}

impl Body {
    /// Calls `visit` on this body and on every body nested in it, outer ones first, until it fails.
    ///
    /// # Errors
    /// The first error that `visit` returns.
    pub fn try_visit<E>(&self, visit: &mut impl FnMut(&Body) -> Result<(), E>) -> Result<(), E> {
        visit(self)?;
        for node in &self.nodes {
            for (_, attribute) in &node.attributes {
                if let Attribute::Body(body) = attribute {
                    body.try_visit(visit)?;
                }
            }
        }
        Ok(())
    }
}

impl Span {
    fn lies_within(&self, section_bytes: &[u64]) -> bool {
        let size = usize::try_from(self.section).ok().and_then(|index| section_bytes.get(index));
        let end = self.offset.checked_add(self.size_bytes);
        matches!((size, end), (Some(size), Some(end)) if end <= *size)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Undefined,
    Visible,
    /// Defined in a body that was left.
    OutOfScope,
}

struct Check<'a> {
    graph: &'a Graph,
    limits: &'a GraphLimits,
    /// By value.
    states: Vec<State>,
    nodes: usize,
    weight_bytes: u64,
}

impl Check<'_> {
    fn domains(&self) -> Result<(), GraphError> {
        let domains = &self.graph.domains;
        let sorted = domains.is_sorted_by(|a, b| a.0 < b.0);
        let named = domains.iter().all(|(name, version)| !name.is_empty() && name != "ai.onnx" && *version > 0);
        if sorted && named { Ok(()) } else { Err(invalid("domains".into(), Rule::Domain)) }
    }

    fn names(&self) -> Result<(), GraphError> {
        at_most("values", self.graph.values.len(), self.limits.values)?;
        let mut seen = BTreeSet::new();
        for (index, name) in self.graph.values.iter().enumerate() {
            if name.is_empty() || !seen.insert(name.as_str()) {
                return Err(invalid(value_place(self.graph, index), Rule::Name));
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &Body, depth: u32) -> Result<(), GraphError> {
        if depth > self.limits.depth {
            let (found, limit) = (u64::from(depth), u64::from(self.limits.depth));
            return Err(GraphError::Limit { what: "levels of nested bodies", found, limit });
        }
        self.nodes += body.nodes.len();
        at_most("nodes", self.nodes, self.limits.nodes)?;
        if !body.weights.is_sorted_by(|a, b| a.value < b.value) {
            return Err(invalid("weights".into(), Rule::WeightOrder));
        }
        let mut own = Vec::new();
        for input in &body.inputs {
            self.input(input, depth)?;
            own.push(self.define(input.value)?);
        }
        for weight in &body.weights {
            own.push(self.define(weight.value)?);
            self.weight(weight)?;
        }
        for node in &body.nodes {
            self.node(node, depth)?;
            for output in node.outputs.iter().flatten() {
                own.push(self.define(*output)?);
            }
        }
        own.sort_unstable();
        let mut seen = BTreeSet::new();
        for output in &body.outputs {
            let index = self.index(*output)?;
            if own.binary_search(&index).is_err() {
                return Err(invalid(value_place(self.graph, index), Rule::OutputFromOutside));
            }
            if depth == 0 && !seen.insert(index) {
                return Err(invalid(value_place(self.graph, index), Rule::OutputTwice));
            }
        }
        if depth > 0 {
            for index in own {
                if let Some(state) = self.states.get_mut(index) {
                    *state = State::OutOfScope;
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, depth: u32) -> Result<(), GraphError> {
        let place = || node_place(node);
        if node.op.is_empty() {
            return Err(invalid(place(), Rule::Operator));
        }
        if !node.domain.is_empty() && !self.graph.domains.iter().any(|(name, _)| *name == node.domain) {
            return Err(invalid(place(), Rule::Domain));
        }
        let named = node.attributes.iter().all(|(name, _)| !name.is_empty());
        if !named || !node.attributes.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(invalid(place(), Rule::AttributeOrder));
        }
        for input in node.inputs.iter().flatten() {
            let index = self.index(*input)?;
            if self.states.get(index) != Some(&State::Visible) {
                let place = format!("{}, {}", place(), value_place(self.graph, index));
                return Err(invalid(place, Rule::UsedBeforeDefinition));
            }
        }
        for (name, attribute) in &node.attributes {
            match attribute {
                Attribute::Body(body) => self.body(body, depth + 1)?,
                Attribute::Tensor(literal) => self.literal(literal, &format!("{}, attribute `{name}`", place()))?,
                _ => {}
            }
        }
        Ok(())
    }

    fn input(&self, input: &Input, depth: u32) -> Result<(), GraphError> {
        let place = || format!("input `{}`", self.graph.value_name(input.value));
        if depth == 0 && (input.dtype.is_none() || input.shape.is_none()) {
            return Err(invalid(place(), Rule::Untyped));
        }
        let dims = input.shape.as_deref().unwrap_or_default();
        at_most("dimensions", dims.len(), self.limits.rank)?;
        if dims.iter().any(|dim| matches!(dim, Dim::Symbol(name) if name.is_empty())) {
            return Err(invalid(place(), Rule::Symbol));
        }
        // Symbols count as one: what they are bound to is checked when a run binds them.
        let fixed = dims.iter().map(|dim| if let Dim::Fixed(size) = dim { *size } else { 1 });
        match size_bytes(input.dtype.unwrap_or(DType::F64), fixed) {
            Some(_) => Ok(()),
            None => Err(invalid(place(), Rule::ShapeOverflow)),
        }
    }

    fn literal(&self, literal: &Literal, place: &str) -> Result<(), GraphError> {
        at_most("dimensions", literal.shape.len(), self.limits.rank)?;
        let Some(expected) = size_bytes(literal.dtype, literal.shape.iter().copied()) else {
            return Err(invalid(place.into(), Rule::ShapeOverflow));
        };
        if expected != literal.bytes.len() as u64 {
            return Err(invalid(place.into(), Rule::Size));
        }
        if literal.dtype == DType::Bool && literal.bytes.iter().any(|byte| *byte > 1) {
            return Err(invalid(place.into(), Rule::Boolean));
        }
        Ok(())
    }

    fn weight(&mut self, weight: &Weight) -> Result<(), GraphError> {
        let place = || format!("weight `{}`", self.graph.value_name(weight.value));
        at_most("dimensions", weight.shape.len(), self.limits.rank)?;
        let Some(decoded_bytes) = weight.decoded_bytes() else {
            return Err(invalid(place(), Rule::ShapeOverflow));
        };
        self.weight_bytes = self.weight_bytes.saturating_add(decoded_bytes);
        if self.weight_bytes > self.limits.weight_bytes {
            let (found, limit) = (self.weight_bytes, self.limits.weight_bytes);
            return Err(GraphError::Limit { what: "bytes of weights", found, limit });
        }
        weight.check_encoding().map_err(|rule| invalid(place(), rule))?;
        let alignment = ALIGNMENT_BYTES as u64;
        if weight.spans().any(|span| span.offset % alignment != 0) {
            return Err(invalid(place(), Rule::Alignment));
        }
        Ok(())
    }

    fn define(&mut self, value: ValueId) -> Result<usize, GraphError> {
        let index = self.index(value)?;
        match self.states.get_mut(index) {
            Some(state @ State::Undefined) => {
                *state = State::Visible;
                Ok(index)
            }
            _ => Err(invalid(value_place(self.graph, index), Rule::DefinedTwice)),
        }
    }

    fn index(&self, value: ValueId) -> Result<usize, GraphError> {
        let index = usize::try_from(value.0).ok().filter(|index| *index < self.graph.values.len());
        index.ok_or_else(|| invalid(format!("value {}", value.0), Rule::UnknownValue))
    }
}

/// Size in bytes of a tensor, if it is below 2^63.
pub(crate) fn size_bytes(dtype: DType, shape: impl Iterator<Item = u64>) -> Option<u64> {
    // A zero must not hide an overflow in the other dimensions: strides are computed from them.
    let mut product = dtype.size_bytes() as u64;
    let mut empty = false;
    for size in shape {
        empty |= size == 0;
        product = product.checked_mul(size.max(1)).filter(|product| *product < 1 << 63)?;
    }
    Some(if empty { 0 } else { product })
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), GraphError> {
    if found <= limit {
        return Ok(());
    }
    Err(GraphError::Limit { what, found: found as u64, limit: limit as u64 })
}

fn invalid(place: String, rule: Rule) -> GraphError {
    GraphError::Invalid { place, rule }
}

fn value_place(graph: &Graph, index: usize) -> String {
    format!("value {index} `{}`", graph.values.get(index).map_or("", String::as_str))
}

fn node_place(node: &Node) -> String {
    format!("node `{}` ({})", node.name, node.op)
}
