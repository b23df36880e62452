//! The tables that compare with ONNX Runtime and OpenVINO.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{geometric_mean, latency, machine, ms, name, number, string};

/// The engines, in the order of the columns.
const SIDES: [&str; 3] = ["onnxruntime", "openvino", "pannier"];

/// The tables as Markdown.
pub fn render(results: &Value) -> Result<String> {
    let models = results["models"].as_array().context("no `models`")?;
    let mut text = String::new();
    speed(&mut text, models, |model| model)?;
    text.push_str("\nWith two threads:\n\n");
    speed(&mut text, models, |model| &model["two_threads"])?;
    text.push('\n');
    load(&mut text, models)?;
    text.push('\n');
    size(&mut text, models)?;
    text.push('\n');
    opening(&mut text, models)?;
    text.push('\n');
    provenance(&mut text, results)?;
    Ok(text)
}

/// Latencies of what `sides` takes out of a model's results.
fn speed(text: &mut String, models: &[Value], sides: impl Fn(&Value) -> &Value) -> Result<()> {
    text.push_str(
        "| model | latency ms, least (median): ONNX Runtime | OpenVINO | Pannier | times as fast as ONNX Runtime | as OpenVINO |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let mut ratios = [Vec::new(), Vec::new()];
    for model in models {
        write!(text, "| {}", name(model)?)?;
        let model = sides(model);
        let ours = &model["pannier"];
        for side in SIDES {
            let refused = model[side].is_null();
            let cell = if refused { "does not load".into() } else { latency(&model[side]["latency_ms"])? };
            write!(text, " | {cell}")?;
        }
        for (peer, ratios) in SIDES.into_iter().zip(&mut ratios) {
            if model[peer].is_null() {
                text.push_str(" |");
                continue;
            }
            let ratio = number(&model[peer]["latency_ms"], "min")? / number(&ours["latency_ms"], "min")?;
            ratios.push(ratio);
            write!(text, " | {ratio:.2}")?;
        }
        text.push_str(" |\n");
    }
    let [onnxruntime, openvino] = ratios;
    let means = [geometric_mean(&onnxruntime), geometric_mean(&openvino)];
    writeln!(text, "| geometric mean | | | | {:.2} | {:.2} |", means[0], means[1])?;
    Ok(())
}

fn load(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| model | load ms: ONNX Runtime | OpenVINO | Pannier, without / with self-test | memory MB: ONNX Runtime | OpenVINO | Pannier |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for model in models {
        let [peer, other, ours] = SIDES.map(|side| &model[side]);
        let of_other =
            |figure: &dyn Fn(&Value) -> Result<String>| if other.is_null() { Ok(String::new()) } else { figure(other) };
        let memory = |side: &Value| Ok(format!("{:.1}", number(side, "peak_growth_bytes")? / 1e6));
        writeln!(
            text,
            "| {} | {} | {} | {} / {} | {} | {} | {} |",
            name(model)?,
            ms(number(peer, "load_ms")?),
            of_other(&|side| Ok(ms(number(side, "load_ms")?)))?,
            ms(number(ours, "load_ms")? - number(&ours["load_steps_ms"], "self_test")?),
            ms(number(ours, "load_ms")?),
            memory(peer)?,
            of_other(&memory)?,
            memory(ours)?,
        )?;
    }
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
        "Measured on: {}. ONNX Runtime {}, OpenVINO {} (Python {}), {}. Batch 1, binary32, {} rounds in which the sides took turns; \
         load and memory are medians.",
        machine(results)?,
        string(versions, "onnxruntime")?,
        string(versions, "openvino")?,
        string(versions, "python")?,
        string(versions, "rustc")?,
        number(results, "rounds")?,
    )?;
    Ok(())
}
