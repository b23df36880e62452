//! Axes and positions that were attributes and are inputs now.

use super::{set_input, take_ints};
use crate::import::emit::Emit;
use crate::import::error::Why;
use crate::import::model::{Attributes, input};
use pannier_graph::{Attribute, Node};

/// `Squeeze`, `Unsqueeze` and reductions: the attribute `axes` becomes the second input. No axes and an empty list of
/// them meant the same: all.
pub(super) fn to_input(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    if let Some(axes) = take_ints(&mut node, "axes")?.filter(|axes| !axes.is_empty()) {
        let axes = emit.ints(&axes);
        set_input(&mut node, 1, axes);
    }
    emit.push(node);
    Ok(())
}

/// `Slice` before opset 10: starts, ends and axes become inputs.
pub(super) fn slice(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let missing = |name: &str| Why::AttributeMissing(name.to_owned());
    let starts = take_ints(&mut node, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = take_ints(&mut node, "ends")?.ok_or_else(|| missing("ends"))?;
    let axes = take_ints(&mut node, "axes")?;
    if starts.len() != ends.len() || axes.as_ref().is_some_and(|axes| axes.len() != starts.len()) {
        return Err(Why::Attribute { name: "starts".to_owned(), reason: "starts, ends and axes differ in length" });
    }
    for (index, values) in [Some(starts), Some(ends), axes].into_iter().enumerate() {
        if let Some(values) = values {
            let values = emit.ints(&values);
            set_input(&mut node, index + 1, values);
        }
    }
    emit.push(node);
    Ok(())
}

/// `Split`: the attribute `split` becomes an input (opset 13); equal parts are asked for by their number (opset 18).
pub(super) fn split(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    if let Some(sizes) = take_ints(&mut node, "split")?.filter(|sizes| !sizes.is_empty()) {
        let sizes = emit.ints(&sizes);
        set_input(&mut node, 1, sizes);
    }
    if input(&node, 1).is_none() {
        let outputs = i64::try_from(node.outputs.len()).unwrap_or(i64::MAX);
        node.set("num_outputs", Attribute::Int(outputs));
    }
    emit.push(node);
    Ok(())
}
