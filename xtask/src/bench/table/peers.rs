//! The tables that compare with ONNX Runtime.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{geometric_mean, latency, machine, ms, name, number, string};

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
            latency(&peer["latency_ms"])?,
            latency(&ours["latency_ms"])?,
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
    let versions = &results["versions"];
    writeln!(
        text,
        "Measured on: {}. ONNX Runtime {} (Python {}), tract {}, {}. One thread, batch 1, {} rounds in which the two took turns; load and \
         memory are medians.",
        machine(results)?,
        string(versions, "onnxruntime")?,
        string(versions, "python")?,
        string(versions, "tract")?,
        string(versions, "rustc")?,
        number(results, "rounds")?,
    )?;
    Ok(())
}
