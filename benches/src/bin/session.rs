//! Loads a bundle, runs its first evaluation case again and again on one thread, and prints JSON.
//! The counterpart of `xtask/python/peer.py onnxruntime`, step by step.

use anyhow::Result;
use pannier::{Options, Session};
use pannier_benches::measure::{latencies_ms, milliseconds};
use pannier_benches::{memory, model::Model};
use std::time::Instant;

fn main() -> Result<()> {
    let (model, [seconds]) = Model::from_arguments(["SECONDS"])?;
    memory::reset_peak()?;
    let resident = memory::resident_bytes()?;

    let started = Instant::now();
    let session = Session::open(&model.path, &model.trust, &Options::default())?;
    let load = started.elapsed();

    model.case.check(&session.run(&model.case.inputs)?)?;
    let latency_ms = latencies_ms(seconds.parse()?, || {
        session.run(&model.case.inputs)?;
        Ok(())
    })?;
    let report = session.report();
    let times = report.load;
    let document = serde_json::json!({
        "engine": report.engine,
        "load_ms": milliseconds(load),
        "load_steps_ms": {
            "verify": times.verify_ms,
            "read": times.read_ms,
            "prepare": times.prepare_ms,
            "self_test": times.self_test_ms,
        },
        "latency_ms": latency_ms,
        "resident_before_bytes": resident,
        "peak_bytes": memory::peak_bytes()?,
    });
    println!("{document}");
    Ok(())
}
