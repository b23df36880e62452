//! A program made ready: plans for the shapes that come, and the last few of them kept.

use crate::import::{Key, Stop, import};
use crate::limits::Limits;
use crate::passes::{self, Context};
use crate::plan::{Explanation, Plan, Shared};
use crate::weights::Weights;
use pannier_engine::{EngineError, MemoryUse, Prepared, RunBudget, Tensor, TensorView, Unsupported, check_inputs};
use pannier_graph::{Dim, Graph};
use pannier_kernels::{Kernels, ThreadPool};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Plans that are kept: those used last.
const MOST_PLANS: usize = 4;

/// Inputs with more elements are data, whatever they reach: no plan is made for their values.
const MOST_STEERING: usize = 1024;

/// A program made ready by the [`Executor`](crate::Executor).
pub struct ExecutorPrepared {
    graph: Arc<Graph>,
    /// `None` once no more plans will be made.
    weights: Option<Weights>,
    kernels: Kernels,
    /// By input: whether plans turned out to need its values.
    steering: Vec<AtomicBool>,
    plans: Mutex<Vec<(Key, Arc<Plan>)>>,
    shared: Shared,
}

impl ExecutorPrepared {
    /// `weights` makes the weights, told whether plans for other shapes may follow the first one.
    pub(crate) fn new(
        graph: &Arc<Graph>,
        kernels: Kernels,
        pool: Option<&Arc<dyn ThreadPool>>,
        budget: &RunBudget<'_>,
        weights: impl FnOnce(bool) -> Weights,
    ) -> Result<ExecutorPrepared, EngineError> {
        let fixed = fixed_shapes(graph);
        let mut prepared = ExecutorPrepared {
            graph: graph.clone(),
            weights: Some(weights(fixed.is_none())),
            kernels,
            steering: graph.body.inputs.iter().map(|_| AtomicBool::new(false)).collect(),
            plans: Mutex::new(Vec::new()),
            shared: Shared { pool: pool.cloned(), ..Shared::default() },
        };
        if let Some(shapes) = fixed {
            let key = Key { values: vec![None; shapes.len()], shapes };
            match prepared.plan(&key, &Limits::new(budget)) {
                Ok(mut plan) => {
                    // There will be no other plan: the weights can go, but for what this one reads of them.
                    prepared.weights = None;
                    plan.detach();
                    prepared.keep(key, Arc::new(plan));
                }
                // The first run brings the values.
                Err(Stop::NeedsInputs { inputs, .. }) => {
                    prepared.steer(&inputs);
                    prepared.weights.iter_mut().for_each(Weights::expect_more_plans);
                }
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        Ok(prepared)
    }

    /// What the plan for the shapes used last does; `None` before the first.
    pub fn explain(&self) -> Option<Explanation> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.first().map(|(_, plan)| plan.explain())
    }

    /// [`Prepared::run`], telling after each step of the plan that it is done, by its index.
    ///
    /// # Errors
    /// Those of [`Prepared::run`].
    pub fn run_observed(
        &self,
        inputs: &[TensorView<'_>],
        budget: &RunBudget<'_>,
        observer: &mut dyn FnMut(usize),
    ) -> Result<Vec<Tensor>, EngineError> {
        check_inputs(&self.graph, inputs)?;
        self.plan_for(inputs, budget)?.run(inputs, budget, Some(observer))
    }

    fn plan(&self, key: &Key, limits: &Limits<'_>) -> Result<Plan, Stop> {
        let gone = || EngineError::Failed { node: String::new(), reason: "there is no other plan".into() };
        let weights = self.weights.as_ref().ok_or_else(gone)?;
        let mut ir = import(&self.graph, weights, key, limits)?;
        passes::compile(&mut ir, &Context { kernels: self.kernels, limits: *limits, weights })?;
        weights.settle(&mut ir);
        Ok(Plan::new(ir, self.kernels, self.shared.clone(), limits)?)
    }

    fn steer(&self, inputs: &[usize]) {
        let flags = inputs.iter().filter_map(|input| self.steering.get(*input));
        flags.for_each(|flag| flag.store(true, Ordering::Relaxed));
    }

    /// A plan that is kept, or a new one. Two threads may make the same plan at once; neither waits for the other.
    fn plan_for(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Arc<Plan>, EngineError> {
        if let Some(plan) = self.kept(inputs) {
            return Ok(plan);
        }
        loop {
            let steering = || self.steering.iter().map(|flag| flag.load(Ordering::Relaxed));
            let key = Key {
                shapes: inputs.iter().map(|input| input.shape().to_vec()).collect(),
                values: steering().zip(inputs).map(|(steers, input)| steers.then(|| input.to_tensor())).collect(),
            };
            match self.plan(&key, &Limits::new(budget)) {
                Ok(plan) => {
                    let plan = Arc::new(plan);
                    self.keep(key, plan.clone());
                    return Ok(plan);
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::NeedsInputs { inputs: wanted, node, reason }) => {
                    let large =
                        wanted.iter().any(|input| inputs.get(*input).is_none_or(|input| input.len() > MOST_STEERING));
                    let known = wanted.iter().all(|input| key.values.get(*input).is_none_or(Option::is_some));
                    if large || known {
                        let nodes = vec![Unsupported { op: String::new(), node, reason }];
                        return Err(EngineError::Unsupported { engine: crate::NAME, nodes });
                    }
                    self.steer(&wanted);
                }
            }
        }
    }

    fn kept(&self, inputs: &[TensorView<'_>]) -> Option<Arc<Plan>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let index = plans.iter().position(|(key, _)| {
            let shapes = key.shapes.iter().zip(inputs).all(|(shape, input)| shape == input.shape());
            shapes
                && key
                    .values
                    .iter()
                    .zip(inputs)
                    .all(|(value, input)| value.as_ref().is_none_or(|value| value.view() == *input))
        })?;
        if let Some(used) = plans.get_mut(..=index) {
            used.rotate_right(1);
        }
        plans.first().map(|(_, plan)| plan.clone())
    }

    fn keep(&self, key: Key, plan: Arc<Plan>) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.insert(0, (key, plan));
        plans.truncate(MOST_PLANS);
    }
}

impl Prepared for ExecutorPrepared {
    fn run(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        check_inputs(&self.graph, inputs)?;
        self.plan_for(inputs, budget)?.run(inputs, budget, None)
    }

    fn memory(&self) -> MemoryUse {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let largest = |of: fn(&Plan) -> u64| plans.iter().map(|(_, plan)| of(plan)).max().unwrap_or(0);
        let mut held = self.weights.as_ref().map(Weights::allocations).unwrap_or_default();
        plans.iter().for_each(|(_, plan)| held.extend(plan.allocations()));
        MemoryUse {
            weight_bytes: held.values().map(|size_bytes| *size_bytes as u64).sum(),
            peak_bytes: largest(Plan::peak_bytes),
            planned: !plans.is_empty(),
        }
    }
}

/// The shapes of the inputs, if they have no symbols.
fn fixed_shapes(graph: &Graph) -> Option<Vec<Vec<usize>>> {
    let fixed = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        Dim::Symbol(_) => None,
    };
    graph.body.inputs.iter().map(|input| input.shape.iter().flatten().map(fixed).collect()).collect()
}
