//! The commands that README.md prints, run as they stand there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::environment::{root, scratch};
use crate::{models, shell};

const MARKER: &str = "<!-- tour: `cargo xtask test` runs these commands -->\n```console\n";

/// Runs the tour in a folder with the model it is about. Each command must succeed.
pub fn run(packager: &Path) -> Result<()> {
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| readme.display().to_string())?;
    let commands = commands(&text)?;
    let folder = scratch("tour")?;
    models::lay_out(&models::ensure_model("magika")?, "magika", &folder)?;
    let mut path = std::ffi::OsString::from(packager.parent().context("the packager lies in no folder")?);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    for command in commands {
        eprintln!("  {command}");
        shell::output(Command::new("sh").args(["-c", command]).env("PATH", &path).current_dir(&folder))?;
    }
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// What stands behind `$ ` in the block behind the marker.
fn commands(readme: &str) -> Result<Vec<&str>> {
    let (_, rest) = readme.split_once(MARKER).context("README.md has no tour")?;
    let block = rest.split("```").next().unwrap_or_default();
    let commands: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    if commands.is_empty() {
        bail!("the tour in README.md has no commands");
    }
    Ok(commands)
}
