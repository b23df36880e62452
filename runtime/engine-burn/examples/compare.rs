//! Times of the executor, of burn on the CPU and, with the feature `wgpu`, of burn on a GPU, for bundles that are named on the
//! command line: milliseconds of one run, the least of some rounds in which each engine runs once.

use pannier::{Executor, Inputs, Options, Session, Tensor, Trust};
use pannier_engine_burn::Burn;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engines: Vec<Arc<dyn pannier::Engine>> = vec![
        Arc::new(Executor::new()),
        Arc::new(Burn::flex()),
        #[cfg(feature = "wgpu")]
        Arc::new(Burn::wgpu(&pannier_engine_burn::GpuOptions::default().with_software())?),
    ];
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let mut sessions = Vec::new();
        for engine in &engines {
            let options = Options { engines: vec![engine.clone()], ..Options::default() };
            sessions.push(Session::from_bytes(bytes.clone(), &Trust::AllowUnsigned, &options)?);
        }
        let mut least_ms = vec![f64::INFINITY; sessions.len()];
        for _ in 0..ROUNDS {
            for (session, least_ms) in sessions.iter().zip(&mut least_ms) {
                let inputs = zeros(session)?;
                let start = Instant::now();
                session.run(&inputs)?;
                *least_ms = least_ms.min(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        for (session, least_ms) in sessions.iter().zip(&least_ms) {
            let report = session.report();
            println!("{path} {}: load {:.0} ms, run {least_ms:.2} ms", report.engine, report.load.total_ms());
        }
    }
    Ok(())
}

/// Inputs of the declared types and shapes; where a size is open, 1.
fn zeros(session: &Session) -> Result<Inputs<'static>, Box<dyn std::error::Error>> {
    let size = |dim: &pannier::Dim| match dim {
        pannier::Dim::Fixed(size) => usize::try_from(*size).unwrap_or(1),
        pannier::Dim::Symbol(_) => 1,
    };
    let tensors = session.manifest().inputs.iter().map(|port| {
        let shape: Vec<usize> = port.shape.iter().map(size).collect();
        Tensor::zeros(port.dtype, shape).map(|tensor| (port.name.clone(), tensor))
    });
    Ok(tensors.collect::<Result<Vec<_>, _>>()?.into_iter().collect())
}
