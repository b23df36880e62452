//! `setup`: everything a fresh Debian-like machine lacks. Each part says what it does and skips what is there.
//!
//! The other verbs call only the parts they need.

pub mod arm;
pub mod browser;
pub mod browsers;
mod debian;
pub mod fuzz;
mod library;
pub mod node;
pub mod python;
pub mod tool;
pub mod victoria;
pub mod vulkan;
pub mod wasm;

use anyhow::{Result, bail};

use crate::steps::Steps;

/// The parts, in the order in which they are set up.
const PARTS: [&str; 9] = ["python", "wasm", "browser", "browsers", "fuzz", "wasmtime", "victoria", "arm", "vulkan"];

/// Sets up everything, or the one part named.
pub fn run(only: Option<&str>) -> Result<()> {
    if let Some(unknown) = only.filter(|only| !PARTS.contains(only)) {
        bail!("`{unknown}` is not a part of setup: there are {}", PARTS.join(", "));
    }
    let mut steps = Steps::new();
    for part in PARTS.into_iter().filter(|part| only.is_none_or(|only| only == *part)) {
        steps.step(part, || ensure(part));
    }
    steps.finish()
}

fn ensure(part: &str) -> Result<()> {
    match part {
        "python" => python::ensure().map(drop),
        "wasm" => wasm::ensure(),
        "browser" => browser::ensure().map(drop),
        "browsers" => browsers::ensure(),
        "fuzz" => fuzz::ensure().map(drop),
        "victoria" => victoria::ensure().map(drop),
        "arm" => arm::ensure(),
        "vulkan" => vulkan::ensure().map(drop),
        _ => tool::WASMTIME.ensure().map(drop),
    }
}
