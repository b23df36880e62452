//! The measurements themselves.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Bench, MODELS};
use crate::shell;

/// How long one process runs the model.
const SECONDS_PER_ROUND: &str = "2";

/// Figures of every model.
pub fn models(bench: &Bench, rounds: u32) -> Result<Vec<Value>> {
    MODELS.iter().map(|model| one(bench, model, rounds).with_context(|| (*model).to_owned())).collect()
}

fn one(bench: &Bench, model: &str, rounds: u32) -> Result<Value> {
    let (onnx, evaluation, bundle) = (bench.onnx(model), bench.evaluation(model), bench.bundle(model));
    let (mut peer, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("  {model}, round {round} of {rounds}");
        let mut onnxruntime = bench.peer();
        onnxruntime.arg("onnxruntime").arg(&onnx).arg(&evaluation).arg(SECONDS_PER_ROUND);
        peer.push(document(&mut onnxruntime)?);
        let mut session = bench.program("session");
        session.arg(&bundle).arg(&bench.key).arg(&evaluation).arg(SECONDS_PER_ROUND);
        ours.push(document(&mut session)?);
    }
    let opening = document(bench.program("opening").arg(&bundle).arg(&bench.key))?;
    let mut ours_summary = summary(&ours)?;
    for step in ["verify", "read", "prepare", "self_test"] {
        let steps: Vec<Value> = ours.iter().map(|round| round["load_steps_ms"].clone()).collect();
        ours_summary["load_steps_ms"][step] = json!(median(&numbers(&steps, step)?)?);
    }
    Ok(json!({
        "name": model,
        "onnxruntime": summary(&peer)?,
        "pannier": ours_summary,
        "opening": opening,
        "size_bytes": {
            "onnx": fs::metadata(&onnx)?.len(),
            "onnx_gzip_9": number(bench.peer().arg("gzip").arg(&onnx))?,
            "onnx_zstd_19": number(bench.program("compressed_size").arg(&onnx))?,
            "bundle": fs::metadata(&bundle)?.len(),
        },
    }))
}

fn document(command: &mut Command) -> Result<Value> {
    Ok(serde_json::from_str(&shell::output(command)?)?)
}

fn number(command: &mut Command) -> Result<u64> {
    Ok(shell::output(command)?.trim().parse()?)
}

/// One side of one model over all rounds.
fn summary(rounds: &[Value]) -> Result<Value> {
    let mut latencies = Vec::new();
    for round in rounds {
        for latency in round["latency_ms"].as_array().context("`latency_ms` is missing")? {
            latencies.push(latency.as_f64().context("a latency is not a number")?);
        }
    }
    let least = latencies.iter().copied().fold(f64::INFINITY, f64::min);
    let growth: Vec<f64> = numbers(rounds, "peak_bytes")?
        .iter()
        .zip(numbers(rounds, "resident_before_bytes")?)
        .map(|(peak, before)| peak - before)
        .collect();
    Ok(json!({
        "runs": latencies.len(),
        "latency_ms": { "median": median(&latencies)?, "min": least },
        "load_ms": median(&numbers(rounds, "load_ms")?)?,
        "peak_growth_bytes": median(&growth)?,
        "process_peak_bytes": median(&numbers(rounds, "peak_bytes")?)?,
    }))
}

fn numbers(rounds: &[Value], key: &str) -> Result<Vec<f64>> {
    rounds.iter().map(|round| round[key].as_f64().with_context(|| format!("`{key}` is missing"))).collect()
}

fn median(values: &[f64]) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(upper), 0) => Ok((sorted[middle - 1] + upper) / 2.0),
        (Some(value), _) => Ok(*value),
        (None, _) => anyhow::bail!("nothing was measured"),
    }
}
