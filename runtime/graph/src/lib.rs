//! The program in a bundle: a typed graph of ONNX operators at one pinned operator set.
//!
//! Operators, attributes and semantics are exactly those of the ONNX standard at opset [`OPSET`]. Weights are not in
//! the graph: each names a section of the bundle, an offset and an encoding.
//!
//! This crate knows no engine and no ONNX file: engines read the graph, the packager writes it. A [`Graph`] that came
//! out of [`Graph::decode`] keeps every rule listed there, so engines need not check them again.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

extern crate alloc;

mod aligned;
mod display;
mod error;
mod graph;
mod limits;
pub mod oracle;
mod validate;
mod weight;
mod wire;

#[cfg(test)]
mod tests;

pub use aligned::{ALIGNMENT_BYTES, AlignedBytes};
pub use error::{GraphError, Rule};
pub use graph::*;
pub use limits::GraphLimits;
pub use pannier_bundle::manifest::{DType, Dim};
pub use wire::MAX_DEPTH;
