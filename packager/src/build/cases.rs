//! Running the model on cases while it is built: from files, or made up.

use super::engines::Engines;
use super::golden;
use crate::content::Case;
use crate::error::Error;
use crate::interrupt::{self, OnCtrlC};
use pannier_bundle::manifest::{Content, DType, Dim, Port};
use pannier_engine::{Deadline, EngineError, Prepared, RunBudget, STD_CLOCK, Tensor, Watch};
use std::collections::BTreeMap;
use std::time::Duration;

/// A case that may become a golden one: inputs and answers in the graph's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Name of the case.
    pub name: String,
    /// Inputs as they went in, state included.
    pub inputs: Vec<Tensor>,
    /// The file's reference answers; the engine's where the file has none.
    pub outputs: Vec<Tensor>,
}

/// What one run may take while a bundle is built. A model is a program by somebody else: it may want too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Bytes of intermediate results.
    pub memory_bytes: u64,
    /// Time.
    pub deadline: Duration,
}

impl RunLimits {
    /// For inputs that somebody gave.
    pub const GIVEN: RunLimits = RunLimits { memory_bytes: 4 << 30, deadline: Duration::from_secs(600) };
    /// For made-up inputs: nobody would miss them.
    const MADE_UP: RunLimits = RunLimits { memory_bytes: 1 << 30, deadline: Duration::from_secs(10) };
}

/// Runs cases one after the other, feeding state back where a case has none of its own.
pub struct Runner<'a> {
    prepared: &'a dyn Prepared,
    limits: RunLimits,
    inputs: &'a [Port],
    outputs: &'a [Port],
    state: BTreeMap<String, Tensor>,
}

impl<'a> Runner<'a> {
    /// A runner that starts with state of zeros.
    pub fn new(prepared: &'a dyn Prepared, limits: RunLimits, inputs: &'a [Port], outputs: &'a [Port]) -> Self {
        Runner { prepared, limits, inputs, outputs, state: BTreeMap::new() }
    }

    /// Runs one case. Gives what went in and what came out, in the graph's order.
    ///
    /// # Errors
    /// [`EngineError::InvalidInput`] if an input is missing; those of [`Prepared::run`], limits included.
    pub fn run(&mut self, case: &Case) -> Result<(Vec<Tensor>, Vec<Tensor>), EngineError> {
        let inputs = self.inputs.iter().map(|port| self.input(port, case)).collect::<Result<Vec<_>, _>>()?;
        let outputs = run(self.prepared, &inputs, self.limits)?;
        for port in self.inputs {
            let Content::State { output } = &port.content else { continue };
            let next = self.outputs.iter().position(|other| other.name == *output).and_then(|index| outputs.get(index));
            if let Some(next) = next {
                self.state.insert(port.name.clone(), next.clone());
            }
        }
        Ok((inputs, outputs))
    }

    fn input(&self, port: &Port, case: &Case) -> Result<Tensor, EngineError> {
        if let Some((_, tensor)) = case.inputs.iter().find(|(name, _)| *name == port.name) {
            return Ok(tensor.clone());
        }
        if let Some(carried) = self.state.get(&port.name) {
            return Ok(carried.clone());
        }
        let missing = |found: String| EngineError::InvalidInput {
            name: port.name.clone(),
            expected: format!("{} {}", port.dtype.name(), crate::units::shape(&port.shape)),
            found,
        };
        match port.content {
            Content::State { .. } => zeros(port).map_err(|error| missing(error.to_string())),
            _ => Err(missing("nothing".to_owned())),
        }
    }
}

fn zeros(port: &Port) -> Result<Tensor, pannier_engine::TensorError> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).unwrap_or(usize::MAX),
        Dim::Symbol(_) => 1,
    };
    Tensor::zeros(port.dtype, port.shape.iter().map(size).collect::<Vec<_>>())
}

fn run(prepared: &dyn Prepared, inputs: &[Tensor], limits: RunLimits) -> Result<Vec<Tensor>, EngineError> {
    let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
    let deadline = STD_CLOCK.map(|clock| Deadline::after(limits.deadline, clock));
    let watches = [Some(&OnCtrlC as &dyn Watch), deadline.as_ref().map(|deadline| deadline as &dyn Watch)];
    prepared.run(&views, &RunBudget { memory_bytes: Some(limits.memory_bytes), watch: Some(&watches) })
}

/// The answers that a golden case keeps: the file's where it has them.
pub fn references(case: &Case, outputs: &[Port], answers: Vec<Tensor>) -> Vec<Tensor> {
    let reference = |port: &Port| case.outputs.iter().find(|(name, _)| *name == port.name);
    let chosen = outputs.iter().zip(answers).map(|(port, answer)| reference(port).map_or(answer, |(_, t)| t.clone()));
    chosen.collect()
}

/// Cases of made-up numbers, for a model that nobody gave data for: always the same ones.
///
/// A symbol that stands on a first axis, where the batch is, is 1; others are the smallest of a few sizes that the model
/// accepts.
/// Empty if it accepts none of them, takes too long or too much, or answers with something that is no finite number;
/// then with the last error, if there was one.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn made_up(engines: &mut Engines, ports: &[Port]) -> Result<(Vec<Candidate>, Option<EngineError>), Error> {
    // An engine that turns out to lack something is no refusal while there is another.
    let outcome = engines.with_first(|prepared| match made_up_for(prepared, ports)? {
        (found, Some(error @ EngineError::Unsupported { .. })) if found.is_empty() => Err(error.into()),
        outcome => Ok(outcome),
    });
    match outcome {
        Err(Error::Engine(error @ EngineError::Unsupported { .. })) => Ok((Vec::new(), Some(error))),
        outcome => outcome,
    }
}

fn made_up_for(prepared: &dyn Prepared, ports: &[Port]) -> Result<(Vec<Candidate>, Option<EngineError>), Error> {
    let mut refusal = None;
    let batch: Vec<&Dim> = ports.iter().filter_map(|port| port.shape.first()).collect();
    let sizes: &[usize] = match ports.iter().any(|port| port.shape.iter().any(|dim| matches!(dim, Dim::Symbol(_)))) {
        true => &[1, 4, 16, 32, 64, 224, 320],
        false => &[1],
    };
    for size in sizes {
        let mut found = Vec::new();
        for seed in 0..2 {
            let Some(inputs) = ports.iter().map(|port| random(port, &batch, *size, seed)).collect::<Option<Vec<_>>>()
            else {
                break;
            };
            let outputs = run(prepared, &inputs, RunLimits::MADE_UP);
            interrupt::check()?;
            match outputs {
                Ok(outputs) if outputs.iter().all(|output| golden::is_finite(output) && !output.is_empty()) => {
                    found.push(Candidate { name: format!("random-{seed}"), inputs, outputs });
                }
                Ok(_) => {}
                // A larger size would not take less.
                Err(error @ (EngineError::MemoryBudget { .. } | EngineError::Interrupted { .. })) => {
                    return Ok((found, Some(error)));
                }
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            }
        }
        if !found.is_empty() {
            return Ok((found, None));
        }
    }
    Ok((Vec::new(), refusal))
}

/// Most elements of a made-up input.
const MADE_UP_ELEMENTS: usize = 1 << 24;

fn random(port: &Port, batch: &[&Dim], size: usize, seed: u64) -> Option<Tensor> {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        Dim::Symbol(_) if batch.contains(&dim) => Some(1),
        Dim::Symbol(_) => Some(size),
    };
    let shape: Vec<usize> = port.shape.iter().map(dim).collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim))?;
    if count > MADE_UP_ELEMENTS {
        return None;
    }
    let mut state = port.name.bytes().fold(seed, |state, byte| mix(state ^ u64::from(byte)));
    let mut bits = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(state)
    };
    if port.dtype == DType::Bool {
        return Tensor::from_bools(shape, &(0..count).map(|_| bits() & 1 == 1).collect::<Vec<_>>()).ok();
    }
    let is_float = matches!(port.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64);
    let values: Vec<f32> = (0..count)
        .map(|_| match is_float {
            // In [-1, 1), in steps of 2^-8: exact in every type, and small in the file.
            true => (bits() >> 55) as f32 / 256.0 - 1.0,
            // An index into something of unknown length.
            false => (bits() & 1) as f32,
        })
        .collect();
    crate::content::numbers::tensor(port, shape, &values).ok()
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(dtype: DType, shape: Vec<Dim>) -> Port {
        Port { name: "x".into(), dtype, shape, description: String::new(), content: Content::Tensor }
    }

    #[test]
    fn made_up_numbers_are_small_exact_and_always_the_same() {
        let batch = Dim::Symbol("batch".into());
        let symbols = || vec![Dim::Symbol("batch".into()), Dim::Symbol("time".into()), Dim::Fixed(2)];
        for dtype in DType::ALL {
            let port = port(*dtype, symbols());
            let tensor = random(&port, &[&batch], 16, 0).unwrap();
            assert_eq!(tensor.shape(), [1, 16, 2]);
            let values = crate::content::numbers::wide(&tensor);
            let is_float = matches!(dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64);
            let (low, high) = if is_float { (-1.0, 1.0) } else { (0.0, 1.0) };
            assert!(values.iter().all(|v| (low..=high).contains(v)), "{dtype:?} {values:?}");
            assert!(values.iter().any(|v| *v != values[0]), "{dtype:?} they differ");
            assert_eq!(random(&port, &[&batch], 16, 0), Some(tensor.clone()), "{dtype:?}");
            assert_ne!(random(&port, &[&batch], 16, 1), Some(tensor), "{dtype:?}");
        }
        assert_eq!(random(&port(DType::F32, vec![Dim::Fixed(u64::MAX), Dim::Fixed(2)]), &[], 1, 0), None);
    }
    #[test]
    fn the_batch_is_one_on_every_axis() {
        let state = port(DType::F32, vec![Dim::Fixed(2), Dim::Symbol("batch".into()), Dim::Symbol("time".into())]);
        let tensor = random(&state, &[&Dim::Symbol("batch".into())], 16, 0).unwrap();
        assert_eq!(tensor.shape(), [2, 1, 16]);
    }
}
