//! Golden cases: a few real inputs with reference answers, and the self-test that compares an engine with them.

use pannier_bundle::manifest::DType;
use serde::{Deserialize, Serialize};

/// Content of the `golden` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// What counts as the same answer.
    pub tolerance: Tolerance,
    /// The cases. A case's state inputs hold real values, so cases are independent of each other.
    pub cases: Vec<Case>,
}

impl Golden {
    /// Version of this structure on the wire.
    pub const VERSION: u16 = 1;
}

/// `|answer - reference| <= absolute + relative * |reference|`. Integers and booleans must be equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Absolute part.
    pub absolute: f32,
    /// Relative part.
    pub relative: f32,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Name, for example `007`.
    pub name: String,
    /// Inputs in the graph's order.
    pub inputs: Vec<Stored>,
    /// Reference outputs in the graph's order.
    pub outputs: Vec<Reference>,
}

/// A whole tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Element type.
    pub dtype: DType,
    /// Row-major shape.
    pub shape: Vec<u64>,
    /// Little-endian elements.
    pub bytes: Vec<u8>,
}

/// A reference answer: all of it, or every `stride`-th element where it is large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Element type.
    pub dtype: DType,
    /// Row-major shape of the whole answer.
    pub shape: Vec<u64>,
    /// Elements `0, stride, 2 * stride, ...` in row-major order are kept. 1: all.
    pub stride: u32,
    /// The kept elements, little-endian.
    pub bytes: Vec<u8>,
}
