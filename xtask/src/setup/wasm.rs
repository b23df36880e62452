//! The standard library for wasm32-unknown-unknown.

use anyhow::Result;

use super::library::Library;

/// The target.
pub const TARGET: &str = "wasm32-unknown-unknown";

const LIBRARY: Library = Library { target: TARGET, crates: "std,panic_abort", environment: &[] };

/// Installs it unless it is there.
pub fn ensure() -> Result<()> {
    LIBRARY.ensure()
}

/// Whether `rustc` finds it.
pub fn is_installed() -> bool {
    LIBRARY.is_installed()
}
