//! The table about GPUs.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{machine, ms, name, number, string};

/// The hosts, and the names of the CPU's engine and of the GPU's there.
const HOSTS: [(&str, &str, &str); 2] = [("native", "executor", "burn-wgpu"), ("browser", "cpu", "webgpu")];

/// The table as Markdown.
pub fn render(results: &Value) -> Result<String> {
    let models = results["models"].as_array().context("no `models`")?;
    let mut text = String::from(
        "| model | batch | GFLOP a run | native ms: executor | burn-wgpu, first answer | burn-wgpu | times as fast | in Chromium ms: executor | \
         webgpu, first answer | webgpu | times as fast |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for model in models {
        let giga = number(model, "flops")? / 1e9;
        let mut cells = vec![name(model)?.to_owned(), number(model, "batch")?.to_string(), format!("{giga:.3}")];
        for (host, cpu, gpu) in HOSTS {
            let times = &model[host];
            if times.is_null() {
                cells.extend(["-"; 4].map(str::to_owned));
                continue;
            }
            let [on_cpu, on_gpu] = [number(&times[cpu], "run_ms")?, number(&times[gpu], "run_ms")?];
            cells.extend([
                ms(on_cpu),
                ms(number(&times[gpu], "first_ms")?),
                ms(on_gpu),
                format!("{:.3}", on_cpu / on_gpu),
            ]);
        }
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    text.push('\n');
    provenance(&mut text, results, models)?;
    Ok(text)
}

fn provenance(text: &mut String, results: &Value, models: &[Value]) -> Result<()> {
    let measured = |host: &str| {
        let times = models.iter().map(|model| &model[host]).find(|times| !times.is_null());
        times.with_context(|| format!("nothing was measured: {host}"))
    };
    let (on_host, in_browser) = (measured("native")?, measured("browser")?);
    let [native, browser] = [&on_host["adapter"], &in_browser["adapter"]];
    write!(
        text,
        "Measured on: {}. Natively on {} ({}), in Chromium {} on {} {}; the executor with one thread; the least of {} rounds in which the \
         engines took turns.",
        machine(results)?,
        string(native, "name")?,
        string(native, "driver")?,
        string(in_browser, "browser")?,
        string(browser, "vendor")?,
        string(browser, "architecture")?,
        number(results, "rounds")?,
    )?;
    text.push_str(
        " A dash: refused, for more memory than the bundle's envelope allows; or not tried, after a smaller batch that took a minute until \
         its first answer.",
    );
    if [(native, "is_software"), (browser, "isSoftware")].iter().any(|(adapter, key)| adapter[*key] == true) {
        text.push_str(
            " **An adapter is a program on the CPU: its columns say what such an adapter costs, and nothing of GPUs.**",
        );
    }
    text.push('\n');
    Ok(())
}
