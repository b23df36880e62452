//! `test`: the fast tier, and with `--all` everything else that a machine can check.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::environment::{self, cargo};
use crate::setup::{python, wasm};
use crate::steps::Steps;
use crate::{docs, models, shell, tour};

/// A target that has no standard library: whatever compiles for it needs none.
const NO_STD_TARGET: &str = "x86_64-unknown-none";

/// Parts of the runtime that must do without an operating system.
const NO_STD: [&str; 1] = ["pannier-bundle"];

/// Parts of the runtime that must compile for wasm32.
const PORTABLE: [&str; 4] = ["pannier-bundle", "pannier-graph", "pannier-engine", "pannier"];

/// Runs the fast tier. With `all`, also the slow tests and the fuzz targets, each of those for so many seconds.
pub fn run(all: Option<u32>) -> Result<()> {
    let mut steps = Steps::new();
    let tools = prepare(&mut steps);
    fast(&mut steps, tools.as_ref(), false);
    if let Some(seconds) = all {
        slow(&mut steps, tools.as_ref());
        fuzz(&mut steps, seconds);
        portability(&mut steps);
    }
    steps.finish()
}

/// What the tests need from outside.
pub struct Tools {
    python: PathBuf,
    models: PathBuf,
}

impl Tools {
    fn apply(&self, command: &mut Command) {
        command.env("PANNIER_PYTHON", &self.python).env("PANNIER_MODELS", &self.models);
    }
}

/// Python packages and models. Tests that need them fail with a hint when this did.
pub fn prepare(steps: &mut Steps) -> Option<Tools> {
    let mut tools = None;
    steps.step("what the tests need: Python packages and models", || {
        tools = Some(Tools { python: python::ensure()?, models: models::ensure()? });
        Ok(())
    });
    tools
}

/// Format, lints, docs, generated documents, tests. `frozen` forbids a change of Cargo.lock.
pub fn fast(steps: &mut Steps, tools: Option<&Tools>, frozen: bool) {
    let locked: &[&str] = if frozen { &["--locked"] } else { &[] };
    steps.step("format", || shell::run(cargo().args(["fmt", "--all", "--check"])));
    steps.step("lints", || {
        shell::run(cargo().arg("clippy").args(locked).args([
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    });
    steps.step("documentation", || {
        shell::run(
            cargo().env("RUSTDOCFLAGS", "--deny warnings").args(["doc", "--workspace", "--no-deps"]).args(locked),
        )
    });
    let mut packager = None;
    steps.step("build the packager and the tests", || {
        packager = Some(environment::build_packager_and_tests(locked)?);
        Ok(())
    });
    match &packager {
        Some(packager) => {
            steps.step("generated documents", || docs::check(packager));
            steps.step("the tour in README.md", || tour::run(packager));
        }
        None => steps.skip("generated documents, tour", "the packager was not built"),
    }
    steps.step("tests", || {
        let mut command = cargo();
        command.arg("test").args(locked).arg("--no-fail-fast");
        // Snapshots are looked for in this checkout, whichever one compiled the tests.
        command.env("INSTA_WORKSPACE_ROOT", environment::root());
        if let Some(packager) = &packager {
            command.env("PANNIER_PACKAGER", packager);
        }
        if let Some(tools) = tools {
            tools.apply(&mut command);
        }
        shell::run(&mut command)
    });
}

fn slow(steps: &mut Steps, tools: Option<&Tools>) {
    steps.step("slow tests", || {
        let mut command = cargo();
        command.args(["test", "--no-fail-fast", "--tests", "--", "--ignored"]);
        if let Some(tools) = tools {
            tools.apply(&mut command);
        }
        shell::run(&mut command)
    });
}

/// Every fuzz target for a while, where a nightly compiler and cargo-fuzz are at hand. The same oracles run in the
/// fast tier as property tests.
fn fuzz(steps: &mut Steps, seconds: u32) {
    let cargo_fuzz = || {
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz"]).current_dir(environment::root().join("tests"));
        command
    };
    if !shell::succeeds(cargo_fuzz().arg("--version")) {
        steps.skip("fuzz targets", "`cargo +nightly fuzz` is not installed");
        return;
    }
    let targets = match shell::output(cargo_fuzz().arg("list")) {
        Ok(targets) => targets,
        Err(error) => return steps.step("fuzz targets", || Err(error)),
    };
    for target in targets.lines() {
        steps.step(&format!("fuzz {target}"), || {
            let mut command = cargo_fuzz();
            command.args(["run", target]);
            let vectors = environment::root().join("tests/vectors");
            // A corpus of libFuzzer's own, then the test vectors as further seeds, which it does not write to.
            command.arg(corpus(target)?).args(vectors.exists().then_some(&vectors));
            shell::run(command.args(["--", &format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=1024"]))
        });
    }
}

fn corpus(target: &str) -> Result<PathBuf> {
    let folder = environment::cache()?.join("fuzz").join(target);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The container without an operating system, and the runtime's portable crates for wasm32.
pub fn portability(steps: &mut Steps) {
    if has_library(NO_STD_TARGET) {
        steps.step("no_std", || check_for(NO_STD_TARGET, &NO_STD));
    } else {
        steps.skip("no_std", &format!("no core library: `rustup target add {NO_STD_TARGET}`"));
    }
    if wasm::is_installed() {
        steps.step("wasm32", || check_for(wasm::TARGET, &PORTABLE));
    } else {
        steps.skip("wasm32", "no standard library: `cargo xtask setup --only wasm`");
    }
}

fn check_for(target: &str, packages: &[&str]) -> Result<()> {
    for package in packages {
        let options = ["--target", target, "--no-default-features"];
        shell::run(cargo().args(["check", "--package", package]).args(options))?;
    }
    Ok(())
}

fn has_library(target: &str) -> bool {
    let folder = shell::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).exists())
}
