//! The tables of quantized models.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{machine, ms, name, number, string};

/// The tables as Markdown.
pub fn render(results: &Value) -> Result<String> {
    let mut text = String::new();
    for model in results["models"].as_array().context("no `models`")? {
        one(&mut text, model)?;
        text.push('\n');
    }
    writeln!(
        text,
        "*Size* is the file's; of ONNX files, in brackets, what `zstd -19` makes of it, since a bundle is compressed. *Right* counts labelled cases, *alike* is the share of decisions that are those \
         of the unquantized model: classes, lines of text, speech or none, and of a map of text what both mark of what either marks. *Cosine* is that of the first output \
         with ONNX Runtime's on the unquantized model, mean and least of all cases. *Latency* is the least of rounds of one second, one thread, all sides in turns; *speed-up* is over the same runtime \
         with the unquantized model. Calibrated on the same cases, which judge nothing. Measured on {}; ONNX Runtime {}. Repeat it with `cargo xtask bench --only quantize`.",
        machine(results)?,
        string(&results["versions"], "onnxruntime")?,
    )?;
    Ok(text)
}

fn one(text: &mut String, model: &Value) -> Result<()> {
    let unquantized = &model["unquantized"];
    let onnx_bytes = number(unquantized, "bytes")?;
    writeln!(
        text,
        "**{}**\n\n| | size kB | of the ONNX file | right | alike | cosine, mean (least) | latency ms | speed-up | made in s |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|",
        name(model)?
    )?;
    let right = right(&unquantized["answers"])?;
    let sides =
        [("ONNX Runtime", "onnxruntime", onnx_bytes), ("Pannier", "pannier", number(unquantized, "bundle_bytes")?)];
    for (runtime, side, bytes) in sides {
        let latency = &unquantized[format!("{side}_latency_ms")];
        let (size, share, time) = (kilobytes(bytes), bytes / onnx_bytes, shown(latency));
        writeln!(text, "| {runtime}, unquantized | {size} | {share:.2} | {right} | 1 | 1 | {time} | | |")?;
    }
    for (runtime, side, _) in sides {
        let before = &unquantized[format!("{side}_latency_ms")];
        for made in model[side].as_array().context("a side is missing")? {
            row(text, runtime, made, onnx_bytes, before)?;
        }
    }
    Ok(())
}

fn row(text: &mut String, runtime: &str, made: &Value, onnx_bytes: f64, before: &Value) -> Result<()> {
    write!(text, "| {runtime}, {}", name(made)?)?;
    let result = &made["result"];
    if let Some(why) = result["refused"].as_str() {
        writeln!(text, " | fails: {} | | | | | | | |", why.replace('|', "\\|"))?;
        return Ok(());
    }
    let bytes = number(result, "bytes")?;
    let mut size = kilobytes(bytes);
    if let Some(compressed) = result["zstd_19_bytes"].as_f64() {
        size.push_str(&format!(" ({})", kilobytes(compressed)));
    }
    let answers = &result["answers"];
    let seconds = result["seconds"].as_f64().map_or(String::new(), |seconds| format!("{seconds:.0}"));
    let speed_up = match (before["min"].as_f64(), result["latency_ms"]["min"].as_f64()) {
        (Some(before), Some(after)) => format!("{:.2}", before / after),
        _ => String::new(),
    };
    writeln!(
        text,
        " | {size} | {:.2} | {} | {:.3} | {:.4} ({:.4}) | {} | {speed_up} | {seconds} |",
        bytes / onnx_bytes,
        right(answers)?,
        number(answers, "same")?,
        number(answers, "cosine_mean")?,
        number(answers, "cosine_min")?,
        shown(&result["latency_ms"]),
    )?;
    Ok(())
}

fn right(answers: &Value) -> Result<String> {
    let labelled = number(answers, "labelled")?;
    Ok(if labelled == 0.0 { "no labels".to_owned() } else { format!("{} of {labelled}", number(answers, "right")?) })
}

/// The least disturbed run; nothing where none was timed.
fn shown(latency: &Value) -> String {
    latency["min"].as_f64().map_or("not timed".to_owned(), ms)
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.0}", bytes / 1e3)
}
