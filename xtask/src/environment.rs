//! Where things lie on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell;

/// The project's root: the folder above this package. Asked at run time, because two checkouts may share a target folder.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package.parent().map(Path::to_owned).unwrap_or(package)
}

/// `${XDG_CACHE_HOME:-$HOME/.cache}/pannier`: what is fetched or built once per machine.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache")
        }
    };
    Ok(base.join("pannier"))
}

/// Cargo, run in the project's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Where cargo puts what it builds, whatever variable or configuration file says so.
pub fn target_dir() -> Result<PathBuf> {
    let metadata = shell::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("the output of `cargo metadata`")?;
    let folder = metadata["target_directory"].as_str().context("`cargo metadata` names no target_directory")?;
    Ok(PathBuf::from(folder))
}

/// Builds the `packager` command and returns its path, unless `PANNIER_PACKAGER` names one. `profile` is `dev` or `release`.
pub fn build_packager(profile: &str) -> Result<PathBuf> {
    if let Some(prebuilt) = std::env::var_os("PANNIER_PACKAGER").filter(|path| !path.is_empty()) {
        return Ok(std::path::absolute(prebuilt)?);
    }
    shell::run(cargo().args(["build", "--package", "pannier-packager", "--bin", "packager", "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_dir()?.join(folder).join("packager"))
}

/// Builds the `packager` command and every test, and returns the command's path, unless `PANNIER_PACKAGER` names one.
///
/// In one go, because tests turn on features of the crates below: built apart, those crates are compiled twice.
pub fn build_packager_and_tests(locked: &[&str]) -> Result<PathBuf> {
    shell::run(cargo().args(["build", "--bin", "packager", "--tests"]).args(locked))?;
    match std::env::var_os("PANNIER_PACKAGER").filter(|path| !path.is_empty()) {
        Some(prebuilt) => Ok(std::path::absolute(prebuilt)?),
        None => Ok(target_dir()?.join("debug").join("packager")),
    }
}

/// Builds the program that runs bundles on burn for the conformance suite, and returns its path.
pub fn build_burn(options: &[&str]) -> Result<PathBuf> {
    shell::run(cargo().args(["build", "--package", "pannier-engine-burn", "--example", "answer"]).args(options))?;
    Ok(target_dir()?.join("debug/examples/answer"))
}

/// A fresh folder for files of one run, under the cache and named after `purpose`.
pub fn scratch(purpose: &str) -> Result<PathBuf> {
    let folder = cache()?.join("scratch").join(format!("{purpose}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

/// The words in front of `apt-get` that let it install packages: none for root, `sudo -n` where that asks nothing.
/// `None` where there is no apt or no right to use it.
pub fn apt_get() -> Option<Command> {
    if !shell::succeeds(Command::new("apt-get").arg("--version")) {
        return None;
    }
    let is_root = shell::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if is_root {
        return Some(Command::new("apt-get"));
    }
    if shell::succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut command = Command::new("sudo");
        command.args(["-n", "apt-get"]);
        return Some(command);
    }
    None
}
