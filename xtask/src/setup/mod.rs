//! `setup`: everything a fresh Debian-like machine lacks. Each part says what it does and skips what is there.
//!
//! The other verbs call only the part they need; the slow parts (wasm32 standard library, browser) are done here alone.

mod browser;
pub mod python;
pub mod wasm;

use anyhow::{Result, bail};

use crate::steps::Steps;

/// Sets up everything, or the one part named.
pub fn run(only: Option<&str>) -> Result<()> {
    let parts: [(&str, fn() -> Result<()>); 3] =
        [("python", || python::ensure().map(drop)), ("wasm", wasm::ensure), ("browser", browser::ensure)];
    if let Some(only) = only
        && !parts.iter().any(|(name, _)| *name == only)
    {
        bail!("`{only}` is not a part of setup: there are python, wasm and browser");
    }
    let mut steps = Steps::new();
    for (name, part) in parts {
        if only.is_none_or(|only| only == name) {
            steps.step(name, part);
        }
    }
    steps.finish()
}
