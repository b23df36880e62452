//! Makes instances of a loaded bundle and prints JSON: how long it takes until one is ready, with its model loaded and prepared, what
//! it holds, and what its first run costs; beside it, the other ways to a model that is ready and has memory of its own.

use anyhow::{Context as _, Result, ensure};
use pannier::Session;
use pannier_benches::measure::{milliseconds, percentile};
use pannier_benches::memory::{page_faults, page_table_bytes, private_bytes};
use pannier_benches::model::{Model, sandbox, untested};
use pannier_wasmtime::{LoadOptions, Sandbox, SandboxedModel};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Instances made and dropped one after the other.
const MADE: usize = 2000;
/// How long instances are made that also run once: the next one gets the memory that a run has written to.
const MEASURED_WITH_RUN: Duration = Duration::from_secs(2);
/// Instances that live at the same time, whose memory is looked at.
const LIVE: usize = 16;
/// How often each of the other ways is measured.
const REPEATED: usize = 7;

fn main() -> Result<()> {
    let (model, [cache]) = Model::from_arguments(["CACHE"])?;
    let sandbox = sandbox(&cache, "auto")?;
    let bytes = model.bytes()?;
    let from_scratch = from_scratch(&sandbox, Path::new(&cache), &bytes, &model)?;
    let loaded = sandbox.load(&bytes, &model.trust, &LoadOptions::default())?;
    let document = json!({
        "ready_ms": ready(&loaded)?,
        "ready_after_run_ms": ready_after_run(&loaded, &model)?,
        "live": live(&loaded, &model)?,
        "sandbox_load_ms": from_scratch,
        "sandbox_load_cached_ms": repeated(|| Ok(sandbox.load(&bytes, &model.trust, &LoadOptions::default())?))?,
        "session_ms": repeated(|| Ok(Session::from_source(bytes.as_slice(), &model.trust, &untested())?))?,
        "process": process()?,
        "arena_bytes": arena_bytes(&bytes, &model)?,
        "input_bytes": model.case.inputs.iter().map(|(_, input)| input.bytes().len()).sum::<usize>(),
        "image_bytes": loaded.report().image_bytes,
        "engine": loaded.report().engine,
    });
    println!("{document}");
    Ok(())
}

/// Instances made and dropped unused.
fn ready(loaded: &SandboxedModel) -> Result<Value> {
    let (mut made, mut dropped) = (Vec::new(), Vec::new());
    for _ in 0..MADE {
        let started = Instant::now();
        let session = loaded.session()?;
        made.push(milliseconds(started.elapsed()));
        let started = Instant::now();
        drop(session);
        dropped.push(milliseconds(started.elapsed()));
    }
    Ok(json!({ "made": spread(&made)?, "dropped": spread(&dropped)? }))
}

/// Instances that run once: what an isolated call consists of.
fn ready_after_run(loaded: &SandboxedModel, model: &Model) -> Result<Value> {
    let (mut made, mut ran, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    let stop = Instant::now() + MEASURED_WITH_RUN;
    while Instant::now() < stop || made.len() < REPEATED {
        let started = Instant::now();
        let mut session = loaded.session()?;
        made.push(milliseconds(started.elapsed()));
        let started = Instant::now();
        session.run(&model.case.inputs)?;
        ran.push(milliseconds(started.elapsed()));
        let started = Instant::now();
        drop(session);
        dropped.push(milliseconds(started.elapsed()));
    }
    Ok(json!({ "made": spread(&made)?, "ran": spread(&ran)?, "dropped": spread(&dropped)? }))
}

/// Instances that live at the same time: memory of each, and what the first two runs cost.
fn live(loaded: &SandboxedModel, model: &Model) -> Result<Value> {
    let before = Memory::now()?;
    let (mut sessions, mut made) = (Vec::new(), Vec::new());
    for _ in 0..LIVE {
        let started = Instant::now();
        sessions.push(loaded.session()?);
        made.push(milliseconds(started.elapsed()));
    }
    let idle = Memory::now()?;
    let (mut times, mut faults) = ([vec![], vec![]], [vec![], vec![]]);
    for session in &mut sessions {
        for (times, faults) in times.iter_mut().zip(&mut faults) {
            let faults_before = page_faults()?;
            let started = Instant::now();
            let outputs = session.run(&model.case.inputs)?;
            times.push(milliseconds(started.elapsed()));
            faults.push((page_faults()? - faults_before) as f64);
            model.case.check(&outputs)?;
        }
    }
    let ran = Memory::now()?;
    let [first, second] = [0, 1].map(|run: usize| {
        anyhow::Ok(json!({ "ms": percentile(&times[run], 50)?, "page_faults": percentile(&faults[run], 50)? }))
    });
    Ok(json!({
        "instances": LIVE,
        // All but the first take a place in the pool that nothing was in yet.
        "made_ms": spread(&made)?,
        "idle": idle.each_since(&before),
        "after_run": ran.each_since(&before),
        "first_run": first?,
        "second_run": second?,
    }))
}

struct Memory {
    private_bytes: u64,
    page_table_bytes: u64,
}

impl Memory {
    fn now() -> Result<Memory> {
        Ok(Memory { private_bytes: private_bytes()?, page_table_bytes: page_table_bytes()? })
    }

    fn each_since(&self, before: &Memory) -> Value {
        let each = |now: u64, before: u64| now.saturating_sub(before) / LIVE as u64;
        json!({
            "private_bytes": each(self.private_bytes, before.private_bytes),
            "page_table_bytes": each(self.page_table_bytes, before.page_table_bytes),
        })
    }
}

/// Loads without an image in the cache: the times of the steps, each the median.
fn from_scratch(sandbox: &Sandbox, cache: &Path, bytes: &[u8], model: &Model) -> Result<Value> {
    let compiled_code = files(cache)?;
    let mut steps: [Vec<f64>; 3] = Default::default();
    for _ in 0..REPEATED {
        for image in files(cache)?.difference(&compiled_code) {
            std::fs::remove_file(image).with_context(|| image.display().to_string())?;
        }
        let loaded = sandbox.load(bytes, &model.trust, &LoadOptions::default())?;
        ensure!(!loaded.report().from_cache, "the model came from the cache");
        let times = loaded.report().load;
        for (step, ms) in steps.iter_mut().zip([times.prepare_ms, times.snapshot_ms, times.total_ms()]) {
            step.push(ms);
        }
    }
    let [prepare, snapshot, total] = steps.map(|step| percentile(&step, 50));
    Ok(json!({ "prepare": prepare?, "snapshot": snapshot?, "total": total? }))
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

/// Processes that load the bundle natively: until the line that says it is ready, and until the end.
fn process() -> Result<Value> {
    let program = std::env::current_exe()?.with_file_name("load_once");
    let (mut ready, mut call) = (Vec::new(), Vec::new());
    for _ in 0..REPEATED {
        let started = Instant::now();
        let mut child =
            Command::new(&program).args(std::env::args_os().skip(1).take(3)).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ready.push(milliseconds(started.elapsed()));
        let status = child.wait()?;
        call.push(milliseconds(started.elapsed()));
        ensure!(line == "ready\n" && status.success(), "{} failed ({status})", program.display());
    }
    Ok(json!({ "ready_ms": percentile(&ready, 50)?, "call_ms": percentile(&call, 50)? }))
}

/// Most bytes of intermediate and output tensors that the model needs at once, as the engine counts them.
fn arena_bytes(bytes: &[u8], model: &Model) -> Result<u64> {
    let session = Session::from_source(bytes, &model.trust, &untested())?;
    session.run(&model.case.inputs)?;
    Ok(session.report().memory.peak_bytes)
}

/// Median time until the thing is there; dropping it is not counted.
fn repeated<T>(mut make: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..REPEATED {
        let started = Instant::now();
        let made = make()?;
        times.push(milliseconds(started.elapsed()));
        drop(made);
    }
    percentile(&times, 50)
}

fn spread(values: &[f64]) -> Result<Value> {
    Ok(json!({
        "count": values.len(),
        "p50": percentile(values, 50)?,
        "p99": percentile(values, 99)?,
        "max": percentile(values, 100)?,
    }))
}
