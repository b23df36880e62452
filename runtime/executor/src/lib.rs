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
//! It starts no thread (a caller may lend some: [`Executor::with_pool`]), reads no clock and knows no file. Of operators whose results have a size that only the data tells, it
//! runs those that are computed while the plan is made.

#![forbid(unsafe_code)]

mod encoded;
mod fused;
mod import;
mod ir;
mod limits;
mod number;
mod ops;
#[cfg(feature = "oracle")]
pub mod oracle;
mod order;
mod passes;
mod plan;
mod prepared;
mod shape;
mod strided;
mod supports;
mod view;
mod weights;

#[cfg(not(target_family = "wasm"))]
pub use pannier_kernels::ParkedThreads;
pub use pannier_kernels::ThreadPool;
pub use plan::{Explanation, PlannedStep};
pub use prepared::ExecutorPrepared;

use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Unsupported};
use pannier_graph::Graph;
use pannier_kernels::Kernels;
use std::fmt;
use std::sync::Arc;
use weights::Weights;

/// The engine's name in reports and errors.
const NAME: &str = "executor";

/// The engine. Making one chooses the kernels for this machine.
#[derive(Clone)]
pub struct Executor {
    kernels: Kernels,
    pool: Option<Arc<dyn ThreadPool>>,
}

impl Executor {
    /// The fastest kernels of this machine. Results differ in the last bits from one instruction set to another.
    pub fn new() -> Executor {
        Executor { kernels: Kernels::best(), pool: None }
    }

    /// Kernels that give the same bits on every machine, at some cost in speed.
    pub fn deterministic() -> Executor {
        Executor { kernels: Kernels::deterministic(), pool: None }
    }

    /// The same, with threads that large operators are shared between. Results have the same bits as without.
    ///
    /// Each thread has scratch memory of its own, so plans may be larger than without. In WebAssembly all work is done by the thread
    /// that calls.
    ///
    /// ```
    /// use pannier_executor::{Executor, ParkedThreads};
    /// use std::sync::Arc;
    ///
    /// let executor = Executor::new().with_pool(Arc::new(ParkedThreads::new(2)));
    /// ```
    #[must_use]
    pub fn with_pool(self, pool: Arc<dyn ThreadPool>) -> Executor {
        Executor { pool: Some(pool), ..self }
    }

    /// [`Engine::prepare`], with more to ask of the result.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub fn compile(&self, program: &Program, budget: &RunBudget<'_>) -> Result<ExecutorPrepared, EngineError> {
        supported(&program.graph)?;
        let (graph, pool) = (program.graph.clone(), self.pool.as_ref());
        ExecutorPrepared::new(&graph, self.kernels, pool, budget, |more| Weights::of(program, more))
    }

    /// [`Executor::compile`] of a program that nobody else needs: its sections are given back while weights take the
    /// form that the kernels read.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub fn compile_owned(&self, program: Program, budget: &RunBudget<'_>) -> Result<ExecutorPrepared, EngineError> {
        supported(&program.graph)?;
        let (graph, pool) = (program.graph.clone(), self.pool.as_ref());
        ExecutorPrepared::new(&graph, self.kernels, pool, budget, |more| Weights::take(program, more))
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.pool.as_ref().map_or(1, |pool| pool.threads());
        f.debug_struct("Executor").field("kernels", &self.kernels).field("threads", &threads).finish()
    }
}

fn supported(graph: &Graph) -> Result<(), EngineError> {
    supports::check(graph).map_err(|nodes| EngineError::Unsupported { engine: NAME, nodes })
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
