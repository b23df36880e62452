//! The table in README.md, made from the kept results.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

const BEGIN: &str = "<!-- bench: made by `cargo xtask bench` from benches/results/peers.json; do not edit -->\n";
const END: &str = "<!-- /bench -->";

/// The text with a fresh table between the markers.
pub fn insert(text: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("README.md lacks the marker before the table")?;
    let (_, after) = rest.split_once(END).context("README.md lacks the marker behind the table")?;
    let table = render(&super::read_results()?)?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// The tables as Markdown.
pub fn render(results: &Value) -> Result<String> {
    let models = results["models"].as_array().context("no `models`")?;
    let mut text = String::new();
    speed(&mut text, models)?;
    text.push('\n');
    size(&mut text, models)?;
    text.push('\n');
    opening(&mut text, models)?;
    text.push('\n');
    provenance(&mut text, results)?;
    Ok(text)
}

fn speed(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| model | latency ms, least (median): ONNX Runtime | Pannier on tract | times as fast | load ms: ONNX Runtime | Pannier, without / with self-test | memory MB: ONNX Runtime | Pannier |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut ratios = Vec::new();
    for model in models {
        let (peer, ours) = (&model["onnxruntime"], &model["pannier"]);
        let ratio = number(&peer["latency_ms"], "min")? / number(&ours["latency_ms"], "min")?;
        ratios.push(ratio);
        writeln!(
            text,
            "| {} | {} | {} | {ratio:.2} | {} | {} / {} | {:.1} | {:.1} |",
            name(model)?,
            latency(peer)?,
            latency(ours)?,
            ms(number(peer, "load_ms")?),
            ms(number(ours, "load_ms")? - number(&ours["load_steps_ms"], "self_test")?),
            ms(number(ours, "load_ms")?),
            number(peer, "peak_growth_bytes")? / 1e6,
            number(ours, "peak_growth_bytes")? / 1e6,
        )?;
    }
    writeln!(text, "| geometric mean | | | {:.2} | | | | |", geometric_mean(&ratios))?;
    Ok(())
}

/// The least disturbed run, and the median.
fn latency(side: &Value) -> Result<String> {
    let latency = &side["latency_ms"];
    Ok(format!("{} ({})", ms(number(latency, "min")?), ms(number(latency, "median")?)))
}

fn size(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| model | bytes: `.onnx` | gzip -9 | zstd -19 | signed bundle | bundle / zstd -19 |\n|---|---:|---:|---:|---:|---:|\n",
    );
    let mut ratios = Vec::new();
    for model in models {
        let sizes = &model["size_bytes"];
        let (bundle, zstd) = (number(sizes, "bundle")?, number(sizes, "onnx_zstd_19")?);
        ratios.push(bundle / zstd);
        let (onnx, gzip) = (number(sizes, "onnx")?, number(sizes, "onnx_gzip_9")?);
        writeln!(text, "| {} | {onnx} | {gzip} | {zstd} | {bundle} | {:.3} |", name(model)?, bundle / zstd)?;
    }
    writeln!(text, "| geometric mean | | | | | {:.3} |", geometric_mean(&ratios))?;
    Ok(())
}

fn opening(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| opening a bundle | content MB | peak memory beyond the content, MB | MB/s with zstd | MB/s with ruzstd |\n|---|---:|---:|---:|---:|\n",
    );
    for model in models {
        let opening = &model["opening"];
        let content = number(opening, "content_bytes")?;
        writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.0} | {:.0} |",
            name(model)?,
            content / 1e6,
            (number(opening, "peak_growth_bytes")? - content) / 1e6,
            number(opening, "zstd_mb_per_s")?,
            number(opening, "ruzstd_mb_per_s")?,
        )?;
    }
    Ok(())
}

fn provenance(text: &mut String, results: &Value) -> Result<()> {
    let (machine, versions) = (&results["machine"], &results["versions"]);
    let simd: Vec<&str> = machine["simd"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    writeln!(
        text,
        "Measured on: {}, {} logical cores, {:.0} GB, {} ({}). ONNX Runtime {} (Python {}), tract {}, {}. One thread, batch 1, {} rounds \
         in which the two took turns; load and memory are medians.",
        string(machine, "processor")?,
        number(machine, "logical_cores")?,
        number(machine, "memory_bytes")? / 1e9,
        string(machine, "system")?,
        simd.join(", "),
        string(versions, "onnxruntime")?,
        string(versions, "python")?,
        string(versions, "tract")?,
        string(versions, "rustc")?,
        number(results, "rounds")?,
    )?;
    Ok(())
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
