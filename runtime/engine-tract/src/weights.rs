//! The bytes of weights, as operators see them.

use pannier_engine::{EngineError, Program};
use pannier_graph::{AlignedBytes, Encoding, Weight};
use std::ops::Deref;

/// The elements of a weight.
pub(crate) enum Bytes<'a> {
    /// Stored as they are.
    Raw(&'a [u8]),
    /// Decoded.
    Decoded(AlignedBytes),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Raw(bytes) => bytes,
            Bytes::Decoded(bytes) => bytes,
        }
    }
}

/// The elements of a weight: borrowed where they are stored raw, decoded otherwise.
///
/// # Errors
/// [`EngineError::InvalidGraph`] if its bytes are not there.
pub(crate) fn bytes<'a>(program: &'a Program, weight: &Weight) -> Result<Bytes<'a>, EngineError> {
    let bytes = match weight.encoding {
        Encoding::Raw => program.bytes(&weight.data).map(Bytes::Raw),
        _ => weight.decode(|span| program.bytes(span)).map(Bytes::Decoded),
    };
    bytes.ok_or_else(|| unfit(program, weight))
}

/// The error for a weight whose bytes are not what the graph says of them.
pub(crate) fn unfit(program: &Program, weight: &Weight) -> EngineError {
    let node = program.graph.value_name(weight.value).to_string();
    EngineError::InvalidGraph { node, reason: "the weight's bytes do not fit its section, type or shape".into() }
}
