//! The standard library for another target: from rustup, or else built from Debian's sources of the same compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::debian;
use crate::environment::scratch;
use crate::shell;

/// The standard library of a target.
pub struct Library {
    pub target: &'static str,
    /// The crates that have to be built of it.
    pub crates: &'static str,
    /// Variables for building them.
    pub environment: &'static [(&'static str, &'static str)],
}

/// A server that cannot be reached is to be noticed, not waited for.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// Debian suites that hold `rust-src`, in the order they are tried. Newer compilers are in the backports of the next release.
const SUITES: [&str; 4] = ["bookworm-backports", "trixie-backports", "forky", "sid"];

impl Library {
    /// Installs the library unless it is there.
    pub fn ensure(&self) -> Result<()> {
        if self.is_installed() {
            eprintln!("  the standard library for {} is installed", self.target);
            return Ok(());
        }
        match shell::run_within(Command::new("rustup").args(["target", "add", self.target]), RUSTUP_LIMIT) {
            Ok(()) if self.is_installed() => return Ok(()),
            Ok(()) => eprintln!("  rustup served another toolchain than the one in use here"),
            Err(error) => eprintln!("  rustup cannot help here: {error:#}"),
        }
        eprintln!("  building it from Debian's sources instead");
        let work = scratch(&format!("std-{}", self.target))?;
        let built = self.build_from_debian(&work);
        fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
        built?;
        if !self.is_installed() {
            bail!("the library was built, but `rustc` does not find it");
        }
        Ok(())
    }

    /// Whether `rustc` finds the library.
    pub fn is_installed(&self) -> bool {
        self.libdir().is_ok_and(|folder| has_std(&folder))
    }

    fn libdir(&self) -> Result<PathBuf> {
        let mut rustc = Command::new("rustc");
        let folder = shell::output(rustc.args(["--print", "target-libdir", "--target", self.target]))?;
        Ok(PathBuf::from(folder.trim()))
    }

    fn build_from_debian(&self, work: &Path) -> Result<()> {
        let version = compiler_version()?;
        let sysroot = PathBuf::from(shell::output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
        let package = fetch_rust_src(&version, work)?;
        let unpacked = work.join("rust-src");
        shell::run(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
        let library = unpacked.join(format!("usr/src/rustc-{version}/library"));
        // Cargo looks for the sources here alone. They are taken away again: a later `rustup component add` wants the place.
        let place = sysroot.join("lib/rustlib/src");
        let lend = !place.exists();
        if lend {
            let parent = place.join("rust");
            fs::create_dir_all(&parent).with_context(|| format!("{} cannot be written", parent.display()))?;
            shell::run(Command::new("cp").arg("-r").arg(&library).arg(&parent))?;
        }
        let built = self.build_std(work);
        if lend {
            fs::remove_dir_all(&place).with_context(|| place.display().to_string())?;
        }
        install(&built?, &self.libdir()?)
    }

    /// Compiles std for the target with an empty crate; returns the folder with its `.rlib` files.
    fn build_std(&self, work: &Path) -> Result<PathBuf> {
        let package = work.join("empty");
        fs::create_dir_all(package.join("src"))?;
        fs::write(
            package.join("Cargo.toml"),
            "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
        )?;
        fs::write(package.join("src/lib.rs"), "#![no_std]\n")?;
        let target = work.join("target");
        let mut build = Command::new("cargo");
        // Cargo accepts -Zbuild-std on a stable compiler only so. `embed-bitcode` keeps link-time optimisation possible later.
        build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-C embed-bitcode=yes").env("CARGO_TARGET_DIR", &target);
        build.envs(self.environment.iter().copied()).current_dir(&package);
        build.args(["build", "--release", "--target", self.target, &format!("-Zbuild-std={}", self.crates)]);
        shell::run(&mut build)?;
        Ok(target.join(self.target).join("release/deps"))
    }
}

fn has_std(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|files| {
        files.flatten().any(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    })
}

/// For example `1.95.0`. Debian has sources of released versions only.
fn compiler_version() -> Result<String> {
    let line = shell::output(Command::new("rustc").arg("--version"))?;
    let version = line.split_whitespace().nth(1).context("`rustc --version` says nothing")?;
    if !version.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
        bail!("`rustc` is {version}; Debian has sources of released versions only");
    }
    Ok(version.to_owned())
}

/// Downloads `rust-src` of exactly this version.
fn fetch_rust_src(version: &str, work: &Path) -> Result<PathBuf> {
    debian::fetch(&format!("rust-src={version}*"), &SUITES, work)
}

/// Copies the libraries into a fresh folder and renames it: two copies of std in one folder are an error (E0464).
fn install(built: &Path, libdir: &Path) -> Result<()> {
    let target_folder = libdir.parent().context("the target's folder has no parent")?;
    let fresh = target_folder.join("lib.fresh");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh).with_context(|| format!("{} cannot be written", fresh.display()))?;
    for file in fs::read_dir(built).with_context(|| built.display().to_string())? {
        let file = file?;
        let name = file.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && !text.starts_with("libempty-") {
            fs::copy(file.path(), fresh.join(&name))?;
        }
    }
    if libdir.exists() {
        fs::remove_dir_all(libdir)?;
    }
    fs::rename(&fresh, libdir).with_context(|| libdir.display().to_string())
}
