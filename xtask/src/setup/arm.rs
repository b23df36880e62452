//! What tests for 64-bit Arm need on another machine: the standard library, a linker, and an emulator.

use std::process::Command;

use anyhow::Result;

use super::debian;
use super::library::Library;
use crate::shell;

/// The target.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";

/// How Cargo links for it and runs what was linked. `max`: with every extension that the emulator knows, dot products among them.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu"),
];

const LIBRARY: Library = Library { target: TARGET, crates: "std,panic_unwind,test", environment: &ENVIRONMENT };

const PACKAGES: [&str; 3] = ["qemu-user", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// Installs what is missing.
pub fn ensure() -> Result<()> {
    if !has_programs() {
        debian::install(&PACKAGES)?;
    }
    LIBRARY.ensure()
}

/// Whether everything is there.
pub fn is_installed() -> bool {
    has_programs() && LIBRARY.is_installed()
}

fn has_programs() -> bool {
    let answers = |program: &str| shell::succeeds(Command::new(program).arg("--version"));
    answers("qemu-aarch64") && answers("aarch64-linux-gnu-gcc")
}
