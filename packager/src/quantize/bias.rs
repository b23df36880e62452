//! Bias correction: the mean error that rounding leaves in each output channel is taken off the layer's bias
//! (Nagel et al. 2019, arXiv:1906.04721, section 4.2, with means of real inputs).

use super::Layer;
use super::edit::Editor;
use super::layers::count_uses;
use super::weights::Numbers;
use pannier_engine::Program;
use pannier_graph::{DType, ValueId};
use std::collections::BTreeMap;

/// A constant with one number for each output channel that is added to a layer's result.
pub(super) struct Bias {
    /// The node that adds it, and which operand it is.
    node: usize,
    operand: usize,
    /// The constant; `None` where there is none yet.
    value: Option<ValueId>,
    shared: bool,
}

impl Bias {
    /// Where a layer has its bias, or could have it. A matrix product has it in an addition behind it.
    pub(super) fn of(program: &Program, layer: &Layer, channels: usize) -> Option<Bias> {
        let graph = &program.graph;
        let node = graph.body.nodes.get(layer.node)?;
        let mut uses = BTreeMap::new();
        count_uses(&graph.body, &mut uses);
        let single = |value: ValueId| uses.get(&value).is_none_or(|uses| *uses == 1);
        let fits = |value: ValueId| {
            let weight = graph.body.weights.iter().find(|weight| weight.value == value)?;
            let one_each = weight.len() == Some(channels as u64) && weight.shape.last() == Some(&(channels as u64));
            (one_each && weight.dtype == DType::F32).then_some(value)
        };
        match node.op.as_str() {
            "Conv" | "Gemm" => match node.inputs.get(2).copied().flatten() {
                None => Some(Bias { node: layer.node, operand: 2, value: None, shared: false }),
                Some(value) => {
                    let value = fits(value)?;
                    Some(Bias { node: layer.node, operand: 2, value: Some(value), shared: !single(value) })
                }
            },
            "MatMul" => {
                let result = node.outputs.first().copied().flatten().filter(|result| single(*result))?;
                let reads = |node: &pannier_graph::Node| node.op == "Add" && node.inputs.contains(&Some(result));
                let add = graph.body.nodes.iter().position(reads)?;
                let inputs = &graph.body.nodes.get(add)?.inputs;
                let operand = inputs.iter().position(|input| *input != Some(result))?;
                let value = inputs.get(operand).copied().flatten().and_then(fits)?;
                Some(Bias { node: add, operand, value: Some(value), shared: !single(value) })
            }
            _ => None,
        }
    }

    /// Adds a number to each channel. Numbers that would not be finite stay as they are.
    pub(super) fn shift(&self, program: &Program, editor: &mut Editor, layer: &Layer, by: &[f64]) {
        let old = self.value.and_then(|value| Numbers::read(program, value).ok());
        let zeros = || Numbers { shape: vec![by.len()], data: vec![0.0; by.len()] };
        let mut bias = old.unwrap_or_else(zeros);
        for (number, by) in bias.data.iter_mut().zip(by) {
            let shifted = (f64::from(*number) + by) as f32;
            *number = if shifted.is_finite() { shifted } else { *number };
        }
        if let Some(value) = self.value.filter(|_| !self.shared) {
            let data = editor.store_floats(&bias.data);
            return editor.encode(value, pannier_graph::Encoding::Raw, data);
        }
        let bytes: Vec<u8> = bias.data.iter().flat_map(|number| number.to_le_bytes()).collect();
        let name = format!("{}_bias", layer.name);
        let value = editor.constant(&name, DType::F32, &bias.shape, &bytes);
        editor.set_input(self.node, self.operand, value);
    }
}
