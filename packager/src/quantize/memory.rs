//! What quantized weights take in memory.

use pannier_engine::Program;
use pannier_graph::{Body, Encoding};

/// Bytes of all weights once a program is loaded.
///
/// Integers that layers compute with stay integers. What is only stored as integers or as binary16 is decoded, and takes as many
/// bytes as if it had never been quantized.
pub fn loaded_bytes(program: &Program) -> u64 {
    let sections = program.sections.iter().map(|section| section.len() as u64);
    let mut bytes: u64 = sections.fold(0, u64::saturating_add);
    let mut add = |body: &Body| {
        for weight in body.weights.iter().filter(|weight| weight.encoding != Encoding::Raw) {
            let stored = weight.spans().map(|span| span.size_bytes).fold(0, u64::saturating_add);
            bytes = bytes.saturating_sub(stored).saturating_add(weight.decoded_bytes().unwrap_or(u64::MAX));
        }
        Ok::<(), std::convert::Infallible>(())
    };
    // Nothing can fail.
    let Ok(()) = program.graph.body.try_visit(&mut add);
    bytes
}
