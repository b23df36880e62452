//! A program made ready by tract: plans made for the shapes that come, and kept.

use crate::compile::{self, Key, Parsed};
use crate::plan::Plan;
use crate::stop::{Failure, Limits};
use crate::{steer, tensors};
use pannier_engine::{EngineError, MemoryUse, Prepared, Program, RunBudget, Tensor, TensorView, check_inputs};
use pannier_graph::{Dim, Graph};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::prelude::{IntoTValue, TValue, TVec};

/// Plans that are kept: those used last.
const MOST_PLANS: usize = 4;

pub(crate) struct TractPrepared {
    graph: Arc<Graph>,
    parsed: Parsed,
    steering: Vec<bool>,
    /// Whether plans turned out to need the values of steering inputs.
    needs_values: AtomicBool,
    plans: Mutex<Vec<(Key, Arc<Plan>)>>,
    peak_bytes: AtomicU64,
}

impl TractPrepared {
    pub(crate) fn new(program: &Program, budget: &RunBudget<'_>) -> Result<TractPrepared, EngineError> {
        let mut prepared = TractPrepared {
            graph: program.graph.clone(),
            parsed: compile::parse(program, &Limits::new(budget))?,
            steering: steer::steering(&program.graph),
            needs_values: AtomicBool::new(false),
            plans: Mutex::new(Vec::new()),
            peak_bytes: AtomicU64::new(0),
        };
        let planned = prepared.plan_ahead(budget)?;
        if planned && !prepared.steering.contains(&true) {
            // There will be no other plan, and this one has weights of its own, laid out for its kernels.
            prepared.parsed.model = None;
        }
        Ok(prepared)
    }

    /// Where shapes are fixed, the plan is made now: the first run is as fast as the others, and what cannot be planned
    /// is found now. Whether there is one.
    fn plan_ahead(&self, budget: &RunBudget<'_>) -> Result<bool, EngineError> {
        let fixed = |dim: &Dim| match dim {
            Dim::Fixed(size) => usize::try_from(*size).ok(),
            Dim::Symbol(_) => None,
        };
        let inputs = &self.graph.body.inputs;
        let shapes = inputs.iter().map(|input| input.shape.iter().flatten().map(fixed).collect::<Option<Vec<_>>>());
        let Some(shapes) = shapes.collect::<Option<Vec<_>>>() else { return Ok(false) };
        match self.plan_for(Key { values: vec![None; shapes.len()], shapes }, budget) {
            // Values may be missing that the first run will bring.
            Err(error) if self.steering.contains(&true) && may_lack_values(&error) => Ok(false),
            result => result.map(|_| true),
        }
    }

    /// Runs with a plan for these shapes; if there can be none, or it fails, with one for the values of the inputs that
    /// steer shapes as well.
    fn run_plan(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<TVec<TValue>, EngineError> {
        let shapes: Vec<_> = inputs.iter().map(|input| input.shape().to_vec()).collect();
        let constant = steer::small(&self.steering, inputs);
        let steerable = constant.contains(&true);
        if !steerable || !self.needs_values.load(Ordering::Relaxed) {
            let key = Key { values: vec![None; shapes.len()], shapes: shapes.clone() };
            match self.run_key(key, inputs, budget) {
                Err(error) if steerable && may_lack_values(&error) => {}
                result => return result,
            }
        }
        let values = constant.iter().zip(inputs).map(|(constant, input)| constant.then(|| input.to_tensor())).collect();
        let outputs = self.run_key(Key { shapes, values }, inputs, budget)?;
        self.needs_values.store(true, Ordering::Relaxed);
        Ok(outputs)
    }

    fn run_key(
        &self,
        key: Key,
        inputs: &[TensorView<'_>],
        budget: &RunBudget<'_>,
    ) -> Result<TVec<TValue>, EngineError> {
        let fed = inputs.iter().zip(&key.values).filter(|(_, value)| value.is_none());
        let fed = fed.map(|(view, _)| Some(tensors::to_tract(*view)?.into_tvalue())).collect::<Option<TVec<TValue>>>();
        let failed = |failure: Failure| failure.failed(&self.parsed.nodes);
        let fed = fed.ok_or_else(|| failed(Failure::Text("an input has a type that tract does not have".into())))?;
        let plan = self.plan_for(key, budget)?;
        let outputs = plan.run(fed, budget).map_err(failed)?;
        self.peak_bytes.fetch_max(plan.peak_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(outputs)
    }

    /// A plan that is kept, or a new one. Two threads may make the same plan at once; neither waits for the other.
    fn plan_for(&self, key: Key, budget: &RunBudget<'_>) -> Result<Arc<Plan>, EngineError> {
        let kept = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plans = kept();
        if let Some(index) = plans.iter().position(|(known, _)| *known == key) {
            plans[..=index].rotate_right(1);
            return Ok(plans[0].1.clone());
        }
        drop(plans);
        let plan = Arc::new(compile::compile(&self.parsed, &self.graph, &key, &Limits::new(budget))?);
        let mut plans = kept();
        plans.insert(0, (key, plan.clone()));
        plans.truncate(MOST_PLANS);
        Ok(plan)
    }
}

impl Prepared for TractPrepared {
    fn run(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        check_inputs(&self.graph, inputs)?;
        let outputs = self.run_plan(inputs, budget)?;
        outputs.iter().map(|value| tensors::from_tract(value)).collect()
    }

    fn memory(&self) -> MemoryUse {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let largest = plans.iter().map(|(_, plan)| plan.weight_bytes).max().unwrap_or(0);
        MemoryUse {
            weight_bytes: self.parsed.weight_bytes.max(largest),
            peak_bytes: self.peak_bytes.load(Ordering::Relaxed),
            planned: false,
        }
    }
}

/// Whether the error may be that a value was not known when the plan was made.
fn may_lack_values(error: &EngineError) -> bool {
    matches!(error, EngineError::InvalidGraph { .. } | EngineError::Unsupported { .. } | EngineError::Failed { .. })
}
