//! Pannier's own engine: a program is compiled once into a plan, and the plan runs in one arena.
//!
//! # How it works
//!
//! `import` gives every value a type and a shape and computes what is constant, by the operators of `ops` themselves.
//! `passes` rewrites that into fewer and faster operators (`fused`), `plan` says where in one arena every tensor lies.
//! A run is then a walk over a list of steps.
//!
//! Where shapes are fixed, the plan is made by `prepare`; where they have symbols, at the first run with new sizes, and
//! the last few plans are kept.
//!
//! # Invariants
//!
//! - Nothing is allocated by a run but its results, and an arena where no idle one is left. What is still computed by an
//!   operator of the standard, or is a transpose or an expansion of many axes, may keep a few numbers on the heap.
//! - How much memory a run takes is known before it begins; a budget that is too small is an error before anything is
//!   allocated.
//! - What is computed depends on the program and the shapes, never on the machine; so [`Executor::deterministic`] gives
//!   the same bits on every machine.
//! - No graph makes anything here panic or allocate more than its budget: shapes are checked when they are inferred,
//!   indices in data when they are used.
//!
//! # What it does not do
//!
//! It starts no thread, reads no clock and knows no file. Of operators whose results have a size that only the data tells, it
//! runs those that are computed while the plan is made.

#![forbid(unsafe_code)]

mod fused;
mod import;
mod ir;
mod limits;
mod number;
mod ops;
mod passes;
mod plan;
mod prepared;
mod shape;
mod strided;
mod supports;
mod view;
mod weights;

pub use plan::{Explanation, PlannedStep};
pub use prepared::ExecutorPrepared;

use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Unsupported};
use pannier_graph::Graph;
use pannier_kernels::Kernels;
use weights::Weights;

/// The engine's name in reports and errors.
const NAME: &str = "executor";

/// The engine. Making one chooses the kernels for this machine.
#[derive(Debug, Clone)]
pub struct Executor {
    kernels: Kernels,
}

impl Executor {
    /// The fastest kernels of this machine. Results differ in the last bits from one instruction set to another.
    pub fn new() -> Executor {
        Executor { kernels: Kernels::best() }
    }

    /// Kernels that give the same bits on every machine, at some cost in speed.
    pub fn deterministic() -> Executor {
        Executor { kernels: Kernels::deterministic() }
    }

    /// [`Engine::prepare`], with more to ask of the result.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub fn compile(&self, program: &Program, budget: &RunBudget<'_>) -> Result<ExecutorPrepared, EngineError> {
        self.supports(&program.graph).map_err(|nodes| EngineError::Unsupported { engine: NAME, nodes })?;
        ExecutorPrepared::new(&program.graph, self.kernels, budget, |more| Weights::of(program, more))
    }

    /// [`Executor::compile`] of a program that nobody else needs: its sections are given back while weights take the
    /// form that the kernels read.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub fn compile_owned(&self, program: Program, budget: &RunBudget<'_>) -> Result<ExecutorPrepared, EngineError> {
        self.supports(&program.graph).map_err(|nodes| EngineError::Unsupported { engine: NAME, nodes })?;
        let graph = program.graph.clone();
        ExecutorPrepared::new(&graph, self.kernels, budget, |more| Weights::take(program, more))
    }
}

impl Default for Executor {
    fn default() -> Executor {
        Executor::new()
    }
}

impl Engine for Executor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>> {
        supports::check(graph)
    }

    fn prepare(&self, program: &Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        Ok(Box::new(self.compile(program, budget)?))
    }

    fn prepare_owned(&self, program: Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        Ok(Box::new(self.compile_owned(program, budget)?))
    }
}
