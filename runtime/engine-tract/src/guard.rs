//! tract's errors and panics, as text.

use std::panic::{AssertUnwindSafe, catch_unwind};
use tract_onnx::prelude::TractResult;

/// Runs `work`; its error or its panic becomes a line of text. Where panics abort, as on wasm, they still do.
///
/// What `work` was in the middle of changing must be dropped by the caller when it panicked.
pub(crate) fn catch<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(line(&format!("{error:#}"))),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(line(&format!("panicked: {text}")))
        }
    }
}

/// One line of bounded length: tract prints whole nodes and tensors.
fn line(text: &str) -> String {
    const LONGEST: usize = 400;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
