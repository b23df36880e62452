//! Cross-layer equalization (Nagel et al. 2019, arXiv:1906.04721): channel `i` between two layers is divided by
//! `s_i = sqrt(r1_i r2_i) / r2_i` in the first and multiplied with it in the second, `r` the largest weight of the channel in each.
//! That leaves the answers as they are where only a positively homogeneous function lies between: here ReLU or nothing.
//!
//! Weights have a scale for each output channel anyway, so what changes is that activations have channels of similar ranges.
//! Factors are powers of two: not even the last digit of an answer changes.

use super::error::QuantizeError;
use super::prepare::{Floats, power_of_two};
use super::{Layer, weights::Numbers};
use pannier_graph::{Attribute, Node, ValueId};

pub(super) fn equalize(floats: &mut Floats<'_>, layers: &[Layer]) -> Result<(), QuantizeError> {
    for second in layers {
        let Some(pair) = pair(floats, layers, second) else { continue };
        let (first, second) = (floats.numbers(pair.first)?, floats.numbers(pair.second)?);
        let (r1, r2) = (largest(&first, pair.output_axis), largest(&second, pair.input_axis));
        if r1.len() != r2.len() {
            continue;
        }
        let factor = |(r1, r2): (&f32, &f32)| {
            let (r1, r2) = (f64::from(*r1), f64::from(*r2));
            // A channel that is dead on either side stays as it is.
            if r1 > 0.0 && r2 > 0.0 { power_of_two((r2 / r1).sqrt()) } else { 1.0 }
        };
        let by: Vec<f32> = r1.iter().zip(&r2).map(factor).collect();
        let back: Vec<f32> = by.iter().map(|factor| factor.recip()).collect();
        let mut scaled = vec![(pair.first, pair.output_axis, by.as_slice()), (pair.second, pair.input_axis, &back)];
        scaled.extend(pair.bias.map(|bias| (bias, 0, by.as_slice())));
        floats.scale(&scaled)?;
    }
    Ok(())
}

/// Two layers with nothing between them but a ReLU.
struct Pair {
    first: ValueId,
    output_axis: usize,
    bias: Option<ValueId>,
    second: ValueId,
    input_axis: usize,
}

fn pair(floats: &Floats<'_>, layers: &[Layer], second: &Layer) -> Option<Pair> {
    let read = second.input.filter(|value| floats.is_single(*value))?;
    let (mut index, mut maker) = floats.maker(read)?;
    if maker.op == "Relu" {
        let input = maker.inputs.first().copied().flatten().filter(|value| floats.is_single(*value))?;
        (index, maker) = floats.maker(input)?;
    }
    let first = layers.iter().find(|layer| layer.node == index)?;
    let (&[w1], &[w2]) = (first.weights.as_slice(), second.weights.as_slice()) else { return None };
    let node = floats.node(second.node)?;
    let input_axis = match second.op.as_str() {
        // In a depthwise convolution, the channels are those of the first axis.
        "Conv" if groups(node) == 1 => 1,
        "Conv" if groups(node) == floats.numbers(w2).ok()?.shape.first().copied()? => 0,
        "MatMul" | "Gemm" if second.integer => 1 - second.axis.min(1),
        _ => return None,
    };
    // A convolution's channels are no columns of a matrix.
    let same_kind = (first.op == "Conv") == (second.op == "Conv");
    let plain = matches!(first.op.as_str(), "Conv") || matches!(first.op.as_str(), "MatMul" | "Gemm") && first.integer;
    let bias = maker.inputs.get(2).copied().flatten();
    let own = floats.is_own(w1) && floats.is_own(w2) && bias.is_none_or(|bias| floats.is_own(bias));
    let flat = bias.is_none_or(|bias| floats.numbers(bias).is_ok_and(|numbers| numbers.shape.len() == 1));
    (same_kind && plain && own && flat).then_some(Pair {
        first: w1,
        output_axis: first.axis,
        bias,
        second: w2,
        input_axis,
    })
}

fn groups(node: &Node) -> usize {
    match node.attribute("group") {
        Some(Attribute::Int(groups)) => usize::try_from(*groups).unwrap_or(0),
        _ => 1,
    }
}

/// Largest magnitude at each index along an axis.
pub(super) fn largest(numbers: &Numbers, axis: usize) -> Vec<f32> {
    let rows = numbers.rows(axis);
    rows.data.chunks(rows.width().max(1)).map(|row| row.iter().fold(0.0, |most, w| w.abs().max(most))).collect()
}
