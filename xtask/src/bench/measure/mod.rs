//! The measurements themselves.

pub mod gpu;
pub mod peers;
pub mod quantize;
pub mod sandbox;
pub mod web;

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::shell;

/// The JSON document that a program prints.
fn document(command: &mut Command) -> Result<Value> {
    Ok(serde_json::from_str(&shell::output(command)?)?)
}

/// Latency over all rounds.
fn latency(rounds: &[Value]) -> Result<Value> {
    let mut latencies = Vec::new();
    for round in rounds {
        for latency in round["latency_ms"].as_array().context("`latency_ms` is missing")? {
            latencies.push(latency.as_f64().context("a latency is not a number")?);
        }
    }
    let least = latencies.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(json!({ "median": median(&latencies)?, "min": least, "runs": latencies.len() }))
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
