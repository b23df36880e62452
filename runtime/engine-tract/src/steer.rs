//! Inputs that steer shapes.
//!
//! tract wants the axes of a reduction, the target of a reshape or the scales of a resize when it plans, but ONNX lets
//! a program take them as inputs. Such an input becomes a constant of the plan; a run with another value gets another
//! plan. Only small inputs qualify, and only when no plan can be made without.

use pannier_engine::TensorView;
use pannier_graph::{Graph, ValueId};
use std::collections::HashSet;

/// Larger inputs are data, whatever they reach.
const MOST_ELEMENTS: usize = 1024;

/// Which inputs of the graph reach an operand that tract wants to know when it plans.
pub(crate) fn steering(graph: &Graph) -> Vec<bool> {
    let mut wanted: HashSet<ValueId> = HashSet::new();
    for node in graph.body.nodes.iter().rev() {
        let outputs_wanted = node.outputs.iter().flatten().any(|output| wanted.contains(output));
        for (index, input) in node.inputs.iter().enumerate() {
            let Some(input) = input else { continue };
            // A shape is known whatever the values are.
            let passes_on = outputs_wanted && !matches!(node.op.as_str(), "Shape" | "Size");
            if passes_on || is_parameter(&node.op, index) {
                wanted.insert(*input);
            }
        }
    }
    graph.body.inputs.iter().map(|input| wanted.contains(&input.value)).collect()
}

/// Those of the steering inputs that are small enough to become constants.
pub(crate) fn small(steering: &[bool], inputs: &[TensorView<'_>]) -> Vec<bool> {
    steering.iter().zip(inputs).map(|(steers, input)| *steers && input.len() <= MOST_ELEMENTS).collect()
}

/// Whether tract wants operand `index` of the operator to be known when it plans.
fn is_parameter(op: &str, index: usize) -> bool {
    match op {
        "Range" | "BlackmanWindow" | "HammingWindow" | "HannWindow" | "MelWeightMatrix" | "ConstantOfShape" => true,
        "CumSum"
        | "Expand"
        | "Reshape"
        | "Slice"
        | "Split"
        | "Squeeze"
        | "Tile"
        | "TopK"
        | "Unsqueeze"
        | "Pad"
        | "Resize"
        | "Compress"
        | "OneHot"
        | "Clip"
        | "Trilu"
        | "DFT"
        | "STFT"
        | "BatchNormalization"
        | "QuantizeLinear"
        | "DequantizeLinear"
        | "Dropout"
        | "Upsample"
        | "GroupNormalization"
        | "InstanceNormalization"
        | "LayerNormalization" => index >= 1,
        "NonMaxSuppression" | "ConvInteger" | "MatMulInteger" => index >= 2,
        "QLinearConv" | "QLinearMatMul" => !matches!(index, 0 | 3),
        "LSTM" | "GRU" | "RNN" => index >= 1,
        _ => op.starts_with("Reduce") && index == 1,
    }
}
