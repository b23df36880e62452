//! Normalisations.

use super::values::scalar_like;
use super::{first_input, take_float, take_int};
use crate::import::emit::{Emit, node};
use crate::import::error::Why;
use crate::import::model::{Attributes, input};
use pannier_graph::{Attribute, Node};

/// `BatchNormalization` before opset 14. More than one output meant training. `spatial=0` (opset 7) meant statistics
/// for every element and not for every channel, which is element-wise arithmetic.
pub(super) fn batch_normalization(mut old: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    if old.outputs.iter().skip(1).any(Option::is_some) {
        return Err(Why::Upgrade { reason: "it is in training mode" });
    }
    old.outputs.truncate(1);
    if take_int(&mut old, "spatial")?.unwrap_or(1) != 0 {
        emit.push(old);
        return Ok(());
    }
    let x = first_input(&old)?;
    let parameter = |index| input(&old, index).ok_or(Why::InputAbsent(index));
    let (scale, bias, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let epsilon = scalar_like(emit, x, take_float(&mut old, "epsilon")?.unwrap_or(1e-5))?;
    let centred = emit.op("Sub", &[x, mean]);
    let variance = emit.op("Add", &[variance, epsilon]);
    let deviation = emit.op("Sqrt", &[variance]);
    let normalised = emit.op("Div", &[centred, deviation]);
    let scaled = emit.op("Mul", &[normalised, scale]);
    emit.push(node("Add", vec![Some(scaled), Some(bias)], old.outputs, []));
    Ok(())
}

/// `GroupNormalization` of opset 18 had a scale and a bias for each group; now there is one for each channel.
pub(super) fn group_normalization(mut old: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let x = first_input(&old)?;
    let groups = old.int("num_groups").ok_or_else(|| Why::AttributeMissing("num_groups".to_owned()))?;
    let groups = emit.ints(&[groups]);
    let channels = emit.op_with("Shape", &[x], [("start", Attribute::Int(1)), ("end", Attribute::Int(2))]);
    let per_group = emit.op("Div", &[channels, groups]);
    let one = emit.ints(&[1]);
    let target = emit.op_with("Concat", &[one, per_group], [("axis", Attribute::Int(0))]);
    let column = emit.ints(&[-1, 1]);
    let list = emit.ints(&[-1]);
    for index in [1, 2] {
        let parameter = input(&old, index).ok_or(Why::InputAbsent(index))?;
        let by_group = emit.op("Reshape", &[parameter, column]);
        let spread = emit.op("Expand", &[by_group, target]);
        old.inputs[index] = Some(emit.op("Reshape", &[spread, list]));
    }
    emit.push(old);
    Ok(())
}
