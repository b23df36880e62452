//! The tables about browsers.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{geometric_mean, latency, machine, name, number, string};

/// Theirs first, as everywhere.
const SIDES: [&str; 2] = ["onnxruntime", "pannier"];

/// The tables as Markdown.
pub fn render(results: &Value) -> Result<String> {
    let models = results["models"].as_array().context("no `models`")?;
    let mut text = String::new();
    first_answer(&mut text, models)?;
    text.push('\n');
    latencies(&mut text, models)?;
    text.push('\n');
    memory(&mut text, models)?;
    text.push('\n');
    provenance(&mut text, results)?;
    Ok(text)
}

fn first_answer(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| from opening a page to its first answer | download MB, runtime + model: onnxruntime-web | Pannier | s at 10 Mbit/s: onnxruntime-web | Pannier | \
         times as fast | s from caches: onnxruntime-web | Pannier | times as fast |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for model in models {
        let mut cells = vec![name(model)?.to_owned()];
        for side in SIDES {
            let download = &model[side]["browser"]["download_bytes"];
            let [runtime, model] = [number(download, "runtime")?, number(download, "model")?].map(|bytes| bytes / 1e6);
            cells.push(format!("{:.2} ({runtime:.2} + {model:.2})", runtime + model));
        }
        for (visit, ratios) in ["slow_cold", "slow_cached"].into_iter().zip(&mut ratios) {
            let [theirs, ours] = SIDES.map(|side| number(&model[side]["browser"]["first_answer_ms"], visit));
            let (theirs, ours) = (theirs? / 1e3, ours? / 1e3);
            ratios.push(theirs / ours);
            cells.extend([format!("{theirs:.2}"), format!("{ours:.2}"), format!("{:.2}", theirs / ours)]);
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    let [cold, cached] = ratios.map(|ratios| geometric_mean(&ratios));
    writeln!(text, "| geometric mean | | | | | {cold:.2} | | | {cached:.2} |")?;
    Ok(())
}

fn latencies(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| latency ms, least (median) | in Chromium: onnxruntime-web | Pannier | times as fast | in Node: onnxruntime-web | Pannier | times as fast |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for model in models {
        let mut cells = vec![name(model)?.to_owned()];
        for (host, ratios) in ["browser", "node"].into_iter().zip(&mut ratios) {
            let [theirs, ours] = SIDES.map(|side| &model[side][host]["latency_ms"]);
            let ratio = number(theirs, "min")? / number(ours, "min")?;
            ratios.push(ratio);
            cells.extend([latency(theirs)?, latency(ours)?, format!("{ratio:.2}")]);
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    let [browser, node] = ratios.map(|ratios| geometric_mean(&ratios));
    writeln!(text, "| geometric mean | | | {browser:.2} | | | {node:.2} |")?;
    Ok(())
}

fn memory(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| peak memory MB of the whole process | of the page: onnxruntime-web | Pannier | of Node: onnxruntime-web | Pannier |\n\
         |---|---:|---:|---:|---:|\n",
    );
    for model in models {
        let mut cells = vec![name(model)?.to_owned()];
        for (host, key) in [("browser", "renderer_peak_bytes"), ("node", "peak_bytes")] {
            for side in SIDES {
                cells.push(format!("{:.0}", number(&model[side][host], key)? / 1e6));
            }
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

fn provenance(text: &mut String, results: &Value) -> Result<()> {
    let web = &results["web_versions"];
    writeln!(
        text,
        "Measured on: {}. {}, Node {}, onnxruntime-web {}, tract {}, {}. One thread, {} rounds in which the two took turns; all but latency are \
         medians.",
        machine(results)?,
        string(results, "browser")?,
        string(web, "node")?,
        string(web, "onnxruntime_web")?,
        string(&results["versions"], "tract")?,
        string(&results["versions"], "rustc")?,
        number(results, "rounds")?,
    )?;
    Ok(())
}
