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
        "*Size* is the file's; of ONNX files, in brackets, what `zstd -19` makes of it, since a bundle is compressed. *Right* counts labelled cases. *Cosine* is that of the first output \
         with ONNX Runtime's on the unquantized model, mean and least of all cases. *Latency* is the least of {} rounds of one second, one thread, all sides in turns; *speed-up* is over the same runtime \
         with the unquantized model. Measured on {}; ONNX Runtime {}. Repeat it with `cargo xtask bench --only quantize`.",
        number(results, "rounds")?,
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
        "**{}**\n\n| | size kB | of the ONNX file | right | cosine, mean (least) | latency ms | speed-up | made in s |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|",
        name(model)?
    )?;
    let theirs = number(&unquantized["onnxruntime_latency_ms"], "min")?;
    let ours = number(&unquantized["pannier_latency_ms"], "min")?;
    let right = right(&unquantized["answers"])?;
    writeln!(
        text,
        "| ONNX Runtime, unquantized | {} | 1.00 | {right} | 1 | {} | | |",
        kilobytes(onnx_bytes),
        ms(theirs)
    )?;
    let bundle = number(unquantized, "bundle_bytes")?;
    writeln!(
        text,
        "| Pannier, unquantized | {} | {:.2} | {right} | 1 | {} | | |",
        kilobytes(bundle),
        bundle / onnx_bytes,
        ms(ours)
    )?;
    for (side, before) in [("onnxruntime", theirs), ("pannier", ours)] {
        for made in model[side].as_array().context("a side is missing")? {
            row(text, side, made, onnx_bytes, before)?;
        }
    }
    Ok(())
}

fn row(text: &mut String, side: &str, made: &Value, onnx_bytes: f64, before: f64) -> Result<()> {
    let runtime = if side == "pannier" { "Pannier" } else { "ONNX Runtime" };
    write!(text, "| {runtime}, {}", name(made)?)?;
    let result = &made["result"];
    if let Some(why) = result["refused"].as_str() {
        writeln!(text, " | fails: {} | | | | | | |", why.replace('|', "\\|"))?;
        return Ok(());
    }
    let (bytes, latency) = (number(result, "bytes")?, number(&result["latency_ms"], "min")?);
    let mut size = kilobytes(bytes);
    if let Some(compressed) = result["zstd_19_bytes"].as_f64() {
        size.push_str(&format!(" ({})", kilobytes(compressed)));
    }
    let answers = &result["answers"];
    let seconds = result["seconds"].as_f64().map_or(String::new(), |seconds| format!("{seconds:.1}"));
    writeln!(
        text,
        " | {size} | {:.2} | {} | {:.4} ({:.4}) | {} | {:.2} | {seconds} |",
        bytes / onnx_bytes,
        right(answers)?,
        number(answers, "cosine_mean")?,
        number(answers, "cosine_min")?,
        ms(latency),
        before / latency,
    )?;
    Ok(())
}

fn right(answers: &Value) -> Result<String> {
    let labelled = number(answers, "labelled")?;
    Ok(if labelled == 0.0 { "no labels".to_owned() } else { format!("{} of {labelled}", number(answers, "right")?) })
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.0}", bytes / 1e3)
}
