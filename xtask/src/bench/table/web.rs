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

/// What opens pages: the two sides, and this project with models that lose at most one percent by quantization.
const PAGES: [&str; 3] = ["onnxruntime", "pannier", "pannier_quantized"];

fn first_answer(text: &mut String, models: &[Value]) -> Result<()> {
    for (visit, what) in [("slow_cold", "with empty caches, at 10 Mbit/s"), ("slow_cached", "from caches")] {
        visits(text, models, visit, what)?;
        text.push('\n');
    }
    // The caller's blank line follows.
    text.pop();
    Ok(())
}

fn visits(text: &mut String, models: &[Value], visit: &str, what: &str) -> Result<()> {
    let is_cold = visit == "slow_cold";
    let sizes = if is_cold { " (MB, runtime + model)" } else { "" };
    writeln!(
        text,
        "| s{sizes} from opening a page to its first answer, {what} | onnxruntime-web | Pannier | times as fast | Pannier, quantized | times \
         as fast |\n|---|---:|---:|---:|---:|---:|"
    )?;
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for model in models {
        let [theirs, ours, quantized] = PAGES.map(|side| &model[side]["browser"]);
        let seconds = |page: &Value| Ok::<f64, anyhow::Error>(number(&page["first_answer_ms"], visit)? / 1e3);
        let cell = |page: &Value| -> Result<String> {
            let seconds = seconds(page)?;
            match is_cold {
                true => Ok(format!("{seconds:.2} ({})", downloads(&page["download_bytes"])?)),
                false => Ok(format!("{seconds:.2}")),
            }
        };
        let mut cells = vec![name(model)?.to_owned(), cell(theirs)?];
        for (page, ratios) in [ours, quantized].into_iter().zip(&mut ratios) {
            let ratio = seconds(theirs)? / seconds(page)?;
            ratios.push(ratio);
            cells.extend([cell(page)?, format!("{ratio:.2}")]);
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    let [ours, quantized] = ratios.map(|ratios| geometric_mean(&ratios));
    writeln!(text, "| geometric mean | | | {ours:.2} | | {quantized:.2} |")?;
    Ok(())
}

fn downloads(download: &Value) -> Result<String> {
    let [runtime, model] = [number(download, "runtime")?, number(download, "model")?].map(|bytes| bytes / 1e6);
    Ok(format!("{runtime:.2} + {model:.2}"))
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
        "Measured on: {}. {}, Node {}, onnxruntime-web {}, {}. One thread, {} rounds in which the two took turns; all but latency are \
         medians.",
        machine(results)?,
        string(results, "browser")?,
        string(web, "node")?,
        string(web, "onnxruntime_web")?,
        string(&results["versions"], "rustc")?,
        number(results, "rounds")?,
    )?;
    Ok(())
}
