//! Where the time of a model goes: `cargo run --release -p pannier-executor --example profile -- ocr-det [runs]`.
//!
//! Prints milliseconds (the least of all runs) and GFLOP/s of every step, and the total. With `--total` only the total; with `--threads=2`
//! large operators are shared between two threads.

#[path = "../tests/support/mod.rs"]
mod support;

use pannier_engine::{Prepared, RunBudget};
use pannier_executor::{Executor, ParkedThreads};
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let total_only = arguments.iter().any(|argument| argument == "--total");
    let deterministic = arguments.iter().any(|argument| argument == "--deterministic");
    let threads = arguments.iter().find_map(|argument| argument.strip_prefix("--threads=")?.parse().ok()).unwrap_or(1);
    let mut plain = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let Some(name) = plain.next() else {
        return eprintln!("usage: profile MODEL [RUNS] [--total] [--deterministic] [--threads=N]");
    };
    let runs: usize = plain.next().and_then(|runs| runs.parse().ok()).unwrap_or(20);
    let (bundle, file) = match support::model(name) {
        Ok(paths) => paths,
        Err(reason) => return eprintln!("{reason}"),
    };
    let program = support::program(&bundle);
    let executor = if deterministic { Executor::deterministic() } else { Executor::new() };
    let executor = if threads > 1 { executor.with_pool(Arc::new(ParkedThreads::new(threads))) } else { executor };
    let started = Instant::now();
    let prepared = match executor.compile(&program, &RunBudget::default()) {
        Ok(prepared) => prepared,
        Err(error) => return eprintln!("{name}: {error}"),
    };
    let case = support::cases(&file, 1).remove(0);
    let inputs = program.graph.body.inputs.iter().map(|input| &case.inputs[program.graph.value_name(input.value)]);
    let inputs: Vec<_> = inputs.map(|tensor| tensor.view()).collect();
    let answers = match prepared.run(&inputs, &RunBudget::default()) {
        Ok(answers) => answers,
        Err(error) => return eprintln!("{name}: {error}"),
    };
    let ready = started.elapsed();
    let plan = prepared.explain().expect("it ran");
    for (output, answer) in program.graph.body.outputs.iter().zip(&answers) {
        let Some(expected) = case.outputs.get(program.graph.value_name(*output)) else { continue };
        let (difference, decibels) = support::distance(answer, expected);
        println!("{name}: largest difference from the reference {difference:.2e}, signal to noise {decibels:.1} dB");
    }
    let mut least = vec![f64::INFINITY; plan.steps.len()];
    let mut total = f64::INFINITY;
    for _ in 0..runs {
        if !total_only {
            let mut last = Instant::now();
            let mut observer = |index: usize| {
                let now = Instant::now();
                least[index] = least[index].min((now - last).as_secs_f64() * 1e3);
                last = now;
            };
            let _ = prepared.run_observed(&inputs, &RunBudget::default(), &mut observer);
        }
        let started = Instant::now();
        let _ = prepared.run(&inputs, &RunBudget::default());
        total = total.min(started.elapsed().as_secs_f64() * 1e3);
    }
    if !total_only {
        for (step, ms) in plan.steps.iter().zip(&least) {
            let shapes = |list: &[Option<(pannier_engine::DType, Vec<usize>)>]| {
                let shapes: Vec<String> =
                    list.iter().map(|it| it.as_ref().map_or("-".into(), |(_, shape)| format!("{shape:?}"))).collect();
                shapes.join(" ")
            };
            let rate = step.flops as f64 / ms / 1e6;
            println!(
                "{ms:8.4} ms {rate:7.1} GFLOP/s  {:14} {} -> {}  {}  {}",
                step.operator,
                shapes(&step.inputs),
                shapes(&step.outputs),
                step.detail,
                step.name
            );
        }
    }
    let sum = if total_only { String::new() } else { format!(", sum of steps {:.3} ms", least.iter().sum::<f64>()) };
    println!(
        "{name}: {total:.3} ms a run, {} steps{sum}, arena {} KB, weights {} KB, ready after {:.1} ms",
        plan.steps.len(),
        plan.arena_bytes / 1024,
        plan.weight_bytes / 1024,
        ready.as_secs_f64() * 1e3,
    );
}
