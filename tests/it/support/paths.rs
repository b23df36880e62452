//! Where things are: the project, Python with the `onnx` package, the five real models.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the workspace's `Cargo.toml`. Asked at run time: two checkouts that share a target folder may share
/// this program, too.
pub fn project_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Path::new(&package).parent().expect("tests/ lies in the project").to_owned()
    })
}

/// Python with the pinned packages: `PANNIER_PYTHON`, else the environment that `cargo xtask setup` makes.
///
/// # Panics
/// When it is not there, with the command that makes it.
pub fn python() -> PathBuf {
    let path = match std::env::var_os("PANNIER_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => cache().join("venv/bin/python"),
    };
    assert!(path.is_file(), "no Python at {}: run `cargo xtask setup`", path.display());
    path
}

/// The folder of an installed Python package, found without importing it.
///
/// # Panics
/// When the package is not installed.
pub fn python_package(name: &str) -> PathBuf {
    let script = "import sys, importlib.util as u; s = u.find_spec(sys.argv[1]); \
                  print(s.submodule_search_locations[0]) if s else sys.exit(1)";
    let output = Command::new(python()).args(["-c", script, name]).output().expect("Python starts");
    assert!(output.status.success(), "Python package `{name}` is not installed: run `cargo xtask setup`");
    PathBuf::from(String::from_utf8(output.stdout).expect("a path in UTF-8").trim())
}

/// The folder with the real models: `PANNIER_MODELS`, else `../shared/models` beside the project, else what
/// `cargo xtask models` fetched.
///
/// # Panics
/// When there is none, with the command that fetches them.
pub fn models() -> &'static Path {
    static MODELS: OnceLock<PathBuf> = OnceLock::new();
    MODELS.get_or_init(|| {
        let beside = project_root().parent().map(|above| above.join("shared/models"));
        let candidates = match std::env::var_os("PANNIER_MODELS") {
            Some(path) => vec![PathBuf::from(path)],
            None => beside.into_iter().chain([cache().join("models")]).collect(),
        };
        let found = candidates.iter().find(|folder| folder.join("magika/model.onnx").is_file());
        found.cloned().unwrap_or_else(|| panic!("no models in any of {candidates:?}: run `cargo xtask models`"))
    })
}

/// The folder of one real model, for example `magika`.
pub fn model(name: &str) -> PathBuf {
    let folder = models().join(name);
    assert!(folder.join("model.onnx").is_file(), "no model.onnx in {}", folder.display());
    folder
}

pub(super) fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    base.unwrap_or_else(home).join("pannier")
}
