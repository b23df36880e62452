//! `demo`: from a published model to a signed bundle that names the types of this project's own files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::environment::{self, root, scratch};
use crate::{guest, models, shell};

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
    eprintln!("The runtime as WebAssembly, for the sandbox (the first build takes some minutes):");
    guest::ensure()?;
    eprintln!("The packager, with that inside (the first build takes some minutes, mostly for the tract engine):");
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

    eprintln!("\nAnd run it, here on files of this project. First in this process, then in a sandbox:");
    let files = FILES.map(|file| root().join(file));
    let answers = |flags: &[&str]| {
        let mut run = packager();
        run.arg("run").arg(&bundle).args(&files).arg("--key").arg(&public).arg("--json").args(flags);
        run.stderr(Stdio::inherit());
        Answers::read(&shell::output(&mut run)?)
    };
    print!("\n{}", table(&answers(&[])?, &answers(&["--sandbox"])?)?);
    println!(
        "\nThe sandbox is WebAssembly without imports: it can compute and nothing else, and each file had an instance of\n\
         its own. From here: README.md shows the same by hand and in Rust; `packager inspect` shows what is in a bundle;\n\
         docs/packager-toml.md says how to describe a model of your own."
    );
    Ok(())
}

/// What `packager run --json` says about each file.
struct Answers(Vec<Answer>);

struct Answer {
    file: String,
    label: String,
    probability: f64,
    elapsed_ms: f64,
}

impl Answers {
    fn read(document: &str) -> Result<Answers> {
        let document: Value = serde_json::from_str(document).context("the document of `packager run --json`")?;
        let entries = document["files"].as_array().context("no `files`")?.iter().map(|entry| {
            let (run, path) = (&entry["runs"][0], entry["file"].as_str().context("no `file`")?);
            let best = &run["answers"][0]["rows"][0][0];
            Ok(Answer {
                file: Path::new(path).strip_prefix(root()).unwrap_or(Path::new(path)).display().to_string(),
                label: best["label"].as_str().context("no label")?.to_owned(),
                probability: best["score"].as_f64().context("no score")?,
                elapsed_ms: run["elapsed_ms"].as_f64().context("no time")?,
            })
        });
        entries.collect::<Result<_>>().map(Answers)
    }
}

/// Most by which a probability in the sandbox may differ from the native one.
const TOLERANCE: f64 = 1e-3;

/// The answers side by side. They have to be the same.
fn table(native: &Answers, sandboxed: &Answers) -> Result<String> {
    let mut text =
        format!("{:<30} {:<12} {:>11} {:>11} {:>11}\n", "file", "type", "probability", "native", "in sandbox");
    for (native, sandboxed) in native.0.iter().zip(&sandboxed.0) {
        let Answer { file, label, probability, elapsed_ms } = native;
        ensure!(
            sandboxed.label == *label && (sandboxed.probability - probability).abs() < TOLERANCE,
            "{file} is {label} natively and {} in the sandbox",
            sandboxed.label
        );
        let (percent, sandboxed_ms) = (probability * 100.0, sandboxed.elapsed_ms);
        writeln!(text, "{file:<30} {label:<12} {percent:>9.1} % {elapsed_ms:>8.1} ms {sandboxed_ms:>8.1} ms")?;
    }
    ensure!(
        native.0.len() == sandboxed.0.len(),
        "{} answers natively, {} in the sandbox",
        native.0.len(),
        sandboxed.0.len()
    );
    Ok(text)
}
