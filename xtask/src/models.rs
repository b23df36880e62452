//! `models`: five published models with inputs and ONNX Runtime's answers, for tests, the bench and the demo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::environment::{cache, root};
use crate::setup::python;
use crate::shell;

/// Prints where the models are, after fetching them if need be.
pub fn run(download: bool) -> Result<()> {
    let folder = if download { fetch_all()? } else { ensure()? };
    println!("{}", folder.display());
    Ok(())
}

/// The folder with all five models, their inputs and reference answers.
pub fn ensure() -> Result<PathBuf> {
    match at_hand() {
        Some(folder) => Ok(folder),
        None => fetch_all(),
    }
}

/// The folder with at least this one model and its labels. Needs nothing but pip.
pub fn ensure_model(name: &str) -> Result<PathBuf> {
    if let Some(folder) = at_hand() {
        return Ok(folder);
    }
    let folder = cache()?.join("models");
    fetch(&python::ensure_bare()?, &folder, Some(name))?;
    Ok(folder)
}

/// Copies a model with its labels, and the files of `docs/examples` about it, into one folder, as they would lie on a user's
/// disk. Returns the path of the `packager.toml`.
pub fn lay_out(models: &Path, name: &str, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for source in [models.join(name), root().join("docs/examples").join(name)] {
        for file in fs::read_dir(&source).with_context(|| source.display().to_string())? {
            let path = file?.path();
            let wanted = path.extension().is_some_and(|end| end == "onnx" || end == "json" || end == "toml");
            if let Some(file_name) = path.file_name().filter(|_| wanted) {
                fs::copy(&path, folder.join(file_name)).with_context(|| path.display().to_string())?;
            }
        }
    }
    Ok(folder.join("packager.toml"))
}

/// What `PANNIER_MODELS` names, or a copy that lies beside the project.
fn at_hand() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("PANNIER_MODELS").filter(|folder| !folder.is_empty()) {
        // Absolute, because tests run in the folders of their crates.
        return std::path::absolute(folder).ok();
    }
    let shared = root().join("../shared/models").canonicalize().ok()?;
    shared.join("magika/model.onnx").exists().then_some(shared)
}

fn fetch_all() -> Result<PathBuf> {
    let folder = cache()?.join("models");
    let python = python::ensure()?;
    fetch(&python, &folder, None)?;
    shell::run(script(&python).arg("answers").arg(&folder).arg(root()))?;
    Ok(folder)
}

fn fetch(python: &Path, folder: &Path, only: Option<&str>) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    shell::run(script(python).arg("fetch").arg(folder).args(only))
}

fn script(python: &Path) -> Command {
    let mut command = Command::new(python);
    // No compiled files beside the scripts: the working tree stays clean.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(root().join("xtask/python/models.py"));
    command
}
