//! Commands that are published as crates: installed into the cache, each in one version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::environment::{cache, cargo};
use crate::shell;

/// A command.
pub struct Tool {
    /// The crate.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The program, which prints its version when it is called with [`Tool::ask`].
    pub program: &'static str,
    /// What makes the program print its version.
    pub ask: &'static [&'static str],
    /// Further options of `cargo install`.
    pub options: &'static [&'static str],
}

/// `wasmtime`, with no more in it than the tests use.
pub const WASMTIME: Tool = Tool {
    package: "wasmtime-cli",
    version: "48.0.8",
    program: "wasmtime",
    ask: &["--version"],
    options: &["--no-default-features", "--features", "run,cranelift,component-model"],
};

impl Tool {
    /// Installs the command unless it is there. Returns the program.
    pub fn ensure(&self) -> Result<PathBuf> {
        let tools = cache()?.join("tools");
        let program = tools.join("bin").join(self.program);
        if self.is_current(&program) {
            eprintln!("  {} is installed: {}", self.program, program.display());
            return Ok(program);
        }
        let mut install = cargo();
        install.args(["install", self.package, "--version", self.version, "--locked", "--quiet"]);
        install.args(self.options).arg("--root").arg(&tools);
        // Outside the project, whose configuration and target folder are not meant for this.
        install.current_dir(std::env::temp_dir()).env_remove("CARGO_TARGET_DIR");
        // It is compiled once and runs for seconds.
        install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        shell::run(&mut install)?;
        Ok(program)
    }

    fn is_current(&self, program: &Path) -> bool {
        let answer = shell::output(Command::new(program).args(self.ask));
        answer.is_ok_and(|line| line.split_whitespace().any(|word| word == self.version))
    }
}
