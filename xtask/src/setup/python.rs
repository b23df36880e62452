//! A Python virtual environment of the project's own, so that nothing is installed into the system's Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::environment::{apt_get, cache, root};
use crate::shell;

/// The oldest Python for which the pinned packages are published.
const OLDEST_PYTHON: (u32, u32) = (3, 11);

/// The environment with every package of `xtask/requirements.txt`. Returns its `python`.
pub fn ensure() -> Result<PathBuf> {
    let python = ensure_bare()?;
    install(&python, "requirements")?;
    Ok(python)
}

/// The same with every package of `xtask/requirements-bench.txt`.
pub fn ensure_for_bench() -> Result<PathBuf> {
    let python = ensure()?;
    install(&python, "requirements-bench")?;
    Ok(python)
}

/// Installs a list of packages, unless it is there.
fn install(python: &Path, list: &str) -> Result<()> {
    let requirements = root().join("xtask").join(list).with_extension("txt");
    let wanted = fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    // A copy of the list is kept in the environment once it was installed: the same list is not installed twice.
    let receipt = folder()?.join(list).with_extension("installed.txt");
    if fs::read_to_string(&receipt).is_ok_and(|installed| installed == wanted) {
        eprintln!("  Python packages of {list}.txt are installed in {}", folder()?.display());
        return Ok(());
    }
    shell::run(pip(python).arg("install").arg("--requirement").arg(&requirements))?;
    fs::write(&receipt, wanted).with_context(|| receipt.display().to_string())
}

/// The environment with nothing but pip in it, which is enough to fetch models. Returns its `python`.
pub fn ensure_bare() -> Result<PathBuf> {
    let folder = folder()?;
    let python = folder.join("bin/python");
    if shell::succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        return Ok(python);
    }
    let system = system_python()?;
    if make(&system, &folder).is_err() {
        // Debian keeps the module that puts pip into new environments in a package of its own.
        let Some(mut install) = apt_get() else {
            bail!(
                "`{system} -m venv` failed, and apt-get cannot be used here: install the package python3-venv, then try again"
            );
        };
        shell::run(install.args(["install", "--yes", "python3-venv"]))?;
        make(&system, &folder)?;
    }
    Ok(python)
}

/// `pip` of the environment, without its chatter.
pub fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]);
    command
}

fn folder() -> Result<PathBuf> {
    Ok(cache()?.join("venv"))
}

fn make(system: &str, folder: &Path) -> Result<()> {
    shell::run(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder))
}

/// A `python3` on the path that is new enough.
fn system_python() -> Result<String> {
    let program = "python3";
    let version = shell::output(
        Command::new(program).args(["-c", "import sys; print(sys.version_info[0], sys.version_info[1])"]),
    )
    .context("Python 3 is needed: install the package python3")?;
    let mut numbers = version.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("`{program}` does not tell its version: {version:?}");
    };
    if (major, minor) < OLDEST_PYTHON {
        let (oldest_major, oldest_minor) = OLDEST_PYTHON;
        bail!("Python {oldest_major}.{oldest_minor} or newer is needed; `{program}` is {major}.{minor}");
    }
    Ok(program.to_owned())
}
