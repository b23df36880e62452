//! The program in a bundle: a typed graph of ONNX operators at one pinned operator set.
//!
//! Operators, attributes and semantics are exactly those of the ONNX standard at opset [`OPSET`]. Weights are not in
//! the graph: each names a section of the bundle, an offset and an encoding.
//!
//! This crate knows no engine and no ONNX file: engines read the graph, the packager writes it.

extern crate alloc;

mod aligned;
mod graph;

pub use aligned::{ALIGNMENT_BYTES, AlignedBytes};
pub use graph::*;
pub use pannier_bundle::manifest::{DType, Dim};
