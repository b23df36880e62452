//! What the ONNX standard says of each operator: versions, numbers of inputs and outputs, attributes.

mod table;

use pannier_graph::Attribute;
use std::ops::RangeInclusive;

/// One operator. Inputs, outputs and attributes are those of its newest version.
#[derive(Debug)]
pub(super) struct Operator {
    domain: &'static str,
    name: &'static str,
    /// Operator set versions in which its definition changed, ascending; the first is the one that introduced it.
    since: &'static [u32],
    /// Whether the newest version says that it is to be used no more.
    deprecated: bool,
    inputs: (u8, u8),
    outputs: (u8, u8),
    /// `name:type`, with a `!` after those that must be there, separated by blanks.
    attributes: &'static str,
}

const fn operator(
    domain: &'static str,
    name: &'static str,
    since: &'static [u32],
    deprecated: bool,
    inputs: (u8, u8),
    outputs: (u8, u8),
    attributes: &'static str,
) -> Operator {
    Operator { domain, name, since, deprecated, inputs, outputs, attributes }
}

/// Stands in the table for any number of inputs or outputs.
const VARIADIC: u8 = 255;

/// The operator with this name.
pub(super) fn find(domain: &str, name: &str) -> Option<&'static Operator> {
    let index = table::OPERATORS.binary_search_by(|operator| (operator.domain, operator.name).cmp(&(domain, name)));
    index.ok().and_then(|index| table::OPERATORS.get(index))
}

impl Operator {
    /// The definition that holds in an operator set: the newest that is not newer. `None` if it came later.
    pub(super) fn version_in(&self, opset: u32) -> Option<u32> {
        self.since.iter().copied().filter(|since| *since <= opset).max()
    }

    /// Whether the definition of this version says that the operator is to be used no more.
    pub(super) fn deprecated_in(&self, version: u32) -> bool {
        self.deprecated && self.since.last() == Some(&version)
    }

    /// Operator set that introduced it.
    pub(super) fn introduced(&self) -> u32 {
        self.since.first().copied().unwrap_or_default()
    }

    /// How many inputs it takes: those that must be there, and all with optional ones.
    pub(super) fn inputs(&self) -> RangeInclusive<usize> {
        range(self.inputs)
    }

    /// How many outputs it gives.
    pub(super) fn outputs(&self) -> RangeInclusive<usize> {
        range(self.outputs)
    }

    /// Each attribute: name, type, and whether it must be there.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        self.attributes.split_whitespace().filter_map(|entry| {
            let (name, kind) = entry.split_once(':')?;
            let required = kind.ends_with('!');
            Some((name, kind.trim_end_matches('!'), required))
        })
    }
}

/// The type of an attribute, in the words of the table.
pub(super) fn kind(attribute: &Attribute) -> &'static str {
    match attribute {
        Attribute::Int(_) => "int",
        Attribute::Float(_) => "float",
        Attribute::String(_) => "string",
        Attribute::Tensor(_) => "tensor",
        Attribute::Body(_) => "graph",
        Attribute::Ints(_) => "ints",
        Attribute::Floats(_) => "floats",
        Attribute::Strings(_) => "strings",
    }
}

fn range((least, most): (u8, u8)) -> RangeInclusive<usize> {
    usize::from(least)..=if most == VARIADIC { usize::MAX } else { usize::from(most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_operator_is_found() {
        for operator in table::OPERATORS {
            assert!(find(operator.domain, operator.name).is_some(), "{operator:?}");
        }
    }

    #[test]
    fn the_version_in_force_is_the_newest_that_is_not_newer() {
        let conv = find("", "Conv").expect("Conv is in the table");
        let found: Vec<_> = [7, 11, 21, 22, 25].into_iter().map(|opset| conv.version_in(opset)).collect();
        assert_eq!(found, [Some(1), Some(11), Some(11), Some(22), Some(22)]);
        assert_eq!(find("", "Gelu").and_then(|gelu| gelu.version_in(19)), None);
    }
}
