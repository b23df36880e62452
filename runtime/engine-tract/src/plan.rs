//! A plan of tract and its runs, metered.

use crate::stop::{self, Failure, Limits, Stop};
use pannier_engine::RunBudget;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::EvalContext;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::internal::TDim;

/// Runs that are over leave their state for the next one; more than these are dropped.
const MOST_IDLE_STATES: usize = 8;

/// An optimised model in evaluation order.
pub(crate) struct Plan {
    plan: Arc<TypedSimplePlan>,
    /// By node: what its outputs take, if that is known before anything runs.
    size_bytes: Vec<Option<u64>>,
    /// By node: the nodes whose outputs nobody needs after it.
    released: Vec<Vec<usize>>,
    idle: Mutex<Vec<TypedSimpleState>>,
    /// Bytes of the plan's constants.
    pub(crate) weight_bytes: u64,
    /// Highest number of bytes that outputs of nodes took at once in any run.
    pub(crate) peak_bytes: AtomicU64,
}

impl Plan {
    pub(crate) fn new(model: TypedModel) -> TractResult<Plan> {
        let plan = TypedSimplePlan::new(model)?;
        let model = plan.model();
        let size_bytes = model.nodes().iter().map(|node| known_size(node, None)).collect();
        let mut constants: HashMap<*const Tensor, u64> = HashMap::new();
        for node in model.nodes() {
            if let Some(constant) = node.op_as::<Const>() {
                let size = node.outputs.first().and_then(|output| output.fact.mem_size().as_i64());
                constants.insert(Arc::as_ptr(constant.val()), size.unwrap_or(0).unsigned_abs());
            }
        }
        Ok(Plan {
            released: released(model, plan.order_without_consts()),
            size_bytes,
            weight_bytes: constants.values().sum(),
            idle: Mutex::new(Vec::new()),
            peak_bytes: AtomicU64::new(0),
            plan,
        })
    }

    /// Runs once; `inputs` are those that did not become constants.
    pub(crate) fn run(&self, inputs: TVec<TValue>, budget: &RunBudget<'_>) -> Result<TVec<TValue>, Failure> {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let mut meter = Meter::new(self, budget);
        let run = stop::catch(|| {
            let mut state = idle.map_or_else(|| self.plan.spawn(), Ok)?;
            let outputs = state.run_plan_with_eval(inputs, |context, op_state, node, inputs| -> TractResult<_> {
                meter.before(node, &inputs, context)?;
                let outputs = tract_onnx::tract_core::plan::eval(context, op_state, node, inputs)?;
                meter.after(node, &outputs)?;
                Ok(outputs)
            })?;
            Ok((outputs, state))
        });
        self.peak_bytes.fetch_max(meter.peak_bytes, Ordering::Relaxed);
        // A run that failed leaves its state in between: it is dropped.
        let (outputs, state) = run?;
        // Loops remember what their last run left: theirs is not reused either.
        if state.op_states.iter().all(Option::is_none)
            && let Ok(mut idle) = self.idle.lock()
            && idle.len() < MOST_IDLE_STATES
        {
            idle.push(state);
        }
        Ok(outputs)
    }
}

/// Counts the bytes of live tensors while a plan runs.
struct Meter<'a> {
    plan: &'a Plan,
    limits: Limits<'a>,
    budget_bytes: Option<u64>,
    live_bytes: u64,
    by_node: Vec<u64>,
    peak_bytes: u64,
}

impl<'a> Meter<'a> {
    fn new(plan: &'a Plan, budget: &RunBudget<'a>) -> Meter<'a> {
        let by_node = vec![0; plan.size_bytes.len()];
        let (limits, budget_bytes) = (Limits::new(budget), budget.memory_bytes);
        Meter { plan, limits, budget_bytes, live_bytes: 0, by_node, peak_bytes: 0 }
    }

    /// Asks for time, and for memory as far as the size of the outputs can be told.
    fn before(&self, node: &TypedNode, inputs: &TVec<TValue>, context: &EvalContext<'_>) -> Result<(), Stop> {
        self.limits.check_time(&node.name)?;
        let known = self.plan.size_bytes.get(node.id).copied().flatten();
        let needed = known.or_else(|| known_size(node, Some(context))).or_else(|| size_from_inputs(node, inputs));
        self.check_memory(node, needed.unwrap_or(0))
    }

    /// Counts what was computed, and forgets what nobody needs any more.
    fn after(&mut self, node: &TypedNode, outputs: &TVec<TValue>) -> Result<(), Stop> {
        let size: u64 = outputs.iter().map(|output| (output.len() * output.datum_type().size_of()) as u64).sum();
        // What a fact says counts packed panels, too, which `len` does not.
        let size = size.max(self.plan.size_bytes.get(node.id).copied().flatten().unwrap_or(0));
        self.check_memory(node, size)?;
        self.live_bytes += size;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        if let Some(slot) = self.by_node.get_mut(node.id) {
            *slot = size;
        }
        for released in self.plan.released.get(node.id).into_iter().flatten() {
            if let Some(slot) = self.by_node.get_mut(*released) {
                self.live_bytes -= std::mem::take(slot);
            }
        }
        Ok(())
    }

    fn check_memory(&self, node: &TypedNode, more_bytes: u64) -> Result<(), Stop> {
        let needed_bytes = self.live_bytes.saturating_add(more_bytes);
        match self.budget_bytes {
            Some(budget_bytes) if needed_bytes > budget_bytes => {
                Err(Stop::Memory { node: node.name.clone(), needed_bytes, budget_bytes })
            }
            _ => self.limits.check_tensor(&node.name, more_bytes),
        }
    }
}

/// What the outputs of a node take together, if their facts tell.
fn known_size(node: &TypedNode, context: Option<&EvalContext<'_>>) -> Option<u64> {
    let size = |fact: &TypedFact| {
        let dims = fact.shape.dims().iter().map(|dim| match context {
            Some(context) => dim.eval(context.symbols).as_i64(),
            None => dim.as_i64(),
        });
        let plain = stop::size_bytes(dims.collect::<Option<Vec<_>>>()?, fact.datum_type.size_of());
        let packed = fact.exotic_fact().map_or(Some(0), |fact| fact.mem_size().as_i64());
        Some(plain.saturating_add(packed?.unsigned_abs()))
    };
    node.outputs.iter().try_fold(0, |sum: u64, output| Some(sum.saturating_add(size(&output.fact)?)))
}

/// What the output of a node takes whose shape is in its inputs' values: the two of tract's operators that can make
/// much of little.
fn size_from_inputs(node: &TypedNode, inputs: &TVec<TValue>) -> Option<u64> {
    let number = |tensor: &Tensor| tensor.cast_to_scalar::<f64>().ok();
    let elements = match node.op.name().as_ref() {
        "Range" => {
            let [start, end, step] = inputs.as_slice() else { return None };
            let (start, end, step) = (number(start)?, number(end)?, number(step)?);
            ((end - start) / step).ceil().max(0.0)
        }
        "DynTile" => {
            let [data, repeats] = inputs.as_slice() else { return None };
            let repeats = repeats.cast_to::<TDim>().ok()?;
            let repeats = repeats.cast_to::<i64>().ok()?;
            let repeats = repeats.try_as_plain_ram().ok()?;
            repeats.as_slice::<i64>().ok()?.iter().fold(data.len() as f64, |product, repeat| product * *repeat as f64)
        }
        _ => return None,
    };
    // A float cast saturates, and NaN becomes 0.
    Some((elements as u64).saturating_mul(inputs.first()?.datum_type().size_of() as u64))
}

/// By node: the nodes whose outputs are used last there. Outputs of the model are never released.
fn released(model: &TypedModel, order: &[usize]) -> Vec<Vec<usize>> {
    let mut released = vec![Vec::new(); model.nodes().len()];
    let mut needed_later: Vec<bool> = vec![false; model.nodes().len()];
    for output in &model.outputs {
        needed_later[output.node] = true;
    }
    for id in order.iter().rev() {
        for input in &model.node(*id).inputs {
            if !needed_later[input.node] {
                needed_later[input.node] = true;
                released[*id].push(input.node);
            }
        }
    }
    released
}
