//! `packager bench`: how fast a model loads and runs.

use super::run::{Job, step};
use crate::args::BenchArgs;
use crate::content::Case;
use crate::loaded::{Loaded, Memory, Place};
use crate::measure::Latency;
use crate::printer::Total;
use crate::table::{Table, heading};
use crate::telemetry::Telemetry;
use crate::{Context, Error, interrupt, units};
use pannier::State;
use serde::{Serialize, Serializer};
use std::time::{Duration, Instant};

/// Most cases that are kept in memory; the runs go round them.
const CASES: usize = 64;

/// Runs before the measured ones.
const WARM_UP: u32 = 3;

/// `pannier.dev/bench/v1`
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    bundle: String,
    name: &'a str,
    version: &'a str,
    #[serde(flatten)]
    place: Place,
    threads: u16,
    runs: u32,
    latency_ms: Latency,
    /// Until an instance of the sandbox is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_ms: Option<Latency>,
    load_ms: f64,
    #[serde(serialize_with = "parts")]
    load: Vec<(&'static str, f64)>,
    #[serde(flatten)]
    memory: Memory,
}

/// `{"verify_ms": 0.1, ...}`
fn parts<S: Serializer>(parts: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().map(|(part, ms)| (format!("{part}_ms"), ms)))
}

/// Loads the bundle, runs the files a few times to warm up, then measures.
///
/// # Errors
/// Those of `packager run`.
pub fn run(args: &BenchArgs, context: &Context) -> Result<(), Error> {
    let job = Job::new(&args.run)?;
    if args.run.output.is_some() {
        return Err(Error::usage("bench writes no outputs; use `packager run`"));
    }
    if args.run.threads > 1 {
        return Err(Error::usage_with_hint("bench measures one run at a time", "leave --threads out"));
    }
    let telemetry = Telemetry::new(args.run.telemetry.as_deref(), &context.printer)?;
    let model = Loaded::open(&args.run, telemetry.is_wanted(), &context.printer)?;
    let cases = cases(&job, &model)?;
    let times = telemetry.send(&model, &args.run, || measure(args, &model, &cases, context))?;
    let Times { runs, instances } = times;
    // There is at least one run: clap makes sure.
    let latency_ms = Latency::of(&runs).unwrap_or(Latency { min: 0.0, median: 0.0, p99: 0.0 });
    let (report, manifest) = (model.report(), model.manifest());
    let document = Document {
        schema: "pannier.dev/bench/v1",
        bundle: args.run.bundle.display().to_string(),
        name: &manifest.name,
        version: &manifest.version,
        place: report.place,
        threads: args.run.threads,
        runs: args.runs,
        latency_ms,
        instance_ms: Latency::of(&instances),
        load_ms: report.load.iter().map(|(_, ms)| ms).sum(),
        load: report.load,
        memory: report.memory,
    };
    if context.json { context.printer.json(&document) } else { context.printer.data(text(&document)) }
}

/// The first cases of the files, read before anything is measured.
fn cases(job: &Job<'_>, model: &Loaded) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    job.for_each(model, |name, mut feed| {
        for index in 0..feed.len().min(CASES - cases.len().min(CASES)) {
            cases.push(feed.read(index).map_err(|error| Error::from(error).in_file(name))?);
        }
        Ok(())
    })?;
    Ok(cases)
}

/// What was measured, without the runs to warm up.
#[derive(Default)]
struct Times {
    runs: Vec<Duration>,
    /// As many as runs in the sandbox, none natively.
    instances: Vec<Duration>,
}

fn measure(args: &BenchArgs, model: &Loaded, cases: &[Case], context: &Context) -> Result<Times, Error> {
    let progress = context.printer.progress("measuring", Total::Steps(u64::from(args.runs)));
    let mut state = State::new();
    let mut times = Times::default();
    for (index, case) in cases.iter().cycle().take((args.runs.saturating_add(WARM_UP)) as usize).enumerate() {
        interrupt::check()?;
        let start = Instant::now();
        step(model, case, &mut state, false)?;
        let elapsed = start.elapsed();
        let ready = model.time_to_ready()?;
        if index >= WARM_UP as usize {
            times.runs.push(elapsed);
            times.instances.extend(ready);
            progress.inc(1);
        }
    }
    Ok(times)
}

fn text(document: &Document<'_>) -> String {
    let mut table = Table::of_fields();
    let runs = units::plural(u64::from(document.runs), "run");
    table.field("engine", document.place.to_string());
    match document.instance_ms {
        None => table.field("latency", format!("{} of {runs}", three(document.latency_ms))),
        Some(instance_ms) => {
            table.field("latency", format!("{} of {runs}, each in a fresh instance", three(document.latency_ms)));
            table.field("instance", format!("{} until one is ready, model and all", three(instance_ms)));
        }
    }
    let parts = document.load.iter().map(|(part, ms)| format!("{} {ms:.1}", part.replace('_', "-")));
    let parts = parts.collect::<Vec<_>>().join(", ");
    table.field("load", format!("{:.1} ms: {parts}", document.load_ms));
    let memory = match document.memory {
        Memory::Native { peak_bytes, weight_bytes } => {
            format!("{} at most, {} of it weights", units::bytes(peak_bytes), units::bytes(weight_bytes))
        }
        Memory::Sandboxed { image_bytes, instance_bytes, memory_limit_bytes, .. } => format!(
            "{} in a fresh instance, {} of it shared by all; {} at most",
            units::bytes(instance_bytes),
            units::bytes(image_bytes),
            units::bytes(memory_limit_bytes)
        ),
    };
    table.field("memory", memory);
    format!("{}{}", heading(&format!("{} {}", document.name, document.version)), table.render())
}

/// `0.120 ms min, 0.131 ms median, 0.200 ms p99`
fn three(latency: Latency) -> String {
    let Latency { min, median, p99 } = latency;
    format!("{min:.3} ms min, {median:.3} ms median, {p99:.3} ms p99")
}
