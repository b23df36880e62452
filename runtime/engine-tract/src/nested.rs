//! Loops and branches, run by us so that budgets hold inside of them as well.

use crate::metered::{Meter, Metered, tensor_bytes};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::EvalContext;
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_core::ops::scan::{InputMapping, OptScan};
use tract_onnx::tract_hir::internal::{DimLike as _, TractErrorContext as _, bail};

/// The bodies of a node.
pub(crate) enum Nested {
    Loop(Metered),
    Branches { then: Metered, otherwise: Metered },
}

impl Nested {
    /// The bodies of a node, if it has any that are run here.
    pub(crate) fn of(node: &TypedNode) -> TractResult<Option<Nested>> {
        if let Some(op) = node.op_as::<OptScan>() {
            return Ok(Some(Nested::Loop(Metered::of(op.plan.clone())?)).filter(|_| steps_by_one(op)));
        }
        let Some(op) = node.op_as::<IfThenElse>() else { return Ok(None) };
        let then = Metered::new(op.then_body.clone())?;
        Ok(Some(Nested::Branches { then, otherwise: Metered::new(op.else_body.clone())? }))
    }

    /// What the node gives.
    ///
    /// # Errors
    /// A [`Stop`](crate::stop::Stop), or tract's error.
    pub(crate) fn run(
        &self,
        context: &EvalContext<'_>,
        node: &TypedNode,
        inputs: TVec<TValue>,
        meter: &mut Meter<'_>,
    ) -> TractResult<TVec<TValue>> {
        match self {
            Nested::Loop(body) => {
                let op = node.op_as::<OptScan>().context("not a loop")?;
                run_loop(op, body, context, node, &inputs, meter)
            }
            Nested::Branches { then, otherwise } => {
                let op = node.op_as::<IfThenElse>().context("not a branch")?;
                let (body, places) = match condition(&inputs)? {
                    true => (then, &op.then_input_mapping),
                    false => (otherwise, &op.else_input_mapping),
                };
                let inputs = places.iter().map(|place| inputs.get(*place).cloned()).collect::<Option<_>>();
                body.run(&mut body.plan().spawn()?, inputs.context("a branch without its inputs")?, meter)
            }
        }
    }
}

fn condition(inputs: &[TValue]) -> TractResult<bool> {
    inputs.first().context("a branch without a condition")?.cast_to_scalar::<bool>()
}

/// Whether a loop does what loops of ONNX do. tract has others, of its own making, which it runs itself.
fn steps_by_one(op: &OptScan) -> bool {
    op.skip == 0 && op.input_mapping.iter().filter_map(InputMapping::as_scan).all(|scan| scan.chunk.unsigned_abs() == 1)
}

fn run_loop(
    op: &OptScan,
    body: &Metered,
    context: &EvalContext<'_>,
    node: &TypedNode,
    inputs: &[TValue],
    meter: &mut Meter<'_>,
) -> TractResult<TVec<TValue>> {
    let scanned = op.input_mapping.iter().zip(inputs).find_map(|(mapping, input)| Some((mapping.as_scan()?, input)));
    let (scan, input) = scanned.context("a loop over nothing")?;
    let steps = input.shape()[scan.axis];
    let mut carried: Vec<TValue> = Vec::new();
    carried
        .extend(op.input_mapping.iter().zip(inputs).filter(|(mapping, _)| mapping.is_state()).map(|it| it.1.clone()));

    // By output of the body: what it gathers over all steps.
    let mut gathered: Vec<Option<Tensor>> = Vec::new();
    for (index, mapping) in op.output_mapping.iter().enumerate() {
        let whole = mapping.scan.map(|(_, scan)| {
            let fact = body.plan().model().output_fact(index)?;
            let mut shape = fact.shape.eval_to_usize(context.symbols)?.into_owned();
            let hint = mapping.full_dim_hint.as_ref().and_then(|dim| dim.to_usize().ok());
            shape[scan.axis] = hint.unwrap_or(shape[scan.axis] * steps);
            Tensor::zero_dt(fact.datum_type, &shape)
        });
        gathered.push(whole.transpose()?);
    }
    let gathered_bytes = gathered.iter().flatten().map(tensor_bytes).sum();
    meter.take(node, gathered_bytes)?;

    let mut last: Vec<Option<TValue>> = vec![None; op.output_mapping.len()];
    let mut state = body.plan().spawn()?;
    for step in 0..steps {
        meter.limits.check_time(&node.name)?;
        let mut states = std::mem::take(&mut carried).into_iter();
        let mut step_inputs: TVec<TValue> = tvec!();
        for (mapping, input) in op.input_mapping.iter().zip(inputs) {
            step_inputs.push(match mapping {
                InputMapping::Full => input.clone(),
                InputMapping::State => states.next().context("a loop lost its state")?,
                InputMapping::Scan(_) if steps == 1 => input.clone(),
                InputMapping::Scan(scan) => {
                    let at = if scan.chunk < 0 { steps - 1 - step } else { step };
                    input.slice(scan.axis, at, at + 1)?.into_tvalue()
                }
            });
        }
        let outputs = body.run(&mut state, step_inputs, meter)?;
        for (((value, mapping), whole), last) in
            outputs.into_iter().zip(&op.output_mapping).zip(&mut gathered).zip(&mut last)
        {
            if let (Some(whole), Some((_, scan))) = (whole, mapping.scan) {
                let (full, size) = (whole.shape()[scan.axis], value.shape()[scan.axis]);
                let at = if scan.chunk < 0 { full.checked_sub((step + 1) * size) } else { Some(step * size) };
                let Some(at) = at.filter(|at| at + size <= full) else { bail!("a step gives more than fits") };
                whole.assign_slice(at..at + size, &value, 0..size, scan.axis)?;
            }
            if mapping.state {
                carried.push(value.clone());
            }
            *last = mapping.last_value_slot.map(|_| value);
        }
    }
    meter.release(gathered_bytes);

    // Without a step, the last state is the first one.
    let mut states = carried.into_iter();
    let mut outputs: Vec<(usize, TValue)> = Vec::new();
    for ((mapping, whole), last) in op.output_mapping.iter().zip(gathered).zip(last) {
        let state = if mapping.state { states.next() } else { None };
        if let (Some((slot, _)), Some(whole)) = (mapping.scan, whole) {
            outputs.push((slot, whole.into_tvalue()));
        }
        if let Some(slot) = mapping.last_value_slot {
            outputs.push((slot, last.or(state).context("a loop without a step gives nothing")?));
        }
    }
    outputs.sort_by_key(|(slot, _)| *slot);
    Ok(outputs.into_iter().map(|(_, value)| value).collect())
}
