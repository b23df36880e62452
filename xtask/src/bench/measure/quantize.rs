//! Quantized models: this project's schemes beside ONNX Runtime's quantizer, on the same calibration data.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{document, latency};
use crate::bench::MODELS;
use crate::bench::setting::Bench;
use crate::shell;

/// What ONNX Runtime's quantizer is asked for.
const METHODS: [&str; 3] = ["dynamic", "dynamic-per-channel", "static"];

/// What `packager build` is asked for: a name, and the arguments.
const SCHEMES: [(&str, &[&str]); 6] = [
    ("fp16", &["--quantize", "fp16"]),
    ("q8", &["--quantize", "q8"]),
    ("q8-dynamic", &["--quantize", "q8-dynamic"]),
    ("q8-static", &["--quantize", "q8-static"]),
    ("q4", &["--quantize", "q4"]),
    ("auto, at most 1 % lost", &["--quantize", "auto", "--max-loss", "1%"]),
];

/// How long one process runs the model.
const SECONDS_PER_ROUND: &str = "1";

/// Figures of every model.
pub fn models(bench: &Bench, rounds: u32) -> Result<Vec<Value>> {
    MODELS.iter().map(|model| one(bench, model, rounds).with_context(|| (*model).to_owned())).collect()
}

fn one(bench: &Bench, model: &str, rounds: u32) -> Result<Value> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for method in METHODS {
        eprintln!("  {model}: ONNX Runtime, {method}");
        theirs.push((method, peer(bench, model, method)?));
    }
    for (name, arguments) in SCHEMES {
        eprintln!("  {model}: {name}");
        ours.push((name, scheme(bench, model, name, arguments)?));
    }
    let mut unquantized = json!({
        "bytes": fs::metadata(bench.onnx(model))?.len(),
        "bundle_bytes": fs::metadata(bench.bundle(model))?.len(),
        "answers": judge(bench, model, &bench.evaluation(model))?,
    });
    speed(bench, model, rounds, &mut unquantized, &mut theirs, &mut ours)?;
    let named = |sides: Vec<(&str, Made)>| -> Vec<Value> {
        sides.into_iter().map(|(name, made)| json!({ "name": name, "result": made.result })).collect()
    };
    Ok(json!({ "name": model, "unquantized": unquantized, "onnxruntime": named(theirs), "pannier": named(ours) }))
}

/// A quantized model, or why there is none.
struct Made {
    /// `None`: it could not be made.
    file: Option<PathBuf>,
    result: Value,
}

impl Made {
    fn refused(error: &anyhow::Error) -> Made {
        let message = error.to_string();
        let last = message.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Made { file: None, result: json!({ "refused": last.trim() }) }
    }
}

/// What ONNX Runtime's quantizer makes. That it fails is a result.
fn peer(bench: &Bench, model: &str, method: &str) -> Result<Made> {
    let file = bench.quantized(&format!("{model}-{method}.onnx"))?;
    let made = shell::output(
        bench.quantizer().args(["peer".as_ref(), bench.folder(model).as_os_str()]).arg(method).arg(&file),
    );
    if let Err(error) = made {
        return Ok(Made::refused(&error));
    }
    let answers = file.with_extension("npz");
    shell::output(bench.quantizer().arg("run").arg(&file).arg(bench.evaluation(model)).arg(&answers))?;
    let compressed: u64 = shell::output(bench.program("compressed_size").arg(&file))?.trim().parse()?;
    let result = json!({
        "bytes": fs::metadata(&file)?.len(),
        "zstd_19_bytes": compressed,
        "answers": judge(bench, model, &answers)?,
    });
    Ok(Made { file: Some(file), result })
}

/// What this project makes. That nothing keeps the budget is a result.
fn scheme(bench: &Bench, model: &str, name: &str, arguments: &[&str]) -> Result<Made> {
    let file = bench.quantized(&format!("{model}-{}.pannier", name.split(',').next().unwrap_or(name)))?;
    let mut build = bench.build(model);
    build.args(arguments).arg("--calibrate").arg(bench.folder(model).join("calibration.npz")).arg("-o").arg(&file);
    let start = Instant::now();
    if let Err(error) = shell::output(&mut build) {
        return Ok(Made::refused(&error));
    }
    let seconds = start.elapsed().as_secs_f64();
    let answers = file.with_extension("npz");
    shell::output(
        bench
            .packager()
            .arg("run")
            .arg(&file)
            .arg(bench.evaluation(model))
            .arg("--key")
            .arg(&bench.key)
            .arg("-o")
            .arg(&answers),
    )?;
    let result = json!({
        "bytes": fs::metadata(&file)?.len(),
        "seconds": seconds,
        "answers": judge(bench, model, &answers)?,
    });
    Ok(Made { file: Some(file), result })
}

fn judge(bench: &Bench, model: &str, answers: &Path) -> Result<Value> {
    document(bench.quantizer().arg("judge").arg(bench.folder(model)).arg(answers))
}

/// Times all of them in turns.
fn speed(
    bench: &Bench,
    model: &str,
    rounds: u32,
    unquantized: &mut Value,
    theirs: &mut [(&'static str, Made)],
    ours: &mut [(&'static str, Made)],
) -> Result<()> {
    let evaluation = bench.evaluation(model);
    let peer = |onnx: &Path| {
        document(bench.peer().arg("onnxruntime").arg(onnx).arg(&evaluation).args([SECONDS_PER_ROUND, "1"]))
    };
    let session = |bundle: &Path| {
        document(bench.program("session").arg(bundle).arg(&bench.key).arg(&evaluation).args([SECONDS_PER_ROUND, "1"]))
    };
    let mut of_onnx = Vec::new();
    let mut of_bundle = Vec::new();
    let mut of_theirs = vec![Vec::new(); theirs.len()];
    let mut of_ours = vec![Vec::new(); ours.len()];
    for round in 1..=rounds {
        eprintln!("  {model}, round {round} of {rounds}");
        of_onnx.push(peer(&bench.onnx(model))?);
        of_bundle.push(session(&bench.bundle(model))?);
        for ((_, made), rounds) in theirs.iter().zip(&mut of_theirs) {
            rounds.extend(made.file.as_deref().map(peer).transpose()?);
        }
        for ((_, made), rounds) in ours.iter().zip(&mut of_ours) {
            rounds.extend(made.file.as_deref().map(session).transpose()?);
        }
    }
    unquantized["onnxruntime_latency_ms"] = latency(&of_onnx)?;
    unquantized["pannier_latency_ms"] = latency(&of_bundle)?;
    for ((_, made), rounds) in theirs.iter_mut().zip(&of_theirs).chain(ours.iter_mut().zip(&of_ours)) {
        if made.file.is_some() {
            made.result["latency_ms"] = latency(rounds)?;
        }
    }
    Ok(())
}
