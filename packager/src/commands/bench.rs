//! `packager bench`: how fast a model loads and runs.

use super::run::{Job, open_session, step};
use crate::args::BenchArgs;
use crate::content::Case;
use crate::measure::Latency;
use crate::printer::Total;
use crate::table::{Table, heading};
use crate::{Context, Error, interrupt, units};
use pannier::{Session, State};
use serde::Serialize;
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
    engine: &'static str,
    threads: u16,
    runs: u32,
    latency_ms: Latency,
    load_ms: f64,
    load: Load,
    peak_bytes: u64,
    weight_bytes: u64,
}

/// The parts of `load_ms`.
#[derive(Serialize)]
struct Load {
    verify_ms: f64,
    read_ms: f64,
    prepare_ms: f64,
    self_test_ms: f64,
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
    let session = open_session(&args.run)?;
    let cases = cases(&job, &session)?;
    let times = measure(args, &session, &cases, context)?;
    // There is at least one run: clap makes sure.
    let latency_ms = Latency::of(&times).unwrap_or(Latency { min: 0.0, median: 0.0, p99: 0.0 });
    let (report, manifest) = (session.report(), session.manifest());
    let document = Document {
        schema: "pannier.dev/bench/v1",
        bundle: args.run.bundle.display().to_string(),
        name: &manifest.name,
        version: &manifest.version,
        engine: report.engine,
        threads: args.run.threads,
        runs: args.runs,
        latency_ms,
        load_ms: report.load.total_ms(),
        load: Load {
            verify_ms: report.load.verify_ms,
            read_ms: report.load.read_ms,
            prepare_ms: report.load.prepare_ms,
            self_test_ms: report.load.self_test_ms,
        },
        peak_bytes: report.memory.weight_bytes.saturating_add(report.memory.peak_bytes),
        weight_bytes: report.memory.weight_bytes,
    };
    if context.json { context.printer.json(&document) } else { context.printer.data(text(&document)) }
}

/// The first cases of the files, read before anything is measured.
fn cases(job: &Job<'_>, session: &Session) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    job.for_each(session, |name, mut feed| {
        for index in 0..feed.len().min(CASES - cases.len().min(CASES)) {
            cases.push(feed.read(index).map_err(|error| Error::from(error).in_file(name))?);
        }
        Ok(())
    })?;
    Ok(cases)
}

fn measure(args: &BenchArgs, session: &Session, cases: &[Case], context: &Context) -> Result<Vec<Duration>, Error> {
    let progress = context.printer.progress("measuring", Total::Steps(u64::from(args.runs)));
    let mut state = State::new();
    let mut times = Vec::new();
    for (index, case) in cases.iter().cycle().take((args.runs.saturating_add(WARM_UP)) as usize).enumerate() {
        interrupt::check()?;
        let start = Instant::now();
        step(session, case, &mut state, false)?;
        if index >= WARM_UP as usize {
            times.push(start.elapsed());
            progress.inc(1);
        }
    }
    Ok(times)
}

fn text(document: &Document<'_>) -> String {
    let mut table = Table::of_fields();
    let Latency { min, median, p99 } = document.latency_ms;
    table.field("engine", document.engine);
    table.field(
        "latency",
        format!(
            "{min:.3} ms min, {median:.3} ms median, {p99:.3} ms p99 of {}",
            units::plural(u64::from(document.runs), "run")
        ),
    );
    let load = &document.load;
    table.field(
        "load",
        format!(
            "{:.1} ms: verify {:.1}, read {:.1}, prepare {:.1}, self-test {:.1}",
            document.load_ms, load.verify_ms, load.read_ms, load.prepare_ms, load.self_test_ms
        ),
    );
    let (peak, weights) = (units::bytes(document.peak_bytes), units::bytes(document.weight_bytes));
    table.field("memory", format!("{peak} at most, {weights} of it weights"));
    format!("{}{}", heading(&format!("{} {}", document.name, document.version)), table.render())
}
