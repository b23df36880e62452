//! Layers that compute with 8-bit activations, as the ONNX standard writes them: `DequantizeLinear` of the integers in front
//! of each operand. Engines compute such a layer with integers; those that do not compute the same with numbers.

use crate::quantize::Layer;
use crate::quantize::codes::Grid;
use crate::quantize::edit::Editor;
use pannier_graph::{Attribute, DType, ValueId};
use std::collections::BTreeMap;

/// What became of values that layers read: several layers may read the same one in the same way.
#[derive(Default)]
pub(super) struct Activated {
    dynamic: BTreeMap<ValueId, ValueId>,
    fixed: BTreeMap<ValueId, ValueId>,
}

impl Activated {
    /// Makes a layer read its input as 8-bit integers: in this range, or in one that each run finds. Whether it is the first
    /// to do so.
    pub(super) fn read(&mut self, editor: &mut Editor, layer: &Layer, grid: Option<Grid>) -> bool {
        let Some(input) = layer.input else { return false };
        let known = if grid.is_some() { &mut self.fixed } else { &mut self.dynamic };
        let is_new = !known.contains_key(&input);
        let found = *known.entry(input).or_insert_with(|| match grid {
            Some(grid) => fixed(editor, layer.node, input, grid),
            None => dynamic(editor, layer.node, input),
        });
        editor.set_input(layer.node, 0, found);
        is_new
    }
}

/// Rounds a value in a known range; gives what it is then.
fn fixed(editor: &mut Editor, before: usize, input: ValueId, grid: Grid) -> ValueId {
    let name = editor.graph().value_name(input).to_owned();
    let scale = editor.constant(&format!("{name}_scale"), DType::F32, &[], &grid.scale.to_le_bytes());
    let zero = editor.constant(&format!("{name}_zero_point"), DType::U8, &[], &[grid.zero as u8]);
    let quantized = editor.value(&format!("{name}_quantized"));
    let rounded = editor.value(&format!("{name}_dequantized"));
    editor.insert(before, "QuantizeLinear", &[input, scale, zero], &[quantized], &[]);
    editor.insert(before, "DequantizeLinear", &[quantized, scale, zero], &[rounded], &[]);
    rounded
}

/// Rounds a value in the range that it has in a run.
fn dynamic(editor: &mut Editor, before: usize, input: ValueId) -> ValueId {
    let name = editor.graph().value_name(input).to_owned();
    let [quantized, scale, zero, rounded] =
        ["quantized", "scale", "zero_point", "dequantized"].map(|what| editor.value(&format!("{name}_{what}")));
    editor.insert(before, "DynamicQuantizeLinear", &[input], &[quantized, scale, zero], &[]);
    editor.insert(before, "DequantizeLinear", &[quantized, scale, zero], &[rounded], &[]);
    rounded
}

/// Makes a weight the result of a `DequantizeLinear` of its codes, in the order of the weight.
pub(super) fn weight(
    editor: &mut Editor,
    layer: &Layer,
    value: ValueId,
    shape: &[usize],
    codes: &[i8],
    scales: &[f32],
) {
    let name = editor.graph().value_name(value).to_owned();
    editor.undefine(value);
    let quantized = editor.constant(&format!("{name}_quantized"), DType::I8, shape, bytemuck::cast_slice(codes));
    let bytes: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
    let scale = editor.constant(&format!("{name}_scale"), DType::F32, &[scales.len()], &bytes);
    let axis = Attribute::Int(layer.axis as i64);
    editor.insert(layer.node, "DequantizeLinear", &[quantized, scale], &[value], &[("axis", axis)]);
}
