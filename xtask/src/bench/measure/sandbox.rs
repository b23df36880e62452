//! The sandbox against V8, against the native runtimes, and against other ways to isolate a call.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use super::{document, latency};
use crate::bench::MODELS;
use crate::bench::setting::{Bench, Web};
use crate::environment::root;
use crate::shell;

/// The builds of the guest module.
const FLAVOURS: [&str; 2] = ["simd128", "relaxed-simd"];
/// How long one process runs the model.
const SECONDS_PER_ROUND: &str = "1";
/// How many threads serve at once.
const THREADS: &str = "2";

/// What compiling the guest costs, and what is then ready to be used by everything below.
pub fn compiling(bench: &Bench) -> Result<Value> {
    let mut flavours = Map::new();
    for flavour in FLAVOURS {
        eprintln!("  compiling the guest, {flavour}");
        let figures = document(bench.program("sandbox_compile").arg(bench.sandbox_cache()).arg(flavour))?;
        flavours.insert(flavour.to_owned(), figures);
    }
    Ok(flavours.into())
}

/// Figures of every model.
pub fn models(bench: &Bench, web: &Web, rounds: u32) -> Result<Vec<Value>> {
    for flavour in FLAVOURS {
        let validates = shell::output(web.script("pannier.mjs").arg(guest(flavour)).arg("--validate"))?;
        ensure!(validates.trim() == "true", "this version of Node does not validate {}", guest(flavour).display());
    }
    MODELS.iter().map(|model| one(bench, web, model, rounds).with_context(|| (*model).to_owned())).collect()
}

fn one(bench: &Bench, web: &Web, model: &str, rounds: u32) -> Result<Value> {
    eprintln!("  {model}, instances");
    let instances = document(bench.program_on("sandbox_instances", model).arg(bench.sandbox_cache()))?;
    let (mut latencies, mut throughputs) = (Sides::default(), Sides::default());
    for round in 1..=rounds {
        eprintln!("  {model}, round {round} of {rounds}");
        one_round_of_latency(bench, web, model, &mut latencies)?;
        one_round_of_throughput(bench, model, &mut throughputs)?;
    }
    Ok(json!({
        "name": model,
        "instances": instances,
        "latency_ms": latencies.each(latency)?,
        "runs_per_second": throughputs.each(best_throughput)?,
    }))
}

/// The module that V8 runs: the same code that the sandbox compiles.
fn guest(flavour: &str) -> PathBuf {
    root().join("wasm/guest/dist").join(format!("pannier-guest-{flavour}.wasm"))
}

fn one_round_of_latency(bench: &Bench, web: &Web, model: &str, sides: &mut Sides) -> Result<()> {
    sides.add("native", document(bench.program_on("session", model).args([SECONDS_PER_ROUND, "1", "compared"]))?);
    let case = bench.case(model)?;
    for flavour in FLAVOURS {
        let mut wasmtime = bench.program_on("sandbox_session", model);
        wasmtime.arg(bench.sandbox_cache()).args([flavour, SECONDS_PER_ROUND]);
        sides.add(&format!("wasmtime_{flavour}"), document(&mut wasmtime)?);

        let mut v8 = web.script("pannier.mjs");
        v8.arg(guest(flavour)).arg(bench.bundle(model)).arg(&bench.key).arg(&case).arg(SECONDS_PER_ROUND);
        sides.add(&format!("v8_{flavour}"), document(&mut v8)?);
    }
    let mut onnxruntime = web.script("onnxruntime_web.mjs");
    onnxruntime.arg(&web.packages).arg(bench.onnx(model)).arg(&case).arg(SECONDS_PER_ROUND);
    sides.add("onnxruntime_web", document(&mut onnxruntime)?);
    Ok(())
}

fn one_round_of_throughput(bench: &Bench, model: &str, sides: &mut Sides) -> Result<()> {
    let mut peer = bench.peer();
    peer.arg("throughput").arg(bench.onnx(model)).arg(bench.evaluation(model)).args([SECONDS_PER_ROUND, THREADS]);
    sides.add("onnxruntime", document(&mut peer)?);
    for how in ["native", "sandbox-kept", "sandbox"] {
        let mut ours = bench.program_on("throughput", model);
        ours.arg(bench.sandbox_cache()).args([SECONDS_PER_ROUND, THREADS, how]);
        sides.add(how, document(&mut ours)?);
    }
    Ok(())
}

/// The round that other work on the machine disturbed least.
fn best_throughput(rounds: &[Value]) -> Result<Value> {
    let mut best = 0.0_f64;
    for round in rounds {
        let runs = round["runs"].as_f64().context("`runs` is missing")?;
        best = best.max(runs / round["seconds"].as_f64().context("`seconds` is missing")?);
    }
    Ok(best.into())
}

/// The documents of each side, in the order in which they came.
#[derive(Default)]
struct Sides(Vec<(String, Vec<Value>)>);

impl Sides {
    fn add(&mut self, side: &str, document: Value) {
        match self.0.iter_mut().find(|(name, _)| name == side) {
            Some((_, documents)) => documents.push(document),
            None => self.0.push((side.to_owned(), vec![document])),
        }
    }

    fn each(&self, summary: impl Fn(&[Value]) -> Result<Value>) -> Result<Value> {
        let named = self.0.iter().map(|(name, documents)| Ok((name.clone(), summary(documents)?)));
        Ok(Value::Object(named.collect::<Result<Map<_, _>>>()?))
    }
}
