//! The tables in documents, made from the kept results.

mod gpu;
mod peers;
mod quantize;
mod sandbox;
mod web;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Part;

/// The text of a document with fresh tables between the markers.
pub fn insert(document: &str, text: &str) -> Result<String> {
    let mut text = text.to_owned();
    // A part that was never measured has no tables.
    let here = |part: &Part| part.document() == document && part.results_path().exists();
    for part in Part::ALL.into_iter().filter(here) {
        let (marker, file) = (part.marker(), part.results_file());
        let begin =
            format!("<!-- {marker}: made by `cargo xtask bench` from benches/results/{file}; do not edit -->\n");
        let end = format!("<!-- /{marker} -->");
        let (before, rest) =
            text.split_once(&begin).with_context(|| format!("{document} lacks the line `{}`", begin.trim_end()))?;
        let (_, after) = rest.split_once(&end).with_context(|| format!("{document} lacks the line `{end}`"))?;
        text = format!("{before}{begin}\n{}\n{end}{after}", render(part)?);
    }
    Ok(text)
}

/// The tables of one part as Markdown.
pub fn render(part: Part) -> Result<String> {
    let results = part.read_results()?;
    match part {
        Part::Peers => peers::render(&results),
        Part::Quantize => quantize::render(&results),
        Part::Sandbox => sandbox::render(&results),
        Part::Web => web::render(&results),
        Part::Gpu => gpu::render(&results),
    }
}

/// What was measured on.
fn machine(results: &Value) -> Result<String> {
    let machine = &results["machine"];
    let simd: Vec<&str> = machine["simd"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Ok(format!(
        "{}, {} logical cores, {:.0} GB, {} ({})",
        string(machine, "processor")?,
        number(machine, "logical_cores")?,
        number(machine, "memory_bytes")? / 1e9,
        string(machine, "system")?,
        simd.join(", "),
    ))
}

/// The least disturbed run, and the median.
fn latency(latency: &Value) -> Result<String> {
    Ok(format!("{} ({})", ms(number(latency, "min")?), ms(number(latency, "median")?)))
}

fn name(model: &Value) -> Result<&str> {
    string(model, "name")
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("`{key}` is missing in the results"))
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().with_context(|| format!("`{key}` is missing in the results"))
}

/// Three significant digits below 100.
fn ms(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn geometric_mean(ratios: &[f64]) -> f64 {
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (logarithms / ratios.len() as f64).exp()
}
