//! Operators whose numbers or modes moved from attributes to inputs, or changed their names.

use super::{first_input, set_input, take_float, take_int, take_ints};
use crate::import::emit::Emit;
use crate::import::error::Why;
use crate::import::model::{Attributes, Constant, output};
use pannier_graph::{Attribute, Node, ValueId};

/// `Clip` before opset 11: the bounds become inputs. A bound that is not stated bounds nothing.
pub(super) fn clip(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let x = first_input(&node)?;
    for (index, name) in [(1, "min"), (2, "max")] {
        if let Some(bound) = take_float(&mut node, name)? {
            let bound = scalar_like(emit, x, bound)?;
            set_input(&mut node, index, bound);
        }
    }
    emit.push(node);
    Ok(())
}

/// `Pad` before opset 11: sizes and value become inputs.
pub(super) fn pad(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let x = first_input(&node)?;
    let pads = take_ints(&mut node, "pads")?.ok_or_else(|| Why::AttributeMissing("pads".to_owned()))?;
    let pads = emit.ints(&pads);
    set_input(&mut node, 1, pads);
    if let Some(value) = take_float(&mut node, "value")?.filter(|value| *value != 0.0) {
        let value = scalar_like(emit, x, value)?;
        set_input(&mut node, 2, value);
    }
    emit.push(node);
    Ok(())
}

/// `Dropout` before opset 12, which is always inference: the ratio has no effect. The mask was of the data's type
/// before opset 10 and is boolean now.
pub(super) fn dropout(mut node: Node, version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let x = first_input(&node)?;
    take_float(&mut node, "ratio")?;
    let mask = output(&node, 1);
    match mask.filter(|_| version < 10) {
        None => emit.push(node),
        Some(mask) => {
            let boolean = emit.model.value("mask");
            node.outputs[1] = Some(boolean);
            emit.push(node);
            let inputs = vec![Some(boolean), Some(x)];
            emit.push(crate::import::emit::node("CastLike", inputs, vec![Some(mask)], []));
        }
    }
    Ok(())
}

/// How casts round and saturate matters to 8-bit and 4-bit floating-point types only, which bundles do not have.
pub(super) fn cast(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    take_int(&mut node, "saturate")?;
    node.take("round_mode");
    emit.push(node);
    Ok(())
}

/// `DFT` before opset 20: the axis becomes an input. It was 1 when it was not stated.
pub(super) fn dft(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let axis = take_int(&mut node, "axis")?.unwrap_or(1);
    let axis = emit.constant(Constant::from_ints(&[], &[axis]));
    set_input(&mut node, 2, axis);
    emit.push(node);
    Ok(())
}

/// `TopK` before opset 10: the count becomes an input.
pub(super) fn top_k(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let k = take_int(&mut node, "k")?.ok_or_else(|| Why::AttributeMissing("k".to_owned()))?;
    let k = emit.ints(&[k]);
    set_input(&mut node, 1, k);
    emit.push(node);
    Ok(())
}

/// `GridSample` before opset 20: modes were named after the two-dimensional case.
pub(super) fn grid_sample(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    let mode = match node.string("mode") {
        None | Some("bilinear") => "linear",
        Some("bicubic") => "cubic",
        Some(_) => "nearest",
    };
    node.set("mode", Attribute::String(mode.into()));
    emit.push(node);
    Ok(())
}

/// `RoiAlign` before opset 16 did not shift coordinates by half a pixel.
pub(super) fn roi_align(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    node.set("coordinate_transformation_mode", Attribute::String(b"output_half_pixel".to_vec()));
    emit.push(node);
    Ok(())
}

/// `Scatter` is called `ScatterElements` since opset 11.
pub(super) fn scatter(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    "ScatterElements".clone_into(&mut node.op);
    emit.push(node);
    Ok(())
}

/// A scalar of the type of `like`, which is a floating-point type in every version that had the number as an attribute.
pub(super) fn scalar_like(emit: &mut Emit<'_>, like: ValueId, value: f32) -> Result<ValueId, Why> {
    match emit.model.r#type(like).dtype {
        Some(dtype) => {
            let constant = Constant::float_scalar(dtype, value.into());
            let constant = constant.ok_or(Why::Upgrade { reason: "the data is not floating-point" })?;
            Ok(emit.constant(constant))
        }
        None => {
            let value = emit.constant(Constant::from_floats(&[], &[value]));
            Ok(emit.op("CastLike", &[value, like]))
        }
    }
}
