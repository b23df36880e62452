//! What a model takes: `cargo run --release -p pannier-executor --example footprint -- ocr-rec [--shared]`.
//!
//! Prints the time from opening the bundle's file to a plan (verify, decompress, prepare), and bytes: weights as stored, weights as
//! held after two runs, the arena, and how far the resident memory of this process rose above what it was before, at its
//! peak and at the end. With `--shared` the program is kept until it is prepared, as by a caller that may need it for another engine.
//! Linux only.

#[path = "../tests/support/mod.rs"]
mod support;

use pannier_bundle::FileSource;
use pannier_engine::{Prepared, RunBudget, TensorView};
use pannier_executor::Executor;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let shared = arguments.iter().any(|argument| argument == "--shared");
    let Some(name) = arguments.iter().find(|argument| !argument.starts_with("--")) else {
        return eprintln!("usage: footprint MODEL [--shared]");
    };
    let (bundle, file) = match support::model(name) {
        Ok(paths) => paths,
        Err(reason) => return eprintln!("{reason}"),
    };
    let case = support::cases(&file, 1).remove(0);
    let executor = Executor::new();
    // Writing 5 sets the peak to what is resident now.
    let reset = std::fs::write("/proc/self/clear_refs", "5");
    let before = resident("VmRSS:");
    let started = Instant::now();
    let program = support::program_of(FileSource::open(&bundle).expect("the bundle is there"));
    let read_ms = started.elapsed().as_secs_f64() * 1e3;
    let graph = program.graph.clone();
    let stored: usize = program.sections.iter().map(|section| section.len()).sum();
    let budget = RunBudget::default();
    let prepared = if shared { executor.compile(&program, &budget) } else { executor.compile_owned(program, &budget) };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return eprintln!("{name}: {error}"),
    };
    let prepared_ms = started.elapsed().as_secs_f64() * 1e3;
    let inputs: Vec<TensorView<'_>> =
        graph.body.inputs.iter().map(|input| case.inputs[graph.value_name(input.value)].view()).collect();
    for _ in 0..2 {
        if let Err(error) = prepared.run(&inputs, &budget) {
            return eprintln!("{name}: {error}");
        }
    }
    let plan = prepared.explain().expect("it ran");
    let (held, arena) = (prepared.memory().weight_bytes, plan.arena_bytes);
    let rise = |of: &str| resident(of).saturating_sub(before);
    let (peak, end) = (rise("VmHWM:"), rise("VmRSS:"));
    let bound = stored as u64 + arena;
    println!(
        "{name}: stored {} KB, held {} KB, arena {} KB; peak {} KB ({:.2} of stored + arena), end {} KB ({:.2}){}; \
         read {read_ms:.1} ms, ready {prepared_ms:.1} ms (bound {:.1} ms)",
        stored / 1000,
        held / 1000,
        arena / 1000,
        peak / 1000,
        peak as f64 / bound as f64,
        end / 1000,
        end as f64 / bound as f64,
        if reset.is_err() { ", the peak is that of the whole process" } else { "" },
        10.0 + 4.0 * stored as f64 / 1e6,
    );
}

/// A line of `/proc/self/status`, in bytes.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0) * 1024
}
