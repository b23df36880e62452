//! The tract engine: the whole ONNX operator set on every target with a CPU, by [tract](https://docs.rs/tract-onnx).
//!
//! It builds the protobuf message that tract reads from our graph in memory and lets tract's own operator builders do
//! the rest. No type of tract is in the public interface. What tract does not do is done here: budgets, a list of
//! everything that is not supported, checked inputs, panics turned into errors.
//!
//! # How soon work stops
//!
//! The watch is asked before every operator of a run, those in loops and branches included, and before every step of
//! preparing: a weight, a node that is analysed or translated, a rule of the optimiser on a node. What is never
//! interrupted is one such step. The longest are one operator on tensors as large as the budget allows, one sweep of
//! tract over all nodes, the analysis of one nested body, which has at most 10,000 nodes, and the merging of the axes of
//! matrix products, which is left out where it would take more than about two seconds. On graphs of 10,000 nodes made to
//! be slow it was half a second at most (`runtime/tests/session/deadline.rs` prints it).

mod analyse;
mod compile;
mod dtype;
mod infer;
mod metered;
mod nested;
mod ops;
mod optimise;
mod patch;
mod plan;
mod prepared;
mod proto;
mod steer;
mod stop;
mod supports;
mod tensors;
mod translate;
mod weights;

use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Unsupported};
use pannier_graph::{DType, Dim, Graph};

/// The engine. It has no options and no state.
#[derive(Debug, Clone, Default)]
pub struct TractEngine {
    _private: (),
}

impl TractEngine {
    /// The engine.
    pub fn new() -> TractEngine {
        TractEngine::default()
    }

    /// Type and shape of every value of the main body, indexed by value; `None` where the analysis does not know both.
    ///
    /// A dimension that is an expression of symbols is named by that expression, for example `2*batch`. Never panics.
    pub fn infer(&self, program: &Program) -> Vec<Option<(DType, Vec<Dim>)>> {
        infer::infer(program)
    }
}

impl Engine for TractEngine {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>> {
        supports::check(graph)
    }

    fn prepare(&self, program: &Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        self.supports(&program.graph).map_err(|nodes| EngineError::Unsupported { engine: self.name(), nodes })?;
        Ok(Box::new(prepared::TractPrepared::new(program, budget)?))
    }
}
