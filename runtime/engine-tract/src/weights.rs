//! The bytes of weights, as operators see them.

use pannier_engine::{EngineError, Program};
use pannier_graph::{Encoding, Weight};
use std::borrow::Cow;

/// The elements of a weight: borrowed where they are stored raw, decoded otherwise.
///
/// # Errors
/// [`EngineError::InvalidGraph`] if its bytes are not there.
pub(crate) fn bytes<'a>(program: &'a Program, weight: &Weight) -> Result<Cow<'a, [u8]>, EngineError> {
    let invalid = |reason: &str| EngineError::InvalidGraph {
        node: program.graph.value_name(weight.value).to_string(),
        reason: reason.to_string(),
    };
    match weight.encoding {
        Encoding::Raw => {
            program.bytes(&weight.data).map(Cow::Borrowed).ok_or_else(|| invalid("the weight lies outside its section"))
        }
        _ => Err(invalid("the weight's encoding is not known")),
    }
}
