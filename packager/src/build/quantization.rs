//! Quantizing a model while its bundle is built.

use super::cases::RunLimits;
use super::ports::Ports;
use super::{Step, run_limits};
use crate::config::Target;
use crate::content::Interface;
use crate::error::Error;
use crate::import::ImportError;
use crate::quantize::prove::Sets;
use crate::quantize::{self, Model, Quantized, Record, Role, Settings, attestation as statement};
use pannier_bundle::manifest::{Quantization, Source};
use pannier_engine::Program;

/// Quantizes on the cases that the target names.
///
/// # Errors
/// Those of reading the cases and of [`quantize::quantize`].
pub fn quantize(
    program: &Program,
    source: &Source,
    ports: &Ports,
    settings: &Settings,
    target: &Target,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Quantized, Error> {
    let interface = Interface { inputs: &ports.inputs, outputs: &ports.outputs, source };
    let sets = Sets::read(target.calibrate.as_deref(), target.evaluate.as_deref(), interface)?;
    let mut report = |stage, done, total| progress(Step::Quantize(stage), done, total);
    quantize::quantize(program, model(ports, run_limits(target)), settings, &sets, &mut report)
}

/// What a quantization has to know of a model.
pub fn model(ports: &Ports, limits: RunLimits) -> Model<'_> {
    Model { inputs: &ports.inputs, outputs: &ports.outputs, labels: &ports.labels, limits }
}

/// What the manifest says of each weight.
pub fn manifest_entries(record: &Record) -> Vec<Quantization> {
    /// Stands for a weight of which nothing was lost.
    const NOTHING_LOST_DB: f32 = 200.0;
    let weights = record.tensors.iter().filter(|tensor| tensor.role == Role::Weight);
    let entry = |tensor: &quantize::TensorRecord| Quantization {
        weight: tensor.tensor.clone(),
        scheme: tensor.scheme.clone(),
        sqnr_db: tensor.sqnr_db.unwrap_or(NOTHING_LOST_DB),
    };
    weights.map(entry).collect()
}

/// The content of the attestation; empty where there is nothing to attest.
///
/// # Errors
/// [`Error::Import`]: the graph cannot be encoded.
pub fn attestation(program: &Program, record: &Record) -> Result<Vec<u8>, Error> {
    let statement = statement::state(program, record).map_err(ImportError::from)?;
    Ok(statement.map(|statement| statement.encode()).unwrap_or_default())
}
