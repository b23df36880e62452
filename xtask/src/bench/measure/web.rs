//! The npm package and onnxruntime-web, in the same browser and in the same Node.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::{document, latency, median, numbers};
use crate::bench::MODELS;
use crate::bench::pages::Pages;
use crate::bench::setting::Bench;

/// How long one page or process runs the model.
const SECONDS_PER_ROUND: &str = "2";

/// The sides, in the order in which they take turns.
const SIDES: [&str; 2] = ["onnxruntime", "pannier"];

/// A page's file of the model, for each side.
const FILES: [&str; 2] = [".onnx", ".pannier"];

/// That of the quantized model, which only visits are timed with.
const QUANTIZED: &str = "-quantized.pannier";

/// First visit and a later one, over a slow network and over a fast one: the names that `benches/web/drive.mjs` gives.
const SLOW_VISITS: [&str; 2] = ["slow_cold", "slow_cached"];
const VISITS: [&str; 4] = ["slow_cold", "slow_cached", "fast_cold", "fast_cached"];

/// Figures of every model.
pub fn models(bench: &Bench, pages: &Pages, rounds: u32) -> Result<Vec<Value>> {
    MODELS.iter().map(|model| one(bench, pages, model, rounds).with_context(|| (*model).to_owned())).collect()
}

fn one(bench: &Bench, pages: &Pages, model: &str, rounds: u32) -> Result<Value> {
    let mut found = SIDES.map(|side| (side, Vec::new(), Vec::new()));
    let mut quantized = Vec::new();
    for round in 1..=rounds {
        eprintln!("  {model}, round {round} of {rounds}");
        for ((side, in_browser, in_node), file) in found.iter_mut().zip(FILES) {
            let file = format!("{model}{file}");
            in_browser.push(document(&mut pages.drive(side, model, &file, bench, SECONDS_PER_ROUND))?);
            in_node.push(run_in_node(bench, pages, side, model)?);
        }
        quantized.push(document(&mut pages.drive("pannier", model, &format!("{model}{QUANTIZED}"), bench, "0"))?);
    }
    let mut model = Map::from_iter([("name".to_owned(), json!(model))]);
    for (side, in_browser, in_node) in &found {
        model.insert((*side).to_owned(), json!({ "browser": browser(in_browser)?, "node": node(in_node)? }));
    }
    model.insert("pannier_quantized".to_owned(), json!({ "browser": visits(&quantized, &SLOW_VISITS)? }));
    Ok(model.into())
}

fn run_in_node(bench: &Bench, pages: &Pages, side: &str, model: &str) -> Result<Value> {
    let web = &pages.web;
    let mut command = match side {
        "onnxruntime" => {
            let mut command = web.script("onnxruntime_web.mjs");
            command.arg(&web.packages).arg(bench.onnx(model));
            command
        }
        _ => {
            let mut command = web.script("package.mjs");
            command.arg(&pages.package).arg(bench.bundle(model)).arg(&bench.key);
            command
        }
    };
    document(command.arg(bench.case(model)?).arg(SECONDS_PER_ROUND))
}

fn browser(rounds: &[Value]) -> Result<Value> {
    let mut measured = visits(rounds, &VISITS)?;
    measured["latency_ms"] = latency(rounds)?;
    measured["renderer_peak_bytes"] = json!(median(&numbers(rounds, "renderer_peak_bytes")?)?);
    Ok(measured)
}

fn visits(rounds: &[Value], visits: &[&str]) -> Result<Value> {
    let first_answers: Vec<Value> = rounds.iter().map(|round| round["first_answer_ms"].clone()).collect();
    let first_answer_ms =
        visits.iter().map(|visit| Ok(((*visit).to_owned(), json!(median(&numbers(&first_answers, visit)?)?))));
    Ok(json!({
        "first_answer_ms": Value::Object(first_answer_ms.collect::<Result<_>>()?),
        // The same in every round.
        "download_bytes": rounds.first().context("nothing was measured")?["download_bytes"],
    }))
}

fn node(rounds: &[Value]) -> Result<Value> {
    Ok(json!({
        "first_answer_ms": median(&numbers(rounds, "first_answer_ms")?)?,
        "latency_ms": latency(rounds)?,
        "peak_bytes": median(&numbers(rounds, "peak_bytes")?)?,
    }))
}
