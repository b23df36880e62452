//! Runs of tract's models, operator by operator, with an eye on time and memory.

use crate::nested::Nested;
use crate::stop::{self, Limits, Stop};
use pannier_engine::RunBudget;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::EvalContext;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::TDim;

/// A model in evaluation order, and what is known of its memory before anything runs.
pub(crate) struct Metered {
    plan: Arc<TypedSimplePlan>,
    /// By node: what its outputs take, if that is known.
    size_bytes: Vec<Option<u64>>,
    /// By node: the nodes whose outputs nobody needs after it.
    released: Vec<Vec<usize>>,
    /// By node: the bodies of a loop or a branch.
    nested: Vec<Option<Nested>>,
}

impl Metered {
    pub(crate) fn new(model: impl Into<Arc<TypedModel>>) -> TractResult<Metered> {
        Metered::of(TypedSimplePlan::new(model)?)
    }

    pub(crate) fn of(plan: Arc<TypedSimplePlan>) -> TractResult<Metered> {
        let model = plan.model();
        Ok(Metered {
            size_bytes: model.nodes().iter().map(|node| known_size(node, None)).collect(),
            released: released(model, plan.order_without_consts()),
            nested: model.nodes().iter().map(Nested::of).collect::<TractResult<_>>()?,
            plan,
        })
    }

    pub(crate) fn plan(&self) -> &Arc<TypedSimplePlan> {
        &self.plan
    }

    /// Runs once.
    ///
    /// # Errors
    /// A [`Stop`], or tract's error.
    pub(crate) fn run(
        &self,
        state: &mut TypedSimpleState,
        inputs: TVec<TValue>,
        meter: &mut Meter<'_>,
    ) -> TractResult<TVec<TValue>> {
        let mut by_node = vec![0; self.size_bytes.len()];
        let outputs = state.run_plan_with_eval(inputs, |context, op_state, node, inputs| -> TractResult<_> {
            // An input takes no time, and a stop there could not be told to anybody: it is no operator of the program.
            if !node.op_is::<TypedSource>() {
                meter.limits.check_time(&node.name)?;
            }
            let known = self.size_bytes.get(node.id).copied().flatten();
            let needed = known.or_else(|| known_size(node, Some(context))).or_else(|| size_from_inputs(node, &inputs));
            meter.check_memory(node, needed.unwrap_or(0))?;
            let outputs = match self.nested.get(node.id) {
                Some(Some(nested)) => nested.run(context, node, inputs, meter)?,
                _ => tract_onnx::tract_core::plan::eval(context, op_state, node, inputs)?,
            };
            // What a fact says counts packed panels, too, which `len` does not.
            let size = outputs.iter().map(|output| tensor_bytes(output)).sum::<u64>().max(known.unwrap_or(0));
            meter.take(node, size)?;
            if let Some(slot) = by_node.get_mut(node.id) {
                *slot = size;
            }
            for released in self.released.get(node.id).into_iter().flatten() {
                meter.release(by_node.get_mut(*released).map_or(0, std::mem::take));
            }
            Ok(outputs)
        })?;
        // Whoever asked counts the outputs.
        meter.release(by_node.iter().sum());
        Ok(outputs)
    }
}

/// Counts the bytes of live tensors while models run, one in the other.
pub(crate) struct Meter<'a> {
    pub(crate) limits: Limits<'a>,
    budget_bytes: Option<u64>,
    live_bytes: u64,
    peak_bytes: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(budget: &RunBudget<'a>) -> Meter<'a> {
        Meter { limits: Limits::new(budget), budget_bytes: budget.memory_bytes, live_bytes: 0, peak_bytes: 0 }
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Counts tensors that came into being.
    pub(crate) fn take(&mut self, node: &TypedNode, size_bytes: u64) -> Result<(), Stop> {
        self.check_memory(node, size_bytes)?;
        self.live_bytes += size_bytes;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        Ok(())
    }

    /// Forgets tensors that are gone.
    pub(crate) fn release(&mut self, size_bytes: u64) {
        self.live_bytes = self.live_bytes.saturating_sub(size_bytes);
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

/// What the elements of a tensor take.
pub(crate) fn tensor_bytes(tensor: &Tensor) -> u64 {
    (tensor.len() * tensor.datum_type().size_of()) as u64
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
