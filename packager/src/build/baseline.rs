//! The baseline: what inputs and outputs look like on the calibration data, for telemetry to compare with.

use super::cases::Runner;
use crate::content::CaseFile;
use crate::error::Error;
use crate::interrupt;
use pannier_bundle::manifest::Port;
use pannier_engine::{EngineError, Tensor, TensorView};
use pannier_telemetry::baseline::BaselineBuilder;

/// Runs the cases in the order of the file, as a stream would come, and encodes what their values look like.
///
/// # Errors
/// Those of reading a case and of running it; [`Error::Interrupted`].
pub fn measure(
    file: &mut CaseFile,
    runner: &mut Runner<'_>,
    ports: (&[Port], &[Port]),
    failed: impl Fn(EngineError) -> Error,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<u8>, Error> {
    let mut builder = BaselineBuilder::new(ports.0, ports.1);
    let count = file.len().min(BaselineBuilder::MAX_RUNS);
    for index in 0..count {
        interrupt::check()?;
        let (inputs, outputs) = runner.run(&file.read(index)?).map_err(&failed)?;
        builder.add(&views(&inputs), &views(&outputs));
        progress(index as u64 + 1, count as u64);
    }
    let baseline = builder.finish();
    Ok(if baseline.tensors.is_empty() { Vec::new() } else { baseline.encode() })
}

fn views(tensors: &[Tensor]) -> Vec<TensorView<'_>> {
    tensors.iter().map(Tensor::view).collect()
}
