//! What is chosen for a quantization. Recorded in the bundle, so that it can be repeated.

use serde::{Deserialize, Serialize};

/// Everything that decides what a quantized program is, beside the program and the calibration inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// One for each of [`layers`](super::layers()), in their order.
    pub layers: Vec<LayerScheme>,
    /// How ranges of static activations are estimated.
    pub range: RangeEstimator,
    /// How weights become integers.
    pub rounding: Rounding,
    /// Whether the mean error of each output channel is taken off the bias.
    pub bias_correction: bool,
    /// Whether channels are scaled between layers so that their weights have similar ranges.
    pub equalize: bool,
    /// How much of the range of activations moves into the weights of matrix products: 0 none, 1 all.
    pub smooth: Option<f32>,
    /// What is set to zero or taken out before weights are quantized.
    pub prune: Option<Prune>,
}

impl Recipe {
    /// The same scheme for all of so many layers, and nothing else.
    pub fn uniform(layers: usize, scheme: LayerScheme) -> Recipe {
        Recipe {
            layers: vec![scheme; layers],
            range: RangeEstimator::MinMax,
            rounding: Rounding::Nearest,
            bias_correction: false,
            equalize: false,
            smooth: None,
            prune: None,
        }
    }
}

/// How one layer is stored and computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerScheme {
    /// As it is.
    Float,
    /// Weights as binary16.
    Fp16,
    /// Weights as 8-bit integers, a scale for each output channel.
    Int8 {
        /// What the weights are multiplied with.
        activations: Activations,
        /// Largest code, 1 to 127. Codes that stop at 63, 31 or 15 compress better: a coarser step for fewer bytes.
        levels: u8,
        /// Whether zero is in the middle of the codes. Otherwise each channel has a zero point and uses all codes
        /// from `-levels - 1` to `levels`; layers that compute with integers are always symmetric.
        symmetric: bool,
    },
    /// Weights as 4-bit integers, a scale for each block of a row.
    Int4 {
        /// Weights of a block: 16, 32, 64 or 128.
        block: u32,
        /// Whether zero is in the middle of the codes. Otherwise each block has a zero point.
        symmetric: bool,
    },
}

impl LayerScheme {
    /// Symmetric 8-bit weights that are decoded when they are loaded.
    pub const INT8: LayerScheme = LayerScheme::Int8 { activations: Activations::Float, levels: 127, symmetric: true };
    /// 8-bit weights and activations whose range is found in each run.
    pub const DYNAMIC: LayerScheme =
        LayerScheme::Int8 { activations: Activations::Dynamic, levels: 127, symmetric: true };
    /// 8-bit weights and activations whose range was calibrated.
    pub const STATIC: LayerScheme =
        LayerScheme::Int8 { activations: Activations::Static, levels: 127, symmetric: true };
}

/// What quantized weights are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activations {
    /// Binary32.
    Float,
    /// Unsigned 8 bits; each run finds the range.
    Dynamic,
    /// Unsigned 8 bits in a calibrated range.
    Static,
}

/// How the range of an activation is estimated from calibration inputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeEstimator {
    /// Smallest and largest number.
    MinMax,
    /// Means of each input's smallest and largest number.
    MeanMinMax,
    /// Smallest and largest number of each input, averaged with this weight for each next one: depends on the order.
    MovingAverage(f32),
    /// The part of all numbers, in percent, that is to be inside.
    Percentile(f32),
    /// Smallest divergence (Kullback-Leibler) of the distribution.
    Entropy,
    /// Smallest mean squared error.
    Mse,
}

/// How a number becomes an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To the nearest, ties to even.
    Nearest,
    /// So that the layer's result on calibration inputs changes least.
    Adaptive,
}

/// What is set to zero, or taken out of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prune {
    /// This part of each layer's weights, the smallest first.
    Magnitude(f32),
    /// Of each `group` weights along a row, all but `kept`.
    Groups {
        /// Weights that stay.
        kept: u8,
        /// Weights of a group.
        group: u8,
    },
    /// This part of the channels between layers is taken out, those that cost least first.
    Channels(f32),
}
