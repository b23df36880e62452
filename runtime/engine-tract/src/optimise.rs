//! tract's optimiser, one step at a time.
//!
//! The passes and their order are tract's. The loop around them is ours, so that the watch is asked before every step,
//! and so that the time for a step does not grow with the model where it need not.

use crate::patch::Patcher;
use crate::stop::Limits;
use std::collections::{BTreeMap, HashSet};
use tract_onnx::tract_core::ops::dummy::Dummy;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};
use tract_onnx::tract_hir::internal::*;

/// tract merges the axes of matrix products in one go that cannot be stopped and takes about two microseconds for each
/// pair of a product and a node (measured: chains of products of rank 4, development build). With more pairs than these,
/// axes stay as they are.
const MOST_MERGING: usize = 1_000_000;

/// Rewrites a model and the bodies in it into what runs fastest here.
///
/// # Errors
/// A [`Stop`](crate::stop::Stop), or tract's error.
pub(crate) fn optimise(model: &mut TypedModel, limits: &Limits<'_>) -> TractResult<()> {
    // Bodies first: tract would take each of them in one step.
    for_each_body(model, |body| run(&Optimizer::declutter(), body, limits))?;
    run(&Optimizer::declutter(), model, limits)?;
    for_each_body(model, |body| optimise(body, limits))?;
    for node in &mut model.nodes {
        if let Some(scan) = node.op_as::<Scan>() {
            node.op = Box::new(scan.to_codegen_op(false)?);
        }
    }
    run(&Optimizer::codegen(), model, limits)
}

/// Applies `work` to the bodies of loops and branches.
fn for_each_body(model: &mut TypedModel, mut work: impl FnMut(&mut TypedModel) -> TractResult<()>) -> TractResult<()> {
    for node in &mut model.nodes {
        if let Some(scan) = node.op_as_mut::<Scan>() {
            work(&mut scan.body)?;
            scan.decluttered = true;
        } else if let Some(branches) = node.op_as_mut::<IfThenElse>() {
            work(&mut branches.then_body)?;
            work(&mut branches.else_body)?;
        }
    }
    Ok(())
}

/// Runs passes until none of them finds anything.
fn run(optimizer: &Optimizer, model: &mut TypedModel, limits: &Limits<'_>) -> TractResult<()> {
    let _proofs = model.symbols.proof_cache_session();
    let mut session = optimizer.session();
    let mut passes: Vec<Pass> = optimizer.passes.iter().cloned().map(Pass::new).collect();
    let mut seen = HashSet::new();
    model.compact()?;
    loop {
        let mut steps = 0;
        for pass in &mut passes {
            loop {
                let found = pass.run(&mut session, model, limits, &mut seen)?;
                limits.check_time("")?;
                model.compact()?;
                steps += found;
                if found == 0 {
                    break;
                }
            }
        }
        if steps == 0 {
            return Ok(());
        }
    }
}

/// What an operator makes of itself, if it makes anything.
type Rule = fn(&dyn TypedOp, &mut OptimizerSession, &TypedModel, &TypedNode) -> TractResult<Option<TypedModelPatch>>;

/// One of tract's passes, or what does the same in smaller steps.
enum Pass {
    Tract(Box<dyn TypedPass>),
    /// Asks every operator in turn.
    Rule {
        rule: Rule,
        next: usize,
    },
    /// Keeps one of several equal nodes.
    Unify,
    /// Merges axes of matrix products.
    Merge(Box<dyn TypedPass>),
}

impl Pass {
    /// tract's passes have no public types, but names.
    fn new(pass: Box<dyn TypedPass>) -> Pass {
        let rule = |rule: Rule| Pass::Rule { rule, next: 0 };
        match format!("{pass:?}").as_str() {
            "declutter" => rule(TypedOp::declutter_with_session),
            "codegen" => rule(|op, _, model, node| op.codegen(model, node)),
            "fuse" => rule(|op, _, model, node| op.fuse(model, node)),
            "PushSplitDown" => Pass::Unify,
            "MergeConsecutiveSameRoleAxes" => Pass::Merge(pass),
            _ => Pass::Tract(pass),
        }
    }

    /// Applies everything that the pass finds from the first node on; how much that was.
    fn run(
        &mut self,
        session: &mut OptimizerSession<'_>,
        model: &mut TypedModel,
        limits: &Limits<'_>,
        seen: &mut HashSet<String>,
    ) -> TractResult<usize> {
        let mut patcher = None;
        let mut steps = 0;
        self.reset()?;
        while let Some(mut patch) = self.next(session, model, limits)? {
            if patch.dont_apply_twice.take().is_some_and(|what| !seen.insert(what)) {
                continue;
            }
            patcher.get_or_insert_with(|| Patcher::new(model)).apply(patch, model)?;
            steps += 1;
        }
        limits.check_time("")?;
        // As soon as they are there, before anything computes with them.
        crate::ops::mend_squares(model);
        match self {
            Pass::Merge(pass) if merging(model) <= MOST_MERGING => _ = pass.run_direct(model)?,
            Pass::Tract(pass) => _ = pass.run_direct(model)?,
            _ => {}
        }
        Ok(steps)
    }

    fn reset(&mut self) -> TractResult<()> {
        match self {
            Pass::Tract(pass) | Pass::Merge(pass) => pass.reset(),
            Pass::Rule { next, .. } => {
                *next = 0;
                Ok(())
            }
            Pass::Unify => Ok(()),
        }
    }

    fn next(
        &mut self,
        session: &mut OptimizerSession<'_>,
        model: &TypedModel,
        limits: &Limits<'_>,
    ) -> TractResult<Option<TypedModelPatch>> {
        match self {
            Pass::Tract(pass) | Pass::Merge(pass) => {
                limits.check_time("")?;
                pass.next(session, model)
            }
            Pass::Rule { rule, next } => {
                for node in model.nodes.iter().skip(*next).filter(|node| !node.op_is::<Dummy>()) {
                    limits.check_time(&node.name)?;
                    let patch = rule(node.op.as_ref(), session, model, node);
                    if let Some(patch) = patch.with_context(|| format!("optimising {}", node.name))? {
                        // The same node again, unless that would be the same patch again.
                        *next = node.id + usize::from(patch.dont_apply_twice.is_some());
                        return Ok(Some(patch));
                    }
                }
                Ok(None)
            }
            Pass::Unify => unify(model, limits),
        }
    }
}

/// What merging axes costs.
fn merging(model: &TypedModel) -> usize {
    let products = model.nodes.iter().filter(|node| node.op_is::<EinSum>()).count();
    products.saturating_mul(model.nodes.len())
}

/// Leads to one of several equal nodes what all of them feed.
fn unify(model: &TypedModel, limits: &Limits<'_>) -> TractResult<Option<TypedModelPatch>> {
    let mut patch = TypedModelPatch::default();
    let mut superfluous: HashSet<usize> = HashSet::new();
    let outputs: HashSet<usize> = model.outputs.iter().map(|output| output.node).collect();
    for id in model.eval_order()? {
        for output in model.node(id).outputs.iter().filter(|output| output.successors.len() > 1) {
            let mut by_inputs: BTreeMap<&[OutletId], Vec<&TypedNode>> = BTreeMap::new();
            for successor in &output.successors {
                let node = model.node(successor.node);
                by_inputs.entry(&node.inputs).or_default().push(node);
            }
            for alike in by_inputs.into_values() {
                for (index, kept) in alike.iter().enumerate() {
                    limits.check_time(&kept.name)?;
                    if superfluous.contains(&kept.id) {
                        continue;
                    }
                    for node in alike.iter().skip(index + 1) {
                        // A node may be there twice: with the same input in two places.
                        let both_outputs = outputs.contains(&kept.id) && outputs.contains(&node.id);
                        if node.id == kept.id
                            || both_outputs
                            || superfluous.contains(&node.id)
                            || !kept.op().dyn_eq(node.op())
                        {
                            continue;
                        }
                        for slot in 0..node.outputs.len() {
                            let tap = patch.tap_model(model, OutletId::new(kept.id, slot))?;
                            patch.shunt_outside(model, OutletId::new(node.id, slot), tap)?;
                        }
                        patch.obliterate(node.id)?;
                        superfluous.insert(node.id);
                    }
                }
            }
        }
    }
    Ok(Some(patch).filter(|patch| !patch.is_empty()))
}
