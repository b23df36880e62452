//! Loads a bundle into the sandbox, runs its first evaluation case again and again in one instance on one thread, and prints JSON.
//! The counterpart of `benches/js/pannier.mjs`, which runs the same module in V8.

use anyhow::Result;
use pannier_benches::measure::{latencies_ms, milliseconds};
use pannier_benches::model::{Model, sandbox};
use pannier_wasmtime::LoadOptions;
use std::time::Instant;

fn main() -> Result<()> {
    let (model, [cache, flavour, seconds]) = Model::from_arguments(["CACHE", "simd128|relaxed-simd", "SECONDS"])?;
    let sandbox = sandbox(&cache, &flavour)?;
    let bytes = model.bytes()?;

    let started = Instant::now();
    let loaded = sandbox.load(&bytes, &model.trust, &LoadOptions::default())?;
    let load = started.elapsed();

    let mut session = loaded.session()?;
    model.case.check(&session.run(&model.case.inputs)?)?;
    let latency_ms = latencies_ms(seconds.parse()?, || {
        session.run(&model.case.inputs)?;
        Ok(())
    })?;
    println!("{}", serde_json::json!({ "load_ms": milliseconds(load), "latency_ms": latency_ms }));
    Ok(())
}
