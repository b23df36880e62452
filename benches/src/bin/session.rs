//! Loads a bundle, runs its first evaluation case again and again on so many threads, and prints JSON.
//! `compared` also compares that case's answer with the reference; of a quantized model, whose answers are judged elsewhere, the
//! self-test is enough: `tested`. The counterpart of `xtask/python/peer.py onnxruntime`, step by step.

use anyhow::{Result, bail};
use pannier::{Executor, Options, ParkedThreads, Session};
use pannier_benches::measure::{latencies_ms, milliseconds};
use pannier_benches::{memory, model::Model};
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<()> {
    let (model, [seconds, threads, answers]) = Model::from_arguments(["SECONDS", "THREADS", "compared|tested"])?;
    let options = options(threads.parse()?);
    memory::reset_peak()?;
    let resident = memory::resident_bytes()?;

    let started = Instant::now();
    let session = Session::open(&model.path, &model.trust, &options)?;
    let load = started.elapsed();

    let answer = session.run(&model.case.inputs)?;
    match answers.as_str() {
        "compared" => model.case.check(&answer)?,
        "tested" => {}
        other => bail!("answers are `compared` or `tested`, not `{other}`"),
    }
    // No side holds more than one answer.
    drop(answer);
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

/// The default engines, the executor with a pool if there is more than one thread.
fn options(threads: usize) -> Options {
    let mut options = Options::default();
    if let (2.., Some(first)) = (threads, options.engines.first_mut()) {
        *first = Arc::new(Executor::new().with_pool(Arc::new(ParkedThreads::new(threads))));
    }
    options
}
