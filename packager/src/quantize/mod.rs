//! Quantization and pruning: from a program of binary32 weights to a smaller and faster one.
//!
//! [`layers`](layers()) finds what can be quantized, and a [`Recipe`] says how. [`prepare`](prepare()) rewrites the program where
//! channels are to be scaled between layers, [`calibrate::collect`] watches what it made on real inputs, and [`apply`](apply())
//! writes the quantized program with a record of every tensor that it changed.
//!
//! Which recipe keeps a stated loss is measured: [`search`] tries recipes on one set of cases, [`prove`] judges what was found on
//! another, and [`quantize`] does it all and leaves a [`Record`] for the bundle.
//!
//! Two forms come out, both of them plain ONNX. A *weight-only* scheme changes how a weight is stored; engines decode it
//! when they load the program. 8-bit *activations* are written as `QuantizeLinear` and `DequantizeLinear` (static) or as
//! `DynamicQuantizeLinear` around the layers that are to compute with integers.
//!
//! The same program, recipe and calibration inputs give the same bytes, whatever the machine: sums are binary64 in a fixed
//! order, nothing is kept in hash maps, ties go to the lower index.

mod apply;
pub mod attestation;
mod bias;
mod bounds;
pub mod calibrate;
mod channels;
mod codes;
mod edit;
mod equalize;
mod error;
mod form;
mod layers;
mod memory;
mod prepare;
pub mod prove;
mod prune;
mod range;
mod recipe;
pub mod record;
mod repeat;
mod rounding;
mod run;
pub mod search;
pub mod settings;
mod smooth;
mod weights;

#[cfg(test)]
mod tests;

pub use apply::{Applied, Role, Scales, TensorRecord, apply};
pub use calibrate::{Calibration, Observe};
pub use error::{CalibrationWhy, QuantizeError};
pub use layers::{Layer, is_quantized, layers};
pub use memory::loaded_bytes;
pub use prepare::prepare;
pub use recipe::{Activations, LayerScheme, Prune, RangeEstimator, Recipe, Rounding};
pub use record::Record;
pub use repeat::{Repeated, repeat};
pub use run::{Model, Quantized, Stage, quantize};
pub use settings::Settings;

/// Told how much of a step is done, and how much there is.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);
