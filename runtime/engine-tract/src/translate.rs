//! From tract's model without types to its typed one, node by node.
//!
//! tract's own function for it analyses the whole model twice more and cannot be stopped.

use crate::stop::Limits;
use std::collections::{HashMap, HashSet};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::internal::*;

/// Translates a model that was analysed.
///
/// # Errors
/// A [`Stop`](crate::stop::Stop), or the error of the first node that has no typed form.
pub(crate) fn translate(source: &InferenceModel, limits: &Limits<'_>) -> TractResult<TypedModel> {
    let _proofs = source.symbols.proof_cache_session();
    let mut target = TypedModel { symbols: source.symbols.clone(), ..TypedModel::default() };
    let mut places: HashMap<OutletId, OutletId> = HashMap::new();
    let mut order = source.eval_order()?;
    // Inputs that nothing needs stay what they are: inputs.
    let reached: HashSet<usize> = order.iter().copied().collect();
    order.extend(source.inputs.iter().map(|input| input.node).filter(|node| !reached.contains(node)));
    for id in order {
        let node = source.node(id);
        limits.check_time(&node.name)?;
        let outlets =
            typed(source, node, &mut target, &places).with_context(|| format!("translating {}", node.name))?;
        for (slot, outlet) in outlets.into_iter().enumerate() {
            places.insert(OutletId::new(id, slot), outlet);
        }
    }
    let place = |outlet: &OutletId| places.get(outlet).copied().context("an outlet that was not translated");
    target.inputs = source.inputs.iter().map(place).collect::<TractResult<_>>()?;
    target.outputs = source.outputs.iter().map(place).collect::<TractResult<_>>()?;
    Ok(target)
}

/// One node: a constant where its value is known, otherwise what its operator makes of it.
fn typed(
    source: &InferenceModel,
    node: &InferenceNode,
    target: &mut TypedModel,
    places: &HashMap<OutletId, OutletId>,
) -> TractResult<TVec<OutletId>> {
    let values: Option<Vec<_>> = node.outputs.iter().map(|output| output.fact.value.concretize()).collect();
    // An input stays one even if its value is known, and state is more than a value.
    let constant = !InferenceModel::is_source(&node.op) && node.op.state(&EvalContext::out_of_plan())?.is_none();
    match values.filter(|_| constant) {
        // Not by `add_const`, which looks for an equal one among all that are there.
        Some(values) => {
            let constant = |(slot, value): (usize, Arc<Tensor>)| {
                let fact = TypedFact::try_from(value.clone())?;
                let id = target.add_node(format!("{}.{slot}", node.name), Const::new(value)?, tvec!(fact))?;
                Ok(OutletId::new(id, 0))
            };
            values.into_iter().enumerate().map(constant).collect()
        }
        None => node.op.to_typed(source, node, target, places),
    }
}
