//! Attributes of a node, read with the standard's defaults. One of a wrong type is what the standard's default is not: refused.

use crate::failure::{Failure, Outcome};
use pannier_graph::{Attribute, Node};

/// A node's attributes.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a Node);

impl<'a> Attributes<'a> {
    pub(crate) fn int(&self, name: &str, default: i64) -> Outcome<i64> {
        Ok(self.int_if_any(name)?.unwrap_or(default))
    }

    pub(crate) fn int_if_any(&self, name: &str) -> Outcome<Option<i64>> {
        match self.0.attribute(name) {
            None => Ok(None),
            Some(Attribute::Int(value)) => Ok(Some(*value)),
            Some(_) => Err(wrong(name)),
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Outcome<bool> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> Outcome<f64> {
        Ok(self.float_if_any(name)?.unwrap_or(f64::from(default)))
    }

    pub(crate) fn float_if_any(&self, name: &str) -> Outcome<Option<f64>> {
        match self.0.attribute(name) {
            None => Ok(None),
            Some(Attribute::Float(value)) => Ok(Some(f64::from(*value))),
            Some(_) => Err(wrong(name)),
        }
    }

    pub(crate) fn ints(&self, name: &str) -> Outcome<Option<&'a [i64]>> {
        match self.0.attribute(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name)),
        }
    }

    pub(crate) fn text(&self, name: &str, default: &'static str) -> Outcome<&'a str> {
        match self.0.attribute(name) {
            None => Ok(default),
            Some(Attribute::String(value)) => std::str::from_utf8(value).map_err(|_| wrong(name)),
            Some(_) => Err(wrong(name)),
        }
    }

    /// Whether somebody wants this result.
    pub(crate) fn wants(&self, output: usize) -> bool {
        matches!(self.0.outputs.get(output), Some(Some(_)))
    }

    /// Whether the node has this operand.
    pub(crate) fn has(&self, input: usize) -> bool {
        matches!(self.0.inputs.get(input), Some(Some(_)))
    }

    /// Refuses an attribute with another value than the one that is implemented.
    pub(crate) fn only(&self, name: &str, found: &str, expected: &[&str]) -> Outcome<()> {
        if expected.contains(&found) { Ok(()) } else { Err(Failure::Unsupported(format!("attribute {name}={found}"))) }
    }
}

fn wrong(name: &str) -> Failure {
    Failure::Invalid(format!("attribute {name} has the wrong type"))
}
