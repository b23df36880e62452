//! VictoriaMetrics: a real store for metrics, to which the slow tests send telemetry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::debian;
use crate::environment::{cache, scratch};
use crate::shell;

/// Suites that hold the package `victoria-metrics` as one static program.
const SUITES: [&str; 1] = ["sid"];

/// Puts the program into the cache, unless it is there. Returns its path.
pub fn ensure() -> Result<PathBuf> {
    let program = cache()?.join("tools/bin/victoria-metrics");
    if shell::succeeds(Command::new(&program).arg("-version")) {
        eprintln!("  VictoriaMetrics is installed: {}", program.display());
        return Ok(program);
    }
    let work = scratch("victoria")?;
    let placed = fetch(&work).and_then(|unpacked| {
        let folder = program.parent().context("the program has a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::copy(&unpacked, &program).with_context(|| program.display().to_string())
    });
    fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
    placed?;
    if !shell::succeeds(Command::new(&program).arg("-version")) {
        bail!("{} does not start", program.display());
    }
    Ok(program)
}

fn fetch(work: &Path) -> Result<PathBuf> {
    let package = debian::fetch("victoria-metrics", &SUITES, work)?;
    let unpacked = work.join("unpacked");
    shell::run(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
    Ok(unpacked.join("usr/bin/victoria-metrics"))
}
