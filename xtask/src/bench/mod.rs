//! `bench`: ONNX Runtime and this project in turn, on the same models, inputs and machine.
//!
//! Every measurement is a process of its own, one thread, and the two sides alternate, so that a machine that slows down
//! slows both. Raw figures go to `benches/results/peers.json`; the table in README.md is made from that file alone.

mod machine;
mod measure;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::environment::{self, cache, cargo, root};
use crate::setup::python;
use crate::{models, shell};

/// The models, in the order of the table.
pub const MODELS: [&str; 5] = ["magika", "ocr-cls", "ocr-det", "ocr-rec", "silero-vad"];

/// Measures in this many rounds, or with `table_only` just rewrites the table.
pub fn run(rounds: u32, table_only: bool) -> Result<()> {
    if !table_only {
        let results = measure_all(rounds)?;
        let path = results_path();
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&path, format!("{results:#}\n")).with_context(|| path.display().to_string())?;
    }
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| readme.display().to_string())?;
    fs::write(&readme, table::insert(&text)?).with_context(|| readme.display().to_string())?;
    println!("{}", table::render(&read_results()?)?);
    Ok(())
}

/// The last results that were kept.
pub fn read_results() -> Result<Value> {
    let path = results_path();
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn results_path() -> PathBuf {
    root().join("benches/results/peers.json")
}

fn measure_all(rounds: u32) -> Result<Value> {
    let python = python::ensure()?;
    let models = models::ensure()?;
    let packager = environment::build_packager("dev")?;
    shell::run(cargo().args(["build", "--release", "--package", "pannier-benches", "--bins"]))?;
    // Kept: the criterion groups in benches/ open the same bundles.
    let work = cache()?.join("bench");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
    }
    fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    let bench = Bench {
        python,
        models,
        programs: environment::target_dir()?.join("release"),
        key: work.join("bench.pub"),
        work,
    };
    bench.build_bundles(&packager)?;
    Ok(json!({
        "machine": machine::describe()?,
        "versions": machine::versions(&bench.python)?,
        "rounds": rounds,
        "models": measure::models(&bench, rounds)?,
    }))
}

/// Where everything is that a measurement needs.
struct Bench {
    python: PathBuf,
    models: PathBuf,
    programs: PathBuf,
    key: PathBuf,
    work: PathBuf,
}

impl Bench {
    fn build_bundles(&self, packager: &Path) -> Result<()> {
        let secret = self.work.join("bench.pem");
        shell::run(Command::new(packager).args(["key", "new", "--no-passphrase"]).arg(&secret))?;
        for model in MODELS {
            fs::copy(self.models.join(model).join("evaluation.npz"), self.evaluation(model))?;
            let config = models::lay_out(&self.models, model, &self.work.join(model))?;
            let mut build = Command::new(packager);
            build.arg("build").arg("--config").arg(config);
            build.arg("--evaluate").arg(self.evaluation(model)).arg("--sign").arg(&secret);
            shell::run(build.arg("-o").arg(self.bundle(model)))?;
        }
        Ok(())
    }

    fn onnx(&self, model: &str) -> PathBuf {
        self.models.join(model).join("model.onnx")
    }

    fn evaluation(&self, model: &str) -> PathBuf {
        self.work.join(format!("{model}.npz"))
    }

    fn bundle(&self, model: &str) -> PathBuf {
        self.work.join(format!("{model}.pannier"))
    }

    fn peer(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(root().join("xtask/python/peer.py"));
        command
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }
}
