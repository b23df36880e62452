//! Loads a bundle, runs its first evaluation case again and again on one thread, and prints JSON.
//! The counterpart of `xtask/python/peer.py onnxruntime`, step by step.

use anyhow::{Context as _, Result, bail};
use pannier::{Inputs, Options, PublicKey, Session, Trust};
use pannier_benches::{cases, memory};
use pannier_bundle::{Bundle, FileSource, Limits};
use std::path::Path;
use std::time::{Duration, Instant};

// As in xtask/python/peer.py.
const WARM_UP_RUNS: usize = 3;
const MIN_RUNS: usize = 5;
const MAX_RUNS: usize = 2000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, key, evaluation, seconds] = arguments.as_slice() else {
        bail!("usage: session BUNDLE KEY.pub EVALUATION.npz SECONDS");
    };
    let trust = Trust::Keys(vec![PublicKey::from_pem(&std::fs::read_to_string(key).context(key.clone())?)?]);
    let manifest =
        Bundle::open(FileSource::open(bundle)?, &Limits::default())?.verify(&trust, None)?.manifest().clone();
    let names = manifest.inputs.iter().map(|port| port.name.as_str());
    let inputs: Inputs = cases::first_case(Path::new(evaluation), names)?.into_iter().collect();
    memory::reset_peak()?;
    let resident = memory::resident_bytes()?;

    let started = Instant::now();
    let session = Session::open(bundle, &trust, &Options::default())?;
    let load = started.elapsed();

    let mut latency_ms = Vec::new();
    for _ in 0..WARM_UP_RUNS {
        session.run(&inputs)?;
    }
    let stop = Instant::now() + Duration::from_secs_f64(seconds.parse()?);
    while latency_ms.len() < MIN_RUNS || (Instant::now() < stop && latency_ms.len() < MAX_RUNS) {
        let start = Instant::now();
        session.run(&inputs)?;
        latency_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let times = session.report().load;
    let document = serde_json::json!({
        "load_ms": load.as_secs_f64() * 1e3,
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
