//! ONNX Runtime, OpenVINO and this project's native runtime, on the same models and inputs.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{document, latency, median, numbers};
use crate::bench::MODELS;
use crate::bench::setting::Bench;
use crate::shell;

/// The other engines, by their names for `peer.py`.
const PEERS: [&str; 2] = ["onnxruntime", "openvino"];

/// How long one process runs the model.
const SECONDS_PER_ROUND: &str = "2";

/// Figures of every model.
pub fn models(bench: &Bench, rounds: u32) -> Result<Vec<Value>> {
    MODELS.iter().map(|model| one(bench, model, rounds).with_context(|| (*model).to_owned())).collect()
}

fn one(bench: &Bench, model: &str, rounds: u32) -> Result<Value> {
    let (onnx, bundle) = (bench.onnx(model), bench.bundle(model));
    let mut results = sides(bench, model, rounds, 1)?;
    results["name"] = model.into();
    results["two_threads"] = sides(bench, model, rounds, 2)?;
    let opening = document(bench.program("opening").arg(&bundle).arg(&bench.key))?;
    results["opening"] = opening;
    results["size_bytes"] = json!({
        "onnx": fs::metadata(&onnx)?.len(),
        "onnx_gzip_9": number(bench.peer().arg("gzip").arg(&onnx))?,
        "onnx_zstd_19": bench.compressed_bytes(&onnx)?,
        "bundle": fs::metadata(&bundle)?.len(),
    });
    Ok(results)
}

/// All engines on one model with so many threads, in turns.
fn sides(bench: &Bench, model: &str, rounds: u32, threads: u32) -> Result<Value> {
    let (onnx, evaluation) = (bench.onnx(model), bench.evaluation(model));
    let threads = threads.to_string();
    let (mut peers, mut ours) = (PEERS.map(|_| Vec::new()), Vec::new());
    for round in 1..=rounds {
        eprintln!("  {model}, threads: {threads}, round {round} of {rounds}");
        for (peer, rounds) in PEERS.into_iter().zip(&mut peers) {
            let mut command = bench.peer();
            command.arg(peer).arg(&onnx).arg(&evaluation).args([SECONDS_PER_ROUND, &threads]);
            rounds.push(document(&mut command)?);
        }
        ours.push(document(bench.program_on("session", model).args([SECONDS_PER_ROUND, &threads, "compared"]))?);
    }
    let [onnxruntime, openvino] = peers;
    let mut pannier = summary(&ours)?;
    pannier["engine"] = ours.first().map_or(Value::Null, |round| round["engine"].clone());
    for step in ["verify", "read", "prepare", "self_test"] {
        let steps: Vec<Value> = ours.iter().map(|round| round["load_steps_ms"].clone()).collect();
        pannier["load_steps_ms"][step] = json!(median(&numbers(&steps, step)?)?);
    }
    Ok(json!({ "onnxruntime": summary(&onnxruntime)?, "openvino": summary_if_loaded(&openvino)?, "pannier": pannier }))
}

fn number(command: &mut Command) -> Result<u64> {
    Ok(shell::output(command)?.trim().parse()?)
}

/// As [`summary`]; null of an engine that does not load the model.
fn summary_if_loaded(rounds: &[Value]) -> Result<Value> {
    if rounds.iter().any(|round| round.get("refused").is_some()) { Ok(Value::Null) } else { summary(rounds) }
}

/// One side of one model over all rounds.
fn summary(rounds: &[Value]) -> Result<Value> {
    let growth: Vec<f64> = numbers(rounds, "peak_bytes")?
        .iter()
        .zip(numbers(rounds, "resident_before_bytes")?)
        .map(|(peak, before)| peak - before)
        .collect();
    Ok(json!({
        "latency_ms": latency(rounds)?,
        "load_ms": median(&numbers(rounds, "load_ms")?)?,
        "peak_growth_bytes": median(&growth)?,
        "process_peak_bytes": median(&numbers(rounds, "peak_bytes")?)?,
    }))
}
