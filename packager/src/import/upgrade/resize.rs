//! `Upsample` and the older versions of `Resize`.

use super::{first_input, set_input};
use crate::import::emit::Emit;
use crate::import::error::Why;
use crate::import::model::{Attributes, Constant, input};
use pannier_graph::{Attribute, Node, ValueId};

/// `Upsample` is a `Resize` since opset 10. Its scales were an attribute before opset 9.
pub(super) fn upsample(mut node: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    if let Some(Attribute::Floats(scales)) = node.take("scales") {
        let scales = emit.constant(Constant::from_floats(&[scales.len() as u64], &scales));
        set_input(&mut node, 1, scales);
    }
    "Resize".clone_into(&mut node.op);
    asymmetric(node, emit)
}

/// `Resize` of any version. Since opset 13 what is not used is left out, where it was an empty tensor before.
pub(super) fn resize(mut node: Node, version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    if version < 11 {
        return asymmetric(node, emit);
    }
    for index in [1, 2, 3] {
        if emit.model.known(input(&node, index)).is_some_and(|constant| constant.len() == 0) {
            node.inputs[index] = None;
        }
    }
    let mode = node.string("coordinate_transformation_mode").map(str::to_owned);
    let mode = mode.as_deref();
    if mode != Some("tf_crop_and_resize")
        && let Some(roi) = node.inputs.get_mut(1)
    {
        *roi = None;
    }
    if mode == Some("tf_half_pixel_for_nn") {
        // floor((x + 0.5) / scale) is ceil-rounding of (x + 0.5) / scale - 0.5, which is `half_pixel`.
        if node.string("mode").unwrap_or("nearest") != "nearest" || node.string("nearest_mode") != Some("floor") {
            return Err(Why::Upgrade { reason: "coordinate_transformation_mode is tf_half_pixel_for_nn" });
        }
        node.set("coordinate_transformation_mode", Attribute::String(b"half_pixel".to_vec()));
        node.set("nearest_mode", Attribute::String(b"round_prefer_ceil".to_vec()));
    }
    emit.push(node);
    Ok(())
}

/// `Resize` of opset 10: input coordinates are output coordinates divided by the scale. The nearest element was not
/// said to be on which side; implementations took the one below when enlarging and the one above when shrinking.
fn asymmetric(mut node: Node, emit: &mut Emit<'_>) -> Result<(), Why> {
    let x = first_input(&node)?;
    let scales = input(&node, 1).ok_or(Why::InputAbsent(1))?;
    let known = emit.model.known(Some(scales)).and_then(Constant::floats).unwrap_or_default();
    let shrinks = known.iter().any(|scale| *scale < 1.0);
    if shrinks && known.iter().any(|scale| *scale > 1.0) && node.string("mode").unwrap_or("nearest") == "nearest" {
        return Err(Why::Upgrade { reason: "it enlarges along one axis and shrinks along another" });
    }
    node.set("coordinate_transformation_mode", Attribute::String(b"asymmetric".to_vec()));
    node.set("nearest_mode", Attribute::String(if shrinks { b"ceil".to_vec() } else { b"floor".to_vec() }));
    // `Upsample` called every interpolation `linear`, in some exporters after its two-dimensional case.
    if node.string("mode") == Some("bilinear") {
        node.set("mode", Attribute::String(b"linear".to_vec()));
    }
    node.inputs = inputs(x, scales);
    emit.push(node);
    Ok(())
}

fn inputs(x: ValueId, scales: ValueId) -> Vec<Option<ValueId>> {
    vec![Some(x), None, Some(scales)]
}
