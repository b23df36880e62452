//! What browser tests need: Node with `playwright-core`, and a Chromium for it to drive.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::debian;
use super::node::{self, Node};
use crate::environment::root;

/// What a test needs to drive a browser.
pub struct Browser {
    /// Runs the tests' scripts.
    pub node: PathBuf,
    /// The oldest one that the npm package supports.
    pub oldest_node: PathBuf,
    /// The folder with `node_modules`, where `playwright-core` lies.
    pub packages: PathBuf,
    /// The browser.
    pub chromium: PathBuf,
}

/// Installs the parts that are not there.
pub fn ensure() -> Result<Browser> {
    let node = node::ensure()?;
    let packages = packages(&node)?;
    let oldest_node = node::ensure_oldest()?;
    Ok(Browser { node: node.program, oldest_node, packages, chromium: ensure_chromium()? })
}

/// Installs the Node packages that are not there and returns the folder with `node_modules`.
pub fn packages(node: &Node) -> Result<PathBuf> {
    node.packages(&root().join("xtask/web/package.json"), "web")
}

fn ensure_chromium() -> Result<PathBuf> {
    if let Some(path) = chromium() {
        eprintln!("  Chromium is installed: {}", path.display());
        return Ok(path);
    }
    debian::install(&["chromium"])?;
    chromium().context("the package chromium was installed, but there is no program of that name")
}

fn chromium() -> Option<PathBuf> {
    let places = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    places.map(PathBuf::from).into_iter().find(|path| path.exists())
}
