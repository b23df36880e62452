//! What was done to each tensor.

use crate::quantize::{RangeEstimator, Rounding};
use serde::{Deserialize, Serialize};

/// How one tensor was quantized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorRecord {
    /// Index of the layer in the recipe.
    pub layer: usize,
    /// Name of the weight or the value.
    pub tensor: String,
    /// What it is.
    pub role: Role,
    /// The scheme in words, for example `int8 per channel, symmetric, codes to 127`.
    pub scheme: String,
    /// The scales; none for binary16 and for what each run finds.
    pub scales: Option<Scales>,
    /// Smallest and largest number that was to be represented; `None` where each run finds it.
    pub range: Option<[f32; 2]>,
    /// How the range of an activation was estimated.
    pub estimator: Option<RangeEstimator>,
    /// How numbers were rounded: what was asked for, or nearest where that was no worse or not possible.
    pub rounding: Rounding,
    /// Part of the weights that is exactly zero.
    pub zeros: f32,
    /// Signal to quantization noise in decibels; `None` where nothing was lost, or each run decides.
    pub sqnr_db: Option<f32>,
    /// Bytes of the tensor before, uncompressed. 0 for an activation.
    pub bytes_before: u64,
    /// Bytes of codes, scales and zero points after, uncompressed. 0 for an activation.
    pub bytes_after: u64,
}

/// What a recorded tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A constant.
    Weight,
    /// What a layer reads.
    Activation,
}

/// Scales of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scales {
    /// How many there are.
    pub count: u64,
    /// The smallest.
    pub smallest: f32,
    /// The largest.
    pub largest: f32,
}

impl Scales {
    pub(super) fn of(scales: &[f32]) -> Option<Scales> {
        let smallest = scales.iter().copied().reduce(f32::min)?;
        let largest = scales.iter().copied().reduce(f32::max)?;
        Some(Scales { count: scales.len() as u64, smallest, largest })
    }
}
