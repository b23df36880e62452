//! cargo-fuzz, and how it is called with a stable compiler.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::tool::Tool;
use crate::environment::{cache, root};
use crate::shell;

const CARGO_FUZZ: Tool =
    Tool { package: "cargo-fuzz", version: "0.13.2", program: "cargo-fuzz", ask: &["fuzz", "--version"], options: &[] };

/// Installs cargo-fuzz into the cache, unless it is there.
pub fn ensure() -> Result<Fuzz> {
    Ok(Fuzz { program: CARGO_FUZZ.ensure()?, folder: cache()?.join("fuzz") })
}

/// cargo-fuzz, installed.
pub struct Fuzz {
    program: PathBuf,
    /// What it builds and what it finds, which is kept from run to run.
    folder: PathBuf,
}

impl Fuzz {
    /// Names of the targets.
    pub fn targets(&self) -> Result<Vec<String>> {
        let list = shell::output(self.command().arg("list"))?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// Compiles every target.
    pub fn build(&self) -> Result<()> {
        shell::run(self.command().arg("build"))
    }

    /// Runs one target for so many seconds.
    pub fn run(&self, target: &str, seconds: u32) -> Result<()> {
        let corpus = self.folder.join("corpus").join(target);
        std::fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        let mut command = self.command();
        // A corpus of libFuzzer's own, then the test vectors as further seeds, which it does not write to.
        command.args(["run", target]).arg(corpus).arg(root().join("tests/vectors"));
        let limits = [&format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=1024"];
        shell::run(command.arg("--").args(limits))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("fuzz").current_dir(root().join("tests"));
        // The instrumentation of libFuzzer is behind -Z options, which a stable compiler accepts only so.
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", self.folder.join("target"));
        command
    }
}
