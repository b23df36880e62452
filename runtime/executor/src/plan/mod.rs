//! A plan: steps in order, and where in one arena everything lies. All sizes are known before anything runs.

mod arena;
mod explain;
mod nested;
mod run;
mod storage;

pub(crate) use arena::Arenas;
pub use explain::{Explanation, PlannedStep};
pub(crate) use storage::per_thread;

use crate::import::NESTED;
use crate::ir::{Constant, Ir, Node, Op};
use crate::limits::Limits;
use crate::ops::Operator;
use pannier_engine::{DType, EngineError};
use pannier_graph::AlignedBytes;
use pannier_kernels::{MOST_TASKS, ThreadPool};
use std::ops::Range;
use std::sync::Arc;

/// A program ready to run.
pub(crate) struct Plan {
    steps: Vec<Step>,
    constants: Vec<Constant>,
    /// Where each result of the program is when all steps are done.
    outputs: Vec<Tensor>,
    arena_bytes: usize,
    shared: Shared,
}

/// What all plans of a program share.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) arenas: Arc<Arenas>,
    pub(crate) pool: Option<Arc<dyn ThreadPool>>,
}

impl Shared {
    fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.threads().clamp(1, MOST_TASKS))
    }
}

/// A tensor and where its bytes are.
#[derive(Debug, Clone)]
struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    place: Place,
}

/// Where bytes are.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// A part of a constant.
    Constant(usize, Range<usize>),
    /// A part of an input of the program.
    Input(usize, Range<usize>),
    /// A part of the arena.
    Arena(Range<usize>),
}

/// One operator with its operands.
struct Step {
    name: String,
    operator: Arc<dyn Operator>,
    /// What it is called in an explanation.
    kind: String,
    /// `None`: absent, or in the place of the result.
    inputs: Vec<Option<Tensor>>,
    outputs: Vec<Option<Tensor>>,
    /// What it borrows from the arena, by address.
    takes: Vec<Take>,
    flops: usize,
}

/// A range of the arena that a step borrows.
#[derive(Debug, Clone, PartialEq)]
struct Take {
    range: Range<usize>,
    what: Taken,
}

#[derive(Debug, Clone, PartialEq)]
enum Taken {
    /// Operands, each with its range within this one.
    Read(Vec<(usize, Range<usize>)>),
    Write(usize),
    Scratch,
}

impl Plan {
    /// Places everything.
    ///
    /// # Errors
    /// The budget is too small, or there is no time left.
    pub(crate) fn new(
        ir: Ir,
        kernels: pannier_kernels::Kernels,
        shared: Shared,
        limits: &Limits<'_>,
    ) -> Result<Plan, EngineError> {
        let storage = storage::assign(&ir, &Making { kernels, shared: &shared, limits })?;
        let arena = arena::place(&storage.blocks, limits)?;
        let output_bytes = ir.outputs.iter().map(|id| ir.values[*id].size_bytes()).fold(0, usize::saturating_add);
        let peak = arena.size_bytes.saturating_add(output_bytes);
        limits.check_memory("", u64::try_from(peak).unwrap_or(u64::MAX))?;
        storage::finish(ir, storage, &arena, shared)
    }

    /// Bytes of constants that the steps read.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.constants.iter().map(|constant| constant.size_bytes() as u64).sum()
    }

    /// Bytes of the arena and of the results.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let outputs = self.outputs.iter().map(|output| crate::shape::len(&output.shape) * output.dtype.size_bytes());
        outputs.fold(self.arena_bytes, usize::saturating_add) as u64
    }

    /// The allocations that constants lie in, by address.
    pub(crate) fn allocations(&self) -> impl Iterator<Item = (*const AlignedBytes, usize)> {
        self.constants.iter().filter_map(Constant::allocation)
    }

    /// Gives constants bytes of their own, so that the sections they come from can be dropped.
    pub(crate) fn detach(&mut self) {
        for constant in &mut self.constants {
            *constant = constant.detached();
        }
    }
}

/// What plans are made with.
struct Making<'a> {
    kernels: pannier_kernels::Kernels,
    shared: &'a Shared,
    limits: &'a Limits<'a>,
}

/// What a node runs.
struct Running {
    /// What it is called.
    kind: String,
    operator: Arc<dyn Operator>,
    /// What it holds itself beside its operands.
    constants: Vec<Constant>,
}

/// `None` of nodes that only look at bytes in another way.
fn operator(node: &Node, ir: &Ir, making: &Making<'_>) -> Result<Option<Running>, EngineError> {
    let (kind, operator): (_, Arc<dyn Operator>) = match &node.op {
        Op::Standard { node, operator } => (node.op.clone(), operator.clone()),
        Op::Fused(fused) => (fused.name().to_string(), fused.to_operator()),
        Op::Transpose(perm) => {
            let permute = crate::fused::Permute { perm: perm.clone(), kernels: making.kernels };
            ("Transpose".to_string(), Arc::new(permute))
        }
        Op::Nested(nested) if NESTED => return nested::running(nested, ir, node, making).map(Some),
        Op::Reshape | Op::Part { .. } | Op::Nested(_) => return Ok(None),
    };
    Ok(Some(Running { kind, operator, constants: Vec::new() }))
}
