//! The traits that every engine implements.

use crate::program::Program;
use crate::tensor::{Tensor, TensorView};
use pannier_bundle::Code;
use pannier_graph::Graph;
use std::future::{Future, ready};
use std::pin::Pin;

/// Something that runs graphs. A value that the caller chooses, never a side effect of a feature.
pub trait Engine: Send + Sync {
    /// Short stable name, for example `tract`.
    fn name(&self) -> &'static str;

    /// Whether it has every operator of the graph.
    ///
    /// # Errors
    /// Every node that it cannot run, each with the reason.
    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>>;

    /// Makes a graph ready to run. Asks the budget's watch between its steps, whatever the graph holds.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`], [`EngineError::InvalidGraph`], or a budget that cannot be kept.
    fn prepare(&self, program: &Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError>;

    /// [`prepare`](Engine::prepare) for a caller that needs the program no more: an engine that keeps weights in a form of its own
    /// can give the memory of the sections back while it reads them.
    ///
    /// # Errors
    /// Those of [`prepare`](Engine::prepare).
    fn prepare_owned(&self, program: Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        self.prepare(&program, budget)
    }

    /// [`prepare_owned`](Engine::prepare_owned) for a caller that must not block, such as a page of a browser. An engine that has
    /// nothing to wait for answers at once, which is what engines do that do not override it.
    ///
    /// # Errors
    /// Those of [`prepare`](Engine::prepare).
    fn prepare_async<'a>(&'a self, program: Program, budget: RunBudget<'a>) -> Answer<'a, Box<dyn Prepared>> {
        Box::pin(ready(self.prepare_owned(program, &budget)))
    }
}

/// What an engine answers in its own time. It is polled on the thread that asked: it need not be [`Send`], because what a
/// browser gives to wait for is not.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + 'a>>;

/// A graph made ready by one engine. Shared between threads; a run changes nothing in it.
pub trait Prepared: Send + Sync {
    /// Runs once. Inputs and outputs are in the graph's order.
    ///
    /// # Errors
    /// A wrong number, type or shape of inputs; a budget that is exceeded; a failure of an operator.
    fn run(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError>;

    /// [`run`](Prepared::run) for a caller that must not block while outputs are read back from a device. An engine that has
    /// nothing to wait for answers at once, which is what engines do that do not override it.
    ///
    /// # Errors
    /// Those of [`run`](Prepared::run).
    fn run_async<'a>(&'a self, inputs: &'a [TensorView<'a>], budget: RunBudget<'a>) -> Answer<'a, Vec<Tensor>> {
        Box::pin(ready(self.run(inputs, &budget)))
    }

    /// What the engine knows of its memory.
    fn memory(&self) -> MemoryUse;
}

/// What one preparation or run may use.
#[derive(Clone, Copy, Default)]
pub struct RunBudget<'a> {
    /// Most bytes of intermediate and output tensors that may live at once. `None`: no limit.
    pub memory_bytes: Option<u64>,
    /// Asked between operators, and between the steps of preparing, whether to go on. `None`: always.
    pub watch: Option<&'a dyn Watch>,
}

/// Asked between operators and between the steps of preparing: the deadline and the cancel button. The clock is the
/// implementor's.
pub trait Watch: Sync {
    /// Whether to go on.
    ///
    /// # Errors
    /// Why to stop.
    fn check(&self) -> Result<(), Interrupt>;

    /// Told how many of the graph's operators have been computed, by an engine that compiles each when it first meets it. By
    /// default nothing is done about it.
    fn compiled(&self, _done: usize, _total: usize) {}
}

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupt {
    /// Its deadline passed.
    Deadline,
    /// The caller cancelled it.
    Cancelled,
}

/// Memory of a prepared graph, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// Weights as the engine keeps them.
    pub weight_bytes: u64,
    /// Peak of intermediate tensors: planned, or the highest seen in a run so far.
    pub peak_bytes: u64,
    /// Whether `peak_bytes` is a plan (known before anything ran) or an observation.
    pub planned: bool,
}

/// A node that an engine cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Operator with its domain, for example `ai.onnx.ml.TreeEnsemble` or `NonZero`.
    pub op: String,
    /// Name of the node.
    pub node: String,
    /// What is missing, for example `operator` or `attribute mode=cubic`.
    pub reason: String,
}

/// Errors of engines.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Operators are missing.
    #[error("{} operator(s) not supported by {engine}: {}", .nodes.len(), list(.nodes))]
    Unsupported {
        /// The engine.
        engine: &'static str,
        /// Every node it cannot run.
        nodes: Vec<Unsupported>,
    },
    /// The graph breaks a rule, or the engine's analysis of it fails.
    #[error("invalid graph{}: {reason}", at(.node))]
    InvalidGraph {
        /// Name of the node; empty if it is not about one.
        node: String,
        /// What is wrong.
        reason: String,
    },
    /// An input does not fit.
    #[error("input `{name}`: expected {expected}, found {found}")]
    InvalidInput {
        /// Name of the input.
        name: String,
        /// What the graph declares.
        expected: String,
        /// What was given.
        found: String,
    },
    /// More memory is needed than the budget allows.
    #[error("{needed_bytes} bytes are needed{}, {budget_bytes} are allowed", at(.node))]
    MemoryBudget {
        /// Node that would exceed it.
        node: String,
        /// Bytes that would be live.
        needed_bytes: u64,
        /// Bytes that are allowed.
        budget_bytes: u64,
    },
    /// The run was stopped.
    #[error("stopped{}: {}", at(.node), match .why { Interrupt::Deadline => "the deadline passed", Interrupt::Cancelled => "cancelled" })]
    Interrupted {
        /// Node before which it was stopped.
        node: String,
        /// Why.
        why: Interrupt,
    },
    /// An operator failed.
    #[error("operator failed{}: {reason}", at(.node))]
    Failed {
        /// Name of the node.
        node: String,
        /// What the engine says.
        reason: String,
    },
    /// A golden case came out as something else than a wrong number: this engine must not be used on this machine.
    #[error("golden case `{case}`, output `{output}`: expected {expected}, found {found}")]
    GoldenShape {
        /// Name of the case.
        case: String,
        /// Name of the output.
        output: String,
        /// Type and shape of the reference.
        expected: String,
        /// Type and shape of the answer.
        found: String,
    },
    /// A golden case came out wrong: this engine must not be used on this machine.
    #[error(
        "golden case `{case}`, output `{output}`: largest difference {difference:e} at element {element}, allowed {allowed:e}"
    )]
    Golden {
        /// Name of the case.
        case: String,
        /// Name of the output.
        output: String,
        /// Largest excess difference.
        difference: f64,
        /// Where it is, as a flat index.
        element: u64,
        /// What is allowed there.
        allowed: f64,
    },
}

impl EngineError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            EngineError::Unsupported { .. } => Code::UnsupportedOperator,
            EngineError::InvalidGraph { .. } => Code::InvalidModel,
            EngineError::InvalidInput { .. } => Code::InvalidInput,
            EngineError::MemoryBudget { .. } => Code::MemoryBudget,
            EngineError::Interrupted { why: Interrupt::Deadline, .. } => Code::Deadline,
            EngineError::Interrupted { why: Interrupt::Cancelled, .. } => Code::Interrupted,
            EngineError::Failed { .. } => Code::Failed,
            EngineError::Golden { .. } | EngineError::GoldenShape { .. } => Code::Accuracy,
        }
    }
}

fn list(nodes: &[Unsupported]) -> String {
    nodes.iter().map(|n| format!("{} (node `{}`: {})", n.op, n.node, n.reason)).collect::<Vec<_>>().join(", ")
}

fn at(node: &str) -> String {
    if node.is_empty() { String::new() } else { format!(" at node `{node}`") }
}
