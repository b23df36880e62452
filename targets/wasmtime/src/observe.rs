//! Recording on behalf of guests, which have neither a clock nor anybody to tell: the host sees what goes in, what comes
//! out, how long it takes and how it fails.

use crate::error::Error;
use crate::report::Report;
use pannier::telemetry::{About, Baseline, BaselineError, Recorder, Run};
use pannier::{Outputs, Tensor, TensorView};
use pannier_bundle::Verified;
use std::sync::Arc;
use std::time::Duration;

/// A recorder for a model that was loaded.
pub(crate) fn recorder(
    verified: &Verified<&[u8]>,
    labels: &[Vec<String>],
    report: &Report,
) -> Result<Arc<Recorder>, Error> {
    let baseline = match verified.section("baseline") {
        Some(_) => Some(Baseline::decode(&verified.read("baseline")?).map_err(undecodable)?),
        None => None,
    };
    let load_ms = report.load.verify_ms
        + report.load.cache_ms
        + report.load.prepare_ms
        + report.load.snapshot_ms
        + report.load.ready_ms;
    let load = Some(Duration::from_secs_f64(load_ms / 1e3));
    let about = About { engine: report.engine.clone(), target: "wasmtime", load };
    Ok(Arc::new(Recorder::new(verified.manifest(), labels, baseline.as_ref(), about)))
}

fn undecodable(error: BaselineError) -> Error {
    let why = match error {
        BaselineError::Decode(why) => why,
        _ => pannier_bundle::DecodeError::Malformed,
    };
    pannier_bundle::Error::Decode { what: "baseline".into(), why }.into()
}

/// Records a run. A state that was left to the guest is not watched, so that any tensor may stand for it.
pub(crate) fn record(
    recorder: &Recorder,
    duration: Duration,
    memory_bytes: usize,
    views: &[Option<TensorView<'_>>],
    outputs: &Result<Outputs, Error>,
) {
    let peak = || u64::try_from(memory_bytes).unwrap_or(u64::MAX);
    let run = Run { duration: Some(duration), queue: None, peak_memory_bytes: Some(&peak) };
    match (outputs, TensorView::from_slice::<u8>(&[0], &[])) {
        (Ok(outputs), Ok(nothing)) => {
            let inputs = views.iter().map(|view| view.unwrap_or(nothing));
            recorder.succeeded(&run, inputs, outputs.iter().map(|(_, tensor)| Tensor::view(tensor)));
        }
        (Err(error), _) => recorder.failed(&run, error.code()),
        (Ok(_), Err(_)) => {}
    }
}
