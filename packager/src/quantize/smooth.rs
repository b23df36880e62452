//! SmoothQuant (Xiao et al. 2023, arXiv:2211.10438): part of the range of activations moves into the weights of the matrix products
//! that read them. Feature `j` is divided by `s_j = max|x_j|^a / max|w_j|^(1 - a)`, in the scale and shift of the layer
//! normalisation before, or of whatever else ends in a product and a sum with constants, and the weights of `j` are multiplied with it. With `a` of 1, all of the range has moved.
//!
//! Factors are powers of two: not even the last digit of an answer changes.

use super::equalize::largest;
use super::error::QuantizeError;
use super::prepare::{Floats, power_of_two};
use super::{Calibration, Layer};
use pannier_graph::{Node, ValueId};
use std::collections::BTreeMap;

pub(super) fn smooth(
    floats: &mut Floats<'_>,
    layers: &[Layer],
    share: f32,
    calibration: &Calibration,
) -> Result<(), QuantizeError> {
    let mut readers: BTreeMap<ValueId, Vec<&Layer>> = BTreeMap::new();
    for layer in layers.iter().filter(|layer| matches!(layer.op.as_str(), "MatMul" | "Gemm") && layer.integer) {
        if let Some(input) = layer.input {
            readers.entry(input).or_default().push(layer);
        }
    }
    for (value, readers) in readers {
        let Some(norm) = normalised(floats, value, readers.len()) else { continue };
        let Some(stats) = calibration.value(value) else { continue };
        let mut weights = vec![0.0_f32; stats.features.len()];
        for layer in &readers {
            let numbers = floats.numbers(layer.weights[0])?;
            for (most, found) in weights.iter_mut().zip(largest(&numbers, 1 - layer.axis.min(1))) {
                *most = most.max(found);
            }
        }
        let factor = |(x, w): (&f32, &f32)| {
            let (x, w, share) = (f64::from(*x), f64::from(*w), f64::from(share));
            if x > 0.0 && w > 0.0 { power_of_two(x.powf(share) / w.powf(1.0 - share)) } else { 1.0 }
        };
        let by: Vec<f32> = stats.features.iter().zip(&weights).map(factor).collect();
        let back: Vec<f32> = by.iter().map(|factor| factor.recip()).collect();
        if norm.iter().any(|constant| floats.numbers(*constant).map_or(0, |found| found.data.len()) != by.len()) {
            continue;
        }
        let weights = readers.iter().map(|layer| (layer.weights[0], 1 - layer.axis.min(1), by.as_slice()));
        let norm = norm.into_iter().map(|constant| (constant, 0, back.as_slice()));
        floats.scale(&weights.chain(norm).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Scale and shift of the layer normalisation that makes a value, if only so many readers read it. Written out, it ends in a
/// product and a sum with constants.
fn normalised(floats: &Floats<'_>, value: ValueId, readers: usize) -> Option<Vec<ValueId>> {
    let (_, node) = floats.maker(value)?;
    let constants: Vec<ValueId> = match node.op.as_str() {
        "LayerNormalization" => node.inputs.get(1..)?.iter().copied().flatten().collect(),
        "Add" => {
            let [product, shift] = with_constant(floats, node)?;
            let (_, node) = floats.maker(product).filter(|(_, node)| node.op == "Mul" && floats.is_single(product))?;
            let [_, scale] = with_constant(floats, node)?;
            vec![scale, shift]
        }
        _ => return None,
    };
    let own = !constants.is_empty() && constants.iter().all(|constant| floats.is_own(*constant));
    (own && floats.uses_of(value) == readers).then_some(constants)
}

/// The operands of a node, of which the second is a constant along the last axis.
fn with_constant(floats: &Floats<'_>, node: &Node) -> Option<[ValueId; 2]> {
    let [Some(a), Some(b)] = node.inputs.as_slice() else { return None };
    let is_constant = |value: ValueId| floats.numbers(value).is_ok_and(|numbers| numbers.shape.len() == 1);
    [[*a, *b], [*b, *a]].into_iter().find(|[_, constant]| is_constant(*constant))
}
