//! Runs a case on several threads at once for a while and prints JSON. The counterpart of `xtask/python/peer.py throughput`.

use anyhow::{Result, bail};
use pannier::Session;
use pannier_benches::model::{Model, sandbox, untested};
use pannier_wasmtime::LoadOptions;
use std::sync::Barrier;
use std::time::{Duration, Instant};

// As in xtask/python/peer.py.
const WARM_UP_RUNS: usize = 3;

fn main() -> Result<()> {
    let (model, [cache, seconds, threads, how]) =
        Model::from_arguments(["CACHE", "SECONDS", "THREADS", "native|sandbox|sandbox-kept"])?;
    let (seconds, threads) = (Duration::from_secs_f64(seconds.parse()?), threads.parse()?);
    let inputs = &model.case.inputs;
    if how == "native" {
        // One session for all threads: it is shared, and runs change nothing in it.
        let session = Session::open(&model.path, &model.trust, &untested())?;
        model.case.check(&session.run(inputs)?)?;
        return measure(seconds, threads, || Ok(|| Ok(session.run(inputs)?)));
    }
    let loaded = sandbox(&cache, "auto")?.load(&model.bytes()?, &model.trust, &LoadOptions::default())?;
    model.case.check(&loaded.run(inputs)?)?;
    match how.as_str() {
        // A fresh instance for every call.
        "sandbox" => measure(seconds, threads, || Ok(|| Ok(loaded.run(inputs)?))),
        // An instance for every thread.
        "sandbox-kept" => measure(seconds, threads, || {
            let mut session = loaded.session()?;
            Ok(move || Ok(session.run(inputs)?))
        }),
        other => bail!("`{other}` is not a way to run"),
    }
}

/// Runs what each thread made for itself until the time is over, and prints how often all of them did.
fn measure<T, R: FnMut() -> Result<T>>(
    seconds: Duration,
    threads: usize,
    prepare: impl Fn() -> Result<R> + Sync,
) -> Result<()> {
    let gate = Barrier::new(threads + 1);
    let work = || -> Result<u64> {
        let prepared = prepare().and_then(|mut run| {
            (0..WARM_UP_RUNS).try_for_each(|_| run().map(drop))?;
            Ok(run)
        });
        gate.wait();
        let (mut run, stop, mut runs) = (prepared?, Instant::now() + seconds, 0);
        while Instant::now() < stop {
            run()?;
            runs += 1;
        }
        Ok(runs)
    };
    let (runs, elapsed) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        gate.wait();
        let started = Instant::now();
        let runs: Result<Vec<u64>> =
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect();
        (runs, started.elapsed())
    });
    println!("{}", serde_json::json!({ "runs": runs?.iter().sum::<u64>(), "seconds": elapsed.as_secs_f64() }));
    Ok(())
}
