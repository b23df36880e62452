//! Running candidates on cases.

use crate::build::{RunLimits, Runner};
use crate::content::Case;
use crate::error::Error;
use crate::interrupt::{self, OnCtrlC};
use pannier::Options;
use pannier_bundle::manifest::Port;
use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Tensor};
use std::sync::Arc;
use std::thread;

/// Runs programs with the same inputs and outputs on cases.
pub struct Trial<'a> {
    engines: Vec<Arc<dyn Engine>>,
    inputs: &'a [Port],
    outputs: &'a [Port],
    limits: RunLimits,
}

impl<'a> Trial<'a> {
    /// With the engines that sessions take, in deterministic mode: what is found becomes part of the bundle.
    pub fn new(inputs: &'a [Port], outputs: &'a [Port], limits: RunLimits) -> Trial<'a> {
        Trial { engines: Options::deterministic().engines, inputs, outputs, limits }
    }

    /// The same with engines as sessions take them by default: for timing, and nothing else.
    pub fn as_sessions_run(&self) -> Trial<'a> {
        Trial { engines: Options::default().engines, ..*self }
    }

    /// The answers to each case, in the order of the cases.
    ///
    /// Cases that hold all inputs are independent and run on all processors. Where one lacks a state, they run one after
    /// the other, each fed by the one before.
    ///
    /// # Errors
    /// [`Error::Engine`]: no engine runs the program, or an input does not fit. [`Error::Interrupted`].
    pub fn answers(&self, program: &Program, cases: &[Case]) -> Result<Vec<Vec<Tensor>>, Error> {
        let runs = self.with_engine(program, |prepared| self.run(prepared, cases))?;
        Ok(runs.into_iter().map(|(_, answers)| answers).collect())
    }

    /// Inputs in the graph's order and answers of each case: of the original, for calibrating and comparing.
    ///
    /// # Errors
    /// Those of [`Trial::answers`].
    pub fn runs(&self, program: &Program, cases: &[Case]) -> Result<(Tensors, Tensors), Error> {
        Ok(self.with_engine(program, |prepared| self.run(prepared, cases))?.into_iter().unzip())
    }

    /// Does a piece of work with the first engine that can do it.
    ///
    /// # Errors
    /// Those of the work; [`Error::Engine`]: no engine runs the program.
    pub fn with_engine<T>(
        &self,
        program: &Program,
        mut work: impl FnMut(&dyn Prepared) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let budget = RunBudget { memory_bytes: None, watch: Some(&OnCtrlC) };
        let mut refusal = None;
        for engine in &self.engines {
            let supported = engine.supports(&program.graph);
            let supported = supported.map_err(|nodes| EngineError::Unsupported { engine: engine.name(), nodes });
            let prepared = supported.and_then(|()| engine.prepare(program, &budget)).map_err(Error::from);
            match prepared.and_then(|prepared| work(&*prepared)) {
                // Some find out when they run. The next engine may have what this one lacks.
                Err(Error::Engine(error @ EngineError::Unsupported { .. })) => refusal = Some(Error::Engine(error)),
                outcome => return outcome,
            }
        }
        interrupt::check()?;
        Err(refusal.unwrap_or(Error::Interrupted))
    }

    fn run(&self, prepared: &dyn Prepared, cases: &[Case]) -> Result<Vec<Run>, Error> {
        let complete =
            |case: &Case| self.inputs.iter().all(|port| case.inputs.iter().any(|(name, _)| *name == port.name));
        if !cases.iter().all(complete) {
            return self.run_in_order(prepared, cases);
        }
        let threads = thread::available_parallelism().map_or(1, usize::from).min(cases.len().max(1));
        thread::scope(|scope| {
            let parts = cases.chunks(cases.len().div_ceil(threads).max(1));
            let workers: Vec<_> = parts.map(|part| scope.spawn(|| self.run_in_order(prepared, part))).collect();
            let mut runs = Vec::with_capacity(cases.len());
            for worker in workers {
                let part = worker.join().map_err(|_| EngineError::Failed {
                    node: String::new(),
                    reason: "a thread that ran cases panicked".to_owned(),
                })?;
                runs.extend(part?);
            }
            Ok(runs)
        })
    }

    fn run_in_order(&self, prepared: &dyn Prepared, cases: &[Case]) -> Result<Vec<Run>, Error> {
        let mut runner = Runner::new(prepared, self.limits, self.inputs, self.outputs);
        let mut runs = Vec::with_capacity(cases.len());
        for case in cases {
            interrupt::check()?;
            runs.push(runner.run(case)?);
        }
        Ok(runs)
    }
}

/// For each case its inputs, or its answers, in the graph's order.
pub type Tensors = Vec<Vec<Tensor>>;

/// Inputs and answers of a case, in the graph's order.
type Run = (Vec<Tensor>, Vec<Tensor>);
