//! A plan of tract, kept for many runs.

use crate::metered::{Meter, Metered};
use crate::stop::{self, Failure};
use pannier_engine::RunBudget;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;

/// Runs that are over leave their state for the next one; more than these are dropped.
const MOST_IDLE_STATES: usize = 8;

/// An optimised model in evaluation order.
pub(crate) struct Plan {
    model: Metered,
    idle: Mutex<Vec<TypedSimpleState>>,
    /// Bytes of the plan's constants.
    pub(crate) weight_bytes: u64,
    /// Highest number of bytes that outputs of nodes took at once in any run.
    pub(crate) peak_bytes: AtomicU64,
}

impl Plan {
    pub(crate) fn new(model: TypedModel) -> TractResult<Plan> {
        let model = Metered::new(model)?;
        let mut constants: HashMap<*const Tensor, u64> = HashMap::new();
        for node in model.plan().model().nodes() {
            if let Some(constant) = node.op_as::<Const>() {
                let size = node.outputs.first().and_then(|output| output.fact.mem_size().as_i64());
                constants.insert(Arc::as_ptr(constant.val()), size.unwrap_or(0).unsigned_abs());
            }
        }
        Ok(Plan {
            model,
            weight_bytes: constants.values().sum(),
            idle: Mutex::new(Vec::new()),
            peak_bytes: AtomicU64::new(0),
        })
    }

    /// Runs once; `inputs` are those that did not become constants.
    pub(crate) fn run(&self, inputs: TVec<TValue>, budget: &RunBudget<'_>) -> Result<TVec<TValue>, Failure> {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let mut meter = Meter::new(budget);
        let run = stop::catch(|| {
            let mut state = idle.map_or_else(|| self.model.plan().spawn(), Ok)?;
            let outputs = self.model.run(&mut state, inputs, &mut meter)?;
            Ok((outputs, state))
        });
        self.peak_bytes.fetch_max(meter.peak_bytes(), Ordering::Relaxed);
        // A run that failed leaves its state in between: it is dropped.
        let (outputs, state) = run?;
        // Operators may remember what their last run left: their state is not used again either.
        if state.op_states.iter().all(Option::is_none)
            && let Ok(mut idle) = self.idle.lock()
            && idle.len() < MOST_IDLE_STATES
        {
            idle.push(state);
        }
        Ok(outputs)
    }
}
