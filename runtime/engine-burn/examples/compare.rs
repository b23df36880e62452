//! `compare ROUNDS BUNDLE...`: times of the executor, of burn on the CPU and, with the feature `wgpu`, of burn on a GPU, as a line of
//! JSON for each bundle. Milliseconds until the first answer, which is with compiling, and of one run, the least of some rounds in
//! which each engine runs once.

use pannier::{Executor, Inputs, Options, Session, Tensor, Trust};
use pannier_engine_burn::Burn;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: u32 = arguments.next().ok_or("usage: compare ROUNDS BUNDLE...")?.parse()?;
    #[cfg(feature = "wgpu")]
    let gpu = Burn::wgpu(&pannier_engine_burn::GpuOptions::default().with_software())?;
    let engines: Vec<Arc<dyn pannier::Engine>> = vec![
        Arc::new(Executor::new()),
        Arc::new(Burn::flex()),
        #[cfg(feature = "wgpu")]
        Arc::new(gpu.clone()),
    ];
    for path in arguments {
        let bytes = std::fs::read(&path)?;
        let mut sides = Vec::new();
        for engine in &engines {
            // Answers are what tests compare.
            let options = Options { engines: vec![engine.clone()], self_test: false, ..Options::default() };
            let start = Instant::now();
            let session = Session::from_bytes(bytes.clone(), &Trust::AllowUnsigned, &options)?;
            session.run(&zeros(&session)?)?;
            sides.push((session, ms(start), f64::INFINITY));
        }
        for _ in 0..rounds {
            for (session, _, run_ms) in &mut sides {
                let inputs = zeros(session)?;
                let start = Instant::now();
                session.run(&inputs)?;
                *run_ms = run_ms.min(ms(start));
            }
        }
        let times = sides.iter().map(|(session, first_ms, run_ms)| {
            (session.report().engine.to_owned(), json!({ "first_ms": first_ms, "run_ms": run_ms }))
        });
        let mut line = Map::from_iter(times);
        line.insert("bundle".into(), path.into());
        #[cfg(feature = "wgpu")]
        if let Some(adapter) = gpu.adapter() {
            let about = json!({ "name": adapter.name, "driver": adapter.driver, "is_software": adapter.software });
            line.insert("adapter".into(), about);
        }
        println!("{}", serde_json::Value::from(line));
    }
    Ok(())
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Where a size is open: of pictures, which the examples' models take in multiples of 32.
const OPEN: usize = 320;

/// Inputs of the declared types and shapes. An open first size is a batch of one.
fn zeros(session: &Session) -> Result<Inputs<'static>, Box<dyn std::error::Error>> {
    let size = |(axis, dim): (usize, &pannier::Dim)| match dim {
        pannier::Dim::Fixed(size) => usize::try_from(*size).unwrap_or(1),
        pannier::Dim::Symbol(_) if axis == 0 => 1,
        pannier::Dim::Symbol(_) => OPEN,
    };
    let tensors = session.manifest().inputs.iter().map(|port| {
        let shape: Vec<usize> = port.shape.iter().enumerate().map(size).collect();
        Tensor::zeros(port.dtype, shape).map(|tensor| (port.name.clone(), tensor))
    });
    Ok(tensors.collect::<Result<Vec<_>, _>>()?.into_iter().collect())
}
