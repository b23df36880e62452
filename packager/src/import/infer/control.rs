//! Operators with graphs inside.

use super::{Outcome, View, untyped};
use crate::import::model::{Attributes, Type};
use pannier_graph::{Attribute, Body};

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "If" => Ok(branches(view)),
        "Loop" => Ok(repeated(view, 2, 1)),
        "Scan" => {
            let sequences = usize::try_from(view.node.int_or("num_scan_inputs", 0)).unwrap_or(0);
            let states = view.node.inputs.len().saturating_sub(sequences);
            Ok(carried(view, 0, states, 0))
        }
        _ => return None,
    })
}

fn body<'a>(view: &View<'a>, name: &str) -> Option<&'a Body> {
    if let Some(Attribute::Body(body)) = view.node.attribute(name) { Some(body) } else { None }
}

/// What both branches agree on.
fn branches(view: &View<'_>) -> Vec<Type> {
    let (Some(then), Some(other)) = (body(view, "then_branch"), body(view, "else_branch")) else { return Vec::new() };
    let common = |(then, other): (&_, &_)| {
        let (then, other) = (view.model.r#type(*then), view.model.r#type(*other));
        let shape = match (&then.shape, &other.shape) {
            (Some(then), Some(other)) if then.len() == other.len() => {
                Some(then.iter().zip(other).map(|(a, b)| if a == b { a.clone() } else { None }).collect())
            }
            _ => None,
        };
        Type { dtype: then.dtype.or(other.dtype), shape, elements: None }
    };
    then.outputs.iter().zip(&other.outputs).map(common).collect()
}

/// A `Loop`: `first` inputs before the carried values, `skip` outputs of the body before them.
fn repeated(view: &View<'_>, first: usize, skip: usize) -> Vec<Type> {
    let states = view.node.inputs.len().saturating_sub(first);
    carried(view, first, states, skip)
}

/// Carried values keep their type, though perhaps not their shape. What is collected gains a leading axis.
fn carried(view: &View<'_>, first: usize, states: usize, skip: usize) -> Vec<Type> {
    let results = body(view, "body").map(|body| body.outputs.as_slice()).unwrap_or_default();
    let result = |index: usize| results.get(index + skip).map(|value| view.model.r#type(*value));
    let states_types = (0..states)
        .map(|index| untyped(view.dtype(first + index).or_else(|| result(index).and_then(|result| result.dtype))));
    let collected = (states..view.node.outputs.len()).map(|index| {
        let default_axis = view.node.ints("scan_output_axes").is_none();
        let shape = result(index).and_then(|result| result.shape.as_ref()).filter(|_| default_axis);
        let shape = shape.map(|shape| std::iter::once(None).chain(shape.iter().cloned()).collect());
        Type { dtype: result(index).and_then(|result| result.dtype), shape, elements: None }
    });
    states_types.chain(collected).collect()
}
