//! tract's type and shape analysis, within bounds.
//!
//! The analysis evaluates every node whose inputs are all known. A file of a few bytes can ask for a terabyte that way,
//! so the size of each result is looked at before it is computed; tract's own loop leaves no place for that question.

use crate::stop::{self, Limits};
use std::collections::{BTreeSet, HashMap};
use tract_onnx::prelude::{DatumType, InferenceFact, InferenceModel, OutletId, TVec, TractResult, tvec};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::bail;

/// Analyses a model until nothing more becomes known. With `obstinate`, nodes that cannot be analysed are left alone.
///
/// # Errors
/// A [`Stop`](crate::stop::Stop), or the first node's error.
pub(crate) fn analyse(model: &mut InferenceModel, limits: &Limits<'_>, obstinate: bool) -> TractResult<()> {
    let mut observers: HashMap<OutletId, Vec<usize>> = HashMap::new();
    for node in model.nodes() {
        for outlet in node.op.observe_outlets(model, node)? {
            observers.entry(outlet).or_default().push(node.id);
        }
    }
    let mut pending: BTreeSet<usize> = (0..model.nodes().len()).collect();
    while let Some(id) = pending.pop_first() {
        limits.check_time(&model.node(id).name)?;
        check_result(model, id, limits)?;
        let changed = match analyse_node(model, id) {
            Ok(changed) => changed,
            Err(_) if obstinate => continue,
            Err(error) => return Err(error.context(format!("analysing {}", model.node(id).name))),
        };
        for (outlet, fact) in changed {
            // Again: one outlet may feed a node twice.
            let fact = fact.unify(model.outlet_fact(outlet)?)?;
            check_fact(&model.node(outlet.node).name, &fact, limits)?;
            model.set_outlet_fact(outlet, fact)?;
            let successors = &model.node(outlet.node).outputs[outlet.slot].successors;
            let concerned = successors.iter().map(|successor| successor.node).chain([outlet.node]);
            let concerned = concerned.chain(observers.get(&outlet).into_iter().flatten().copied());
            pending.extend(concerned.filter(|node| *node != id));
        }
    }
    Ok(())
}

/// What became known around a node.
fn analyse_node(model: &mut InferenceModel, id: usize) -> TractResult<Vec<(OutletId, InferenceFact)>> {
    let node = model.node(id);
    let inlets = node.inputs.clone();
    let outlets: Vec<OutletId> = (0..node.outputs.len()).map(|slot| OutletId::new(id, slot)).collect();
    let observed = node.op.observe_outlets(model, node)?;
    let facts = |outlets: &[OutletId]| -> TractResult<TVec<InferenceFact>> {
        outlets.iter().map(|outlet| Ok(model.outlet_fact(*outlet)?.clone())).collect()
    };
    let known = [facts(&inlets)?, facts(&outlets)?, facts(&observed)?];
    let [input_facts, output_facts, observed_facts] = known.each_ref().map(|facts| facts.iter().collect());
    let inferred = model.node_mut(id).op.infer(input_facts, output_facts, observed_facts)?;

    let mut changed = Vec::new();
    let places = [inlets.as_slice(), &outlets, &observed];
    for (outlets, inferred) in places.into_iter().zip([inferred.0, inferred.1, inferred.2]) {
        for (outlet, fact) in outlets.iter().zip(inferred) {
            let known = model.outlet_fact(*outlet)?;
            let unified = fact.unify(known)?;
            if unified != *known {
                changed.push((*outlet, unified));
            }
        }
    }
    Ok(changed)
}

/// Refuses a node that would be evaluated on the spot, to something too large.
fn check_result(model: &InferenceModel, id: usize, limits: &Limits<'_>) -> TractResult<()> {
    let node = model.node(id);
    let (inputs, outputs) = model.node_facts(id)?;
    check_operands(&node.name, &node.op.name(), &inputs, limits)?;
    if inputs.is_empty() || !inputs.iter().all(|fact| fact.value.is_concrete()) {
        return Ok(());
    }
    // Shapes only, no evaluation: on a copy, since operators may keep what they infer.
    let mut op = node.op.clone();
    match op.infer_facts(inputs, outputs, tvec!()) {
        Ok((_, outputs, _)) => outputs.iter().try_for_each(|fact| check_fact(&node.name, fact, limits)),
        // The analysis itself will say so.
        Err(_) => Ok(()),
    }
}

fn check_fact(node: &str, fact: &InferenceFact, limits: &Limits<'_>) -> TractResult<()> {
    let dims = fact.shape.concretize();
    let dims = dims.and_then(|dims| dims.iter().map(|dim| dim.as_i64()).collect::<Option<Vec<_>>>());
    let Some(dims) = dims else { return Ok(()) };
    let element_bytes = fact.datum_type.concretize().map_or(1, |datum| datum.size_of());
    Ok(limits.check_tensor(node, stop::size_bytes(dims, element_bytes))?)
}

/// Refuses operands that say how large a result is to be and do not fit 32 bits: tract would silently take their low
/// half.
fn check_operands(node: &str, op: &str, inputs: &[&InferenceFact], limits: &Limits<'_>) -> TractResult<()> {
    let operands = match op {
        "ConstantOfShape" | "Range" => inputs,
        "MultiBroadcastTo" | "Tile" | "Reshape" => inputs.get(1..).unwrap_or_default(),
        _ => return Ok(()),
    };
    let values = operands.iter().map(|fact| integers(fact)).collect::<Option<Vec<_>>>();
    let Some(values) = values else { return Ok(()) };
    let values = values.concat();
    if values.iter().all(|value| i32::try_from(*value).is_ok()) {
        return Ok(());
    }
    let elements = match (op, values.as_slice()) {
        ("Range", [start, end, step]) if *step != 0 => {
            let elements = (i128::from(*end) - i128::from(*start)) / i128::from(*step);
            u64::try_from(elements.max(0)).unwrap_or(u64::MAX)
        }
        _ => stop::size_bytes(values.iter().copied(), 1),
    };
    limits.check_tensor(node, elements)?;
    bail!("{op} with a number beyond 32 bits is not supported")
}

/// The integers of a small tensor whose value is known.
fn integers(fact: &InferenceFact) -> Option<Vec<i64>> {
    let tensor =
        fact.value.concretize().filter(|tensor| tensor.len() <= 64 && tensor.datum_type() == DatumType::I64)?;
    Some(tensor.try_as_plain_ram().ok()?.as_slice::<i64>().ok()?.to_vec())
}
