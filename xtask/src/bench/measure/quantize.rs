//! Quantized models: this project's schemes beside ONNX Runtime's quantizer, on the same calibration data.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::{document, latency};
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

/// Figures of a model, timed in so many rounds; without rounds there are no times.
pub fn model(bench: &Bench, model: &str, rounds: u32) -> Result<Value> {
    let mut sides = Vec::new();
    for method in METHODS {
        sides.push(Made { side: "onnxruntime", name: method, outcome: peer(bench, model, method)? });
    }
    for (name, arguments) in SCHEMES {
        sides.push(Made { side: "pannier", name, outcome: scheme(bench, model, name, arguments)? });
    }
    let mut results = json!({
        "name": model,
        "unquantized": {
            "bytes": fs::metadata(bench.onnx(model))?.len(),
            "bundle_bytes": fs::metadata(bench.bundle(model))?.len(),
            "answers": judge(bench, model, &bench.evaluation(model))?,
        },
        "onnxruntime": [],
        "pannier": [],
    });
    let times = if rounds > 0 { Some(Times::measure(bench, model, rounds, &sides)?) } else { None };
    if let Some(times) = &times {
        results["rounds"] = rounds.into();
        results["unquantized"]["onnxruntime_latency_ms"] = times.onnxruntime.clone();
        results["unquantized"]["pannier_latency_ms"] = times.pannier.clone();
    }
    for made in sides {
        let mut result = made.outcome.result;
        if let Some(time) = times.as_ref().and_then(|times| times.of.get(&(made.side, made.name))) {
            result["latency_ms"] = time.clone();
        }
        if let Some(side) = results[made.side].as_array_mut() {
            side.push(json!({ "name": made.name, "result": result }));
        }
    }
    Ok(results)
}

/// What one side made in one way.
struct Made {
    side: &'static str,
    name: &'static str,
    outcome: Outcome,
}

/// A quantized model, or why there is none.
struct Outcome {
    /// `None`: it could not be made.
    file: Option<PathBuf>,
    result: Value,
}

impl Outcome {
    fn refused(error: &anyhow::Error) -> Outcome {
        let message = error.to_string();
        let last = message.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        eprintln!("    fails: {}", last.trim());
        Outcome { file: None, result: json!({ "refused": last.trim() }) }
    }
}

/// What ONNX Runtime's quantizer makes. That it fails is a result.
fn peer(bench: &Bench, model: &str, method: &str) -> Result<Outcome> {
    eprintln!("  {model}: ONNX Runtime, {method}");
    let file = bench.quantized(&format!("{model}-{method}.onnx"))?;
    let made = shell::output(
        bench.quantizer().args(["peer".as_ref(), bench.folder(model).as_os_str()]).arg(method).arg(&file),
    );
    if let Err(error) = made {
        return Ok(Outcome::refused(&error));
    }
    let answers = file.with_extension("npz");
    shell::output(bench.quantizer().arg("run").arg(&file).arg(bench.evaluation(model)).arg(&answers))?;
    let result = json!({
        "bytes": fs::metadata(&file)?.len(),
        "zstd_19_bytes": bench.compressed_bytes(&file)?,
        "answers": judge(bench, model, &answers)?,
    });
    eprintln!("    {result}");
    Ok(Outcome { file: Some(file), result })
}

/// What this project makes. That nothing keeps the budget is a result.
fn scheme(bench: &Bench, model: &str, name: &str, arguments: &[&str]) -> Result<Outcome> {
    eprintln!("  {model}: {name}");
    let file = bench.quantized(&format!("{model}-{}.pannier", name.split(',').next().unwrap_or(name)))?;
    let mut build = bench.build(model);
    build.args(arguments).arg("--calibrate").arg(bench.folder(model).join("calibration.npz")).arg("-o").arg(&file);
    let start = Instant::now();
    if let Err(error) = shell::output(&mut build) {
        return Ok(Outcome::refused(&error));
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
    eprintln!("    {result}");
    Ok(Outcome { file: Some(file), result })
}

fn judge(bench: &Bench, model: &str, answers: &Path) -> Result<Value> {
    document(bench.quantizer().arg("judge").arg(bench.folder(model)).arg(answers))
}

/// Latencies of one model in all its forms.
struct Times {
    onnxruntime: Value,
    pannier: Value,
    /// By side and name.
    of: BTreeMap<(&'static str, &'static str), Value>,
}

impl Times {
    /// All of them in turns.
    fn measure(bench: &Bench, model: &str, rounds: u32, sides: &[Made]) -> Result<Times> {
        let evaluation = bench.evaluation(model);
        let peer = |onnx: &Path| {
            document(bench.peer().arg("onnxruntime").arg(onnx).arg(&evaluation).args([SECONDS_PER_ROUND, "1"]))
        };
        let session = |bundle: &Path| {
            let mut session = bench.program("session");
            session.arg(bundle).arg(&bench.key).arg(&evaluation).args([SECONDS_PER_ROUND, "1", "tested"]);
            document(&mut session)
        };
        let (mut onnxruntime, mut pannier, mut of) = (Vec::new(), Vec::new(), BTreeMap::<_, Vec<Value>>::new());
        for round in 1..=rounds {
            eprintln!("  {model}: latency, round {round} of {rounds}");
            onnxruntime.push(peer(&bench.onnx(model))?);
            pannier.push(session(&bench.bundle(model))?);
            for made in sides {
                let Some(file) = &made.outcome.file else { continue };
                let time = if made.side == "pannier" { session(file)? } else { peer(file)? };
                of.entry((made.side, made.name)).or_default().push(time);
            }
        }
        Ok(Times {
            onnxruntime: latency(&onnxruntime)?,
            pannier: latency(&pannier)?,
            of: of.into_iter().map(|(key, times)| Ok((key, latency(&times)?))).collect::<Result<_>>()?,
        })
    }
}
