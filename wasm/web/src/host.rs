//! What is imported from JavaScript.

use std::time::Duration;

use pannier::LoadStep;

#[link(wasm_import_module = "pannier")]
unsafe extern "C" {
    /// `performance.now()`.
    safe fn now_ms() -> f64;
    /// Told when a step of loading begins: 1 for preparing, 2 for the self-test.
    safe fn on_step(step: u32);
}

/// The time since the page or the worker was opened.
pub(crate) fn now() -> Duration {
    Duration::try_from_secs_f64(now_ms() / 1e3).unwrap_or_default()
}

/// Says that a step of loading begins.
pub(crate) fn tell(step: LoadStep) {
    match step {
        LoadStep::Prepare => on_step(1),
        LoadStep::SelfTest => on_step(2),
        _ => {}
    }
}
