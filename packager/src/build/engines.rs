//! The engines that a session may take, prepared with the model that is being built.

use super::cases::RunLimits;
use crate::error::Error;
use crate::interrupt::OnCtrlC;
use pannier::Options;
use pannier_engine::golden::{self, Golden, Tolerance};
use pannier_engine::{Deadline, EngineError, Prepared, Program, RunBudget, STD_CLOCK, Watch};

/// Engines that run a program, in the order in which sessions take them; at least one.
///
/// They are in deterministic mode: what they compute becomes part of the bundle, whose bytes do not depend on the machine
/// that it is built on.
pub struct Engines {
    prepared: Vec<(&'static str, Box<dyn Prepared>)>,
}

impl Engines {
    /// Prepares a program with each of the engines that can.
    ///
    /// # Errors
    /// [`Error::Engine`]: what the last one lacks, or what it finds wrong. [`Error::Interrupted`].
    pub fn prepare(program: &Program) -> Result<Engines, Error> {
        let budget = RunBudget { memory_bytes: None, watch: Some(&OnCtrlC) };
        let mut prepared = Vec::new();
        let mut refusal = None;
        for engine in Options::deterministic().engines {
            let supported = engine.supports(&program.graph);
            let outcome = supported
                .map_err(|nodes| EngineError::Unsupported { engine: engine.name(), nodes })
                .and_then(|()| engine.prepare(program, &budget));
            match outcome {
                Ok(made) => prepared.push((engine.name(), made)),
                Err(error @ EngineError::Interrupted { .. }) => return Err(error.into()),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) if prepared.is_empty() => Err(error.into()),
            _ => Ok(Engines { prepared }),
        }
    }

    /// Does a piece of work with the first engine. Where that turns out to lack something of the graph only when it runs,
    /// it is given up, and the next one does the work from the start.
    ///
    /// # Errors
    /// Those of the work.
    pub fn with_first<T>(&mut self, mut work: impl FnMut(&dyn Prepared) -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match work(self.first()) {
                Err(Error::Engine(EngineError::Unsupported { .. })) if self.prepared.len() > 1 => {
                    self.prepared.remove(0);
                }
                outcome => return outcome,
            }
        }
    }

    /// The engine that sessions take.
    pub fn first(&self) -> &dyn Prepared {
        // There is one: `prepare` makes at least one, `with_first` leaves one.
        &*self.prepared[0].1
    }

    /// Weights and the highest peak of runs so far, of the engine that needs most: where one of them is not built in, a
    /// session takes another.
    pub fn needed_bytes(&self) -> u64 {
        let memory = self.prepared.iter().map(|(_, prepared)| prepared.memory());
        memory.map(|memory| memory.weight_bytes.saturating_add(memory.peak_bytes)).max().unwrap_or(0)
    }

    /// Widens the tolerance of golden cases until all engines pass them, and says by how much. On made-up numbers a model
    /// may do what it never does on real ones, for example divide by the standard deviation of equal numbers: then every
    /// engine is right within the last digits that it computes with, and the answers still differ.
    pub fn widen(&self, program: &Program, golden: &mut Golden, limits: RunLimits) -> Option<f32> {
        let exact = golden.tolerance;
        for factor in [1.0, 10.0, 100.0] {
            golden.tolerance =
                Tolerance { absolute: exact.absolute * factor, relative: exact.relative * factor, ..exact };
            if self.disagreements(program, golden, limits).is_empty() {
                return Some(factor).filter(|factor| *factor > 1.0);
            }
        }
        golden.tolerance = exact;
        None
    }

    /// Runs the golden cases on the engines after the first. What is worth telling of those that answer otherwise.
    pub fn disagreements(&self, program: &Program, golden: &Golden, limits: RunLimits) -> Vec<String> {
        let mut found = Vec::new();
        for (name, prepared) in self.prepared.iter().skip(1) {
            let deadline = STD_CLOCK.map(|clock| Deadline::after(limits.deadline, clock));
            let watches = [Some(&OnCtrlC as &dyn Watch), deadline.as_ref().map(|deadline| deadline as &dyn Watch)];
            let budget = RunBudget { memory_bytes: Some(limits.memory_bytes), watch: Some(&watches) };
            if let Err(error) = golden::check(&**prepared, &program.graph, golden, &budget) {
                found.push(format!("{name} is of no use for this model, its self-test fails there: {error}"));
            }
        }
        found
    }
}
