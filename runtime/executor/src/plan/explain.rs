//! A plan as data, for people who want to know where time and memory go.

use super::{Plan, Tensor};
use pannier_engine::DType;

/// What a plan does.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// In order.
    pub steps: Vec<PlannedStep>,
    /// Bytes of the arena that all intermediate tensors and scratch memory share.
    pub arena_bytes: u64,
    /// Bytes of constants, packed as the kernels read them.
    pub weight_bytes: u64,
    /// Bytes of the arena and of the results: what a run takes beside weights and inputs.
    pub peak_bytes: u64,
}

/// One operator of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep {
    /// Name of the node, or of the last of those that it does the work of.
    pub name: String,
    /// Operator, for example `Conv`.
    pub operator: String,
    /// How it is computed: parameters and what was fused into it, in a form for people.
    pub detail: String,
    /// Types and shapes of its operands; `None` where one is absent.
    pub inputs: Vec<Option<(DType, Vec<usize>)>>,
    /// Types and shapes of its results.
    pub outputs: Vec<Option<(DType, Vec<usize>)>>,
    /// Bytes of operands and results that it reads and writes.
    pub moved_bytes: u64,
    /// Floating-point operations; 0 where that is not what takes the time.
    pub flops: u64,
}

impl Plan {
    pub(crate) fn explain(&self) -> Explanation {
        let describe = |tensor: &Option<Tensor>| tensor.as_ref().map(|tensor| (tensor.dtype, tensor.shape.clone()));
        let size = |tensor: &Tensor| (crate::shape::len(&tensor.shape) * tensor.dtype.size_bytes()) as u64;
        let steps = self.steps.iter().map(|step| PlannedStep {
            name: step.name.clone(),
            operator: step.kind.clone(),
            detail: step.operator.detail(),
            inputs: step.inputs.iter().map(describe).collect(),
            outputs: step.outputs.iter().map(describe).collect(),
            moved_bytes: step.inputs.iter().chain(&step.outputs).flatten().map(size).sum(),
            flops: step.flops as u64,
        });
        Explanation {
            steps: steps.collect(),
            arena_bytes: self.arena_bytes as u64,
            weight_bytes: self.weight_bytes(),
            peak_bytes: self.peak_bytes(),
        }
    }
}
