//! `demo`: from a published model to a signed bundle that names the types of this project's own files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::environment::{self, root, scratch};
use crate::{models, shell};

/// Files of the project, of as many types as there are.
const FILES: [&str; 9] = [
    "README.md",
    "Cargo.toml",
    "Cargo.lock",
    "runtime/bundle/src/bundle.rs",
    "xtask/python/models.py",
    "xtask/web/package.json",
    ".ci/run",
    ".gitignore",
    "LICENSE-MIT",
];

/// Builds, verifies, runs; prints a table.
pub fn run() -> Result<()> {
    eprintln!("The model: magika, which names the type of a file.");
    let models = models::ensure_model("magika")?;
    eprintln!("The packager (the first build takes some minutes, mostly for the tract engine):");
    let packager = environment::build_packager("dev")?;
    let work = scratch("demo")?;
    let outcome = show(&packager, &models, &work);
    fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
    outcome
}

fn show(packager: &Path, models: &Path, work: &Path) -> Result<()> {
    let (secret, public, bundle) = (work.join("demo.pem"), work.join("demo.pub"), work.join("magika.pannier"));
    let config = models::lay_out(models, "magika", &work.join("magika"))?;
    let packager = || Command::new(packager);

    eprintln!("\nA key for this demo alone, then one signed file:");
    shell::run(packager().args(["key", "new", "--no-passphrase"]).arg(&secret))?;
    let mut build = packager();
    build.arg("build").arg("--config").arg(config).arg("--sign").arg(&secret).arg("-o").arg(&bundle);
    shell::run(&mut build)?;

    eprintln!("\nWhoever has the public key can check it:");
    shell::run(packager().arg("verify").arg(&bundle).arg("--key").arg(&public))?;

    eprintln!("\nAnd run it, here on files of this project:");
    let files = FILES.map(|file| root().join(file));
    let answers =
        shell::output(packager().arg("run").arg(&bundle).args(&files).arg("--key").arg(&public).arg("--json"))?;
    print!("\n{}", table(&answers)?);
    println!(
        "\nFrom here: README.md shows the same by hand and in Rust; `packager inspect` shows what is in a bundle;\n\
         docs/packager-toml.md says how to describe a model of your own."
    );
    Ok(())
}

/// Renders the JSON document of `packager run`.
fn table(answers: &str) -> Result<String> {
    let document: Value = serde_json::from_str(answers).context("the document of `packager run --json`")?;
    let mut text = format!("{:<30} {:<12} {:>11} {:>9}\n", "file", "type", "probability", "time");
    for entry in document["files"].as_array().context("no `files`")? {
        let (run, path) = (&entry["runs"][0], entry["file"].as_str().context("no `file`")?);
        let file = Path::new(path).strip_prefix(root()).unwrap_or(Path::new(path));
        let best = &run["answers"][0]["rows"][0][0];
        let label = best["label"].as_str().context("no label")?;
        let probability = best["score"].as_f64().context("no score")? * 100.0;
        let milliseconds = run["elapsed_ms"].as_f64().context("no time")?;
        writeln!(text, "{:<30} {label:<12} {probability:>9.1} % {milliseconds:>6.1} ms", file.display())?;
    }
    Ok(text)
}
