//! Softmax and its like, which looked at two dimensions before opset 13.

use super::{first_input, take_int};
use crate::import::emit::{Emit, node};
use crate::import::error::Why;
use crate::import::model::Attributes;
use pannier_graph::{Attribute, Node};

/// Before opset 13 the input was flattened to two dimensions at `axis` (1 when not stated) and the operator went along
/// the second. Where `axis` is the last one, that is what it does now; elsewhere it is written out.
pub(super) fn flattened(mut old: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let x = first_input(&old)?;
    let axis = take_int(&mut old, "axis")?.unwrap_or(1);
    let last = emit.model.rank(x).and_then(|rank| i64::try_from(rank).ok()).map(|rank| rank - 1);
    old.set("axis", Attribute::Int(-1));
    if axis == -1 || Some(axis) == last {
        emit.push(old);
        return Ok(());
    }
    let shape = emit.op("Shape", &[x]);
    let flat = emit.op_with("Flatten", &[x], [("axis", Attribute::Int(axis))]);
    let normalised = emit.model.value(&format!("{}/flat", old.name));
    let outputs = std::mem::replace(&mut old.outputs, vec![Some(normalised)]);
    old.inputs = vec![Some(flat)];
    emit.push(old);
    emit.push(node("Reshape", vec![Some(normalised), Some(shape)], outputs, [("allowzero", Attribute::Int(1))]));
    Ok(())
}
