//! What browser tests need: Node with `playwright-core`, and a Chromium for it to drive.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::node::{self, Node};
use crate::environment::{apt_get, cache, root};
use crate::shell;

/// What a test needs to drive a browser.
pub struct Browser {
    /// Runs the tests' scripts.
    pub node: PathBuf,
    /// The folder with `node_modules`, where `playwright-core` lies.
    pub packages: PathBuf,
    /// The browser.
    pub chromium: PathBuf,
}

/// Installs the parts that are not there.
pub fn ensure() -> Result<Browser> {
    let node = node::ensure()?;
    let packages = ensure_packages(&node)?;
    Ok(Browser { node: node.program, packages, chromium: ensure_chromium()? })
}

/// Installs what `xtask/web/package.json` pins, into the cache.
fn ensure_packages(node: &Node) -> Result<PathBuf> {
    let pinned = root().join("xtask/web/package.json");
    let wanted = fs::read_to_string(&pinned).with_context(|| pinned.display().to_string())?;
    let folder = cache()?.join("web");
    let receipt = folder.join("node_modules/.installed.json");
    if fs::read_to_string(&receipt).is_ok_and(|installed| installed == wanted) {
        eprintln!("  Node packages are installed in {}", folder.display());
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    fs::write(folder.join("package.json"), &wanted)?;
    // No lock file: it would record the address of whichever mirror this machine uses.
    let install = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
    shell::run(node.npm().args(install).current_dir(&folder))?;
    fs::write(&receipt, wanted).with_context(|| receipt.display().to_string())?;
    Ok(folder)
}

fn ensure_chromium() -> Result<PathBuf> {
    if let Some(path) = chromium() {
        eprintln!("  Chromium is installed: {}", path.display());
        return Ok(path);
    }
    let (Some(mut update), Some(mut install)) = (apt_get(), apt_get()) else {
        bail!("Chromium is missing and apt-get cannot be used here: install the package chromium");
    };
    shell::run(update.arg("update"))?;
    shell::run(install.args(["install", "--yes", "--no-install-recommends", "chromium"]))?;
    chromium().context("the package chromium was installed, but there is no program of that name")
}

fn chromium() -> Option<PathBuf> {
    let places = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    places.map(PathBuf::from).into_iter().find(|path| path.exists())
}
