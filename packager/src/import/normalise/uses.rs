//! Who uses a value, and replacing one value by another.

use super::super::model::{for_each_body, index};
use pannier_graph::{Attribute, Body, ValueId};

/// How often each of `len` values is used, by nodes and as output of a body, nested bodies included.
pub(super) fn count(body: &Body, len: usize) -> Vec<u32> {
    let mut counts = vec![0; len];
    visit(body, &mut |value| {
        if let Some(count) = counts.get_mut(index(value)) {
            *count += 1;
        }
    });
    counts
}

fn visit(body: &Body, used: &mut impl FnMut(ValueId)) {
    for node in &body.nodes {
        node.inputs.iter().flatten().for_each(|value| used(*value));
        for (_, attribute) in &node.attributes {
            if let Attribute::Body(nested) = attribute {
                visit(nested, used);
            }
        }
    }
    body.outputs.iter().for_each(|value| used(*value));
}

/// Replaces values where nodes use them, also in nested bodies. Outputs of bodies stay.
pub(super) fn replace_inputs(body: &mut Body, replacement: &impl Fn(ValueId) -> Option<ValueId>) {
    for_each_body(body, &mut |body| {
        for value in body.nodes.iter_mut().flat_map(|node| &mut node.inputs).flatten() {
            if let Some(other) = replacement(*value) {
                *value = other;
            }
        }
    });
}
