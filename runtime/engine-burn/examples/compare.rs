//! Times of the executor, of burn on the CPU and, with the feature `wgpu`, of burn on a GPU, for bundles that are named on the
//! command line: milliseconds of one run, the least of some rounds in which each engine runs once.

use pannier::{Executor, Inputs, Options, Session, Tensor, Trust};
use pannier_engine_burn::Burn;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 5;

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
