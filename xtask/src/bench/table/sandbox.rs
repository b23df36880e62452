//! The tables about the sandbox.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{geometric_mean, latency, machine, ms, name, number, string};

pub fn render(results: &Value) -> Result<String> {
    let models = results["models"].as_array().context("no `models`")?;
    let mut text = String::new();
    ready(&mut text, models)?;
    text.push('\n');
    memory(&mut text, models)?;
    text.push('\n');
    against_v8(&mut text, models)?;
    text.push('\n');
    against_others(&mut text, models)?;
    text.push('\n');
    throughput(&mut text, models)?;
    text.push('\n');
    compiling(&mut text, &results["compiling"])?;
    text.push('\n');
    provenance(&mut text, results)?;
    Ok(text)
}

fn ready(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| until a model is ready, isolated | fresh instance µs: median | 99 % | median, the one before has run | median, in a new place | \
         ms: loading in a new instance | native session | process |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for model in models {
        let instances = &model["instances"];
        let made = &instances["ready_ms"]["made"];
        writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} | {} |",
            name(model)?,
            number(made, "p50")? * 1e3,
            number(made, "p99")? * 1e3,
            number(&instances["ready_after_run_ms"]["made"], "p50")? * 1e3,
            number(&instances["live"]["made_ms"], "p50")? * 1e3,
            ms(number(&instances["sandbox_load_ms"], "prepare")?),
            ms(number(instances, "session_ms")?),
            ms(number(&instances["process"], "ready_ms")?),
        )?;
    }
    Ok(())
}

fn memory(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| an instance | shared image MB | own memory KiB: idle | after its runs | arena | inputs | beyond both | first run ms \
         (page faults) | second run ms (page faults) |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for model in models {
        let (instances, live) = (&model["instances"], &model["instances"]["live"]);
        let (after, arena) = (own_bytes(&live["after_run"])?, number(instances, "arena_bytes")?);
        let inputs = number(instances, "input_bytes")?;
        writeln!(
            text,
            "| {} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} |",
            name(model)?,
            number(instances, "image_bytes")? / 1e6,
            own_bytes(&live["idle"])? / 1024.0,
            after / 1024.0,
            arena / 1024.0,
            inputs / 1024.0,
            (after - arena - inputs) / 1024.0,
            run(&live["first_run"])?,
            run(&live["second_run"])?,
        )?;
    }
    Ok(())
}

/// What an instance does not share: pages it wrote to, and its page tables.
fn own_bytes(memory: &Value) -> Result<f64> {
    Ok(number(memory, "private_bytes")? + number(memory, "page_table_bytes")?)
}

fn run(run: &Value) -> Result<String> {
    Ok(format!("{} ({:.0})", ms(number(run, "ms")?), number(run, "page_faults")?))
}

fn against_v8(text: &mut String, models: &[Value]) -> Result<()> {
    let pairs = [("wasmtime_relaxed-simd", "v8_relaxed-simd"), ("wasmtime_simd128", "v8_simd128")];
    text.push_str(
        "| latency ms, least (median) | relaxed SIMD: sandbox | V8 | sandbox / V8 | plain SIMD: sandbox | V8 | sandbox / V8 |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    latencies(text, models, pairs)
}

fn against_others(text: &mut String, models: &[Value]) -> Result<()> {
    // The flavour that a host takes unless it asks for another.
    let pairs = [("wasmtime_simd128", "native"), ("wasmtime_simd128", "onnxruntime_web")];
    text.push_str(
        "| latency ms, least (median) | sandbox | Pannier, native | sandbox / native | onnxruntime-web | sandbox / onnxruntime-web |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    latencies(text, models, pairs)
}

/// Rows of two pairs each: both sides and the ratio of their least disturbed runs. A side that both pairs have is shown once.
fn latencies(text: &mut String, models: &[Value], pairs: [(&str, &str); 2]) -> Result<()> {
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for model in models {
        let (mut cells, mut shown) = (vec![name(model)?.to_owned()], None);
        for ((ours, theirs), ratios) in pairs.into_iter().zip(&mut ratios) {
            let [our_latency, their_latency] = [ours, theirs].map(|side| &model["latency_ms"][side]);
            let ratio = number(our_latency, "min")? / number(their_latency, "min")?;
            ratios.push(ratio);
            if shown.replace(ours) != Some(ours) {
                cells.push(latency(our_latency)?);
            }
            cells.extend([latency(their_latency)?, format!("{ratio:.2}")]);
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    let [first, second] = ratios.map(|ratios| geometric_mean(&ratios));
    let second_side = if pairs[0].0 == pairs[1].0 { "" } else { " |" };
    writeln!(text, "| geometric mean | | | {first:.2} |{second_side} | {second:.2} |")?;
    Ok(())
}

fn throughput(text: &mut String, models: &[Value]) -> Result<()> {
    text.push_str(
        "| runs per second on two threads | ONNX Runtime, in-process | Pannier, in-process | sandbox, an instance per thread | sandbox, a \
         fresh instance per run | in-process / isolated: ONNX Runtime | Pannier |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for model in models {
        let sides = &model["runs_per_second"];
        let isolated = number(sides, "sandbox")?;
        let mut cells = vec![name(model)?.to_owned()];
        for side in ["onnxruntime", "native", "sandbox-kept", "sandbox"] {
            cells.push(ms(number(sides, side)?));
        }
        for (side, ratios) in ["onnxruntime", "native"].into_iter().zip(&mut ratios) {
            let ratio = number(sides, side)? / isolated;
            ratios.push(ratio);
            cells.push(format!("{ratio:.2}"));
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    let [onnxruntime, native] = ratios.map(|ratios| format!("{:.2}", geometric_mean(&ratios)));
    writeln!(text, "| geometric mean | | | | | {onnxruntime} | {native} |")?;
    Ok(())
}

fn compiling(text: &mut String, flavours: &Value) -> Result<()> {
    text.push_str(
        "| making a sandbox | compiling the guest, once per machine, s | guest from the cache, ms |\n|---|---:|---:|\n",
    );
    for (flavour, figures) in flavours.as_object().context("no `compiling`")? {
        let (compiled, cached) = (number(figures, "compiled_ms")? / 1e3, number(figures, "cached_ms")?);
        writeln!(text, "| {flavour} | {compiled:.1} | {} |", ms(cached))?;
    }
    Ok(())
}

fn provenance(text: &mut String, results: &Value) -> Result<()> {
    let (versions, web) = (&results["versions"], &results["web_versions"]);
    writeln!(
        text,
        "Measured on: {}. wasmtime {}, {}, Node {} (V8 {}), onnxruntime-web {}, ONNX Runtime {} (Python {}). Batch 1, {} rounds in \
         which the sides took turns; throughput is that of the best round.",
        machine(results)?,
        string(versions, "wasmtime")?,
        string(versions, "rustc")?,
        string(web, "node")?,
        string(web, "v8")?,
        string(web, "onnxruntime_web")?,
        string(versions, "onnxruntime")?,
        string(versions, "python")?,
        number(results, "rounds")?,
    )?;
    Ok(())
}
