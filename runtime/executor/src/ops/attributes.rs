//! Attributes of a node, read with the standard's defaults.

use super::Refusal;
use pannier_graph::{Attribute, Node};

/// A node's attributes.
pub(crate) struct Attributes<'a> {
    node: &'a Node,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(node: &'a Node) -> Attributes<'a> {
        Attributes { node }
    }

    /// The operator's name.
    pub(crate) fn op(&self) -> &'a str {
        &self.node.op
    }

    /// How many results the node names, wanted or not.
    pub(crate) fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// Whether somebody may want this result.
    pub(crate) fn wants(&self, output: usize) -> bool {
        matches!(self.node.outputs.get(output), Some(Some(_)))
    }

    /// Whether the node has this operand.
    pub(crate) fn has_input(&self, input: usize) -> bool {
        matches!(self.node.inputs.get(input), Some(Some(_)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attribute(name)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> Result<i64, Refusal> {
        match self.node.attribute(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(wrong(name, "an integer")),
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> Result<f32, Refusal> {
        match self.node.attribute(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(wrong(name, "a number")),
        }
    }

    pub(crate) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Refusal> {
        match self.node.attribute(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "a list of integers")),
        }
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Refusal> {
        match self.node.attribute(name) {
            None => Ok(None),
            Some(Attribute::Floats(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "a list of numbers")),
        }
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Option<&'a [Vec<u8>]>, Refusal> {
        match self.node.attribute(name) {
            None => Ok(None),
            Some(Attribute::Strings(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "a list of texts")),
        }
    }

    pub(crate) fn text(&self, name: &str, default: &'static str) -> Result<&'a str, Refusal> {
        match self.node.attribute(name) {
            None => Ok(default),
            Some(Attribute::String(value)) => std::str::from_utf8(value).map_err(|_| wrong(name, "a text")),
            Some(_) => Err(wrong(name, "a text")),
        }
    }

    /// An attribute that the standard has and this engine does not.
    pub(crate) fn unsupported(&self, what: &str) -> Refusal {
        Refusal::Unsupported(format!("attribute {what}"))
    }
}

fn wrong(name: &str, expected: &str) -> Refusal {
    Refusal::Invalid(format!("attribute {name} is not {expected}"))
}
