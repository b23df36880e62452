//! Nodes that hand on what they get.

use super::{Tally, uses};
use crate::import::model::{Attributes, Model, for_each_body, input, output};
use pannier_graph::{Body, Node, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// Removes `Identity`, `Dropout` outside training, and casts, transpositions and reshapes that change nothing.
///
/// Names of graph outputs stay: where such a node gives an output, the node before it gives it under that name. If
/// there is none (the output is an input, or the value comes from around a nested body) the node stays.
pub(super) fn remove(model: &mut Model, tally: &mut Tally) {
    let mut body = std::mem::take(&mut model.body);
    let mut aliases: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    let mut removed = 0;
    for_each_body(&mut body, &mut |body| removed += remove_in(body, model, &mut aliases));
    let resolve = |value: ValueId| {
        let mut last = *aliases.get(&value)?;
        while let Some(next) = aliases.get(&last) {
            last = *next;
        }
        Some(last)
    };
    if removed > 0 {
        uses::replace_inputs(&mut body, &resolve);
    }
    model.body = body;
    tally.add(["removed 1 node that changes nothing", "removed # nodes that change nothing"], removed);
}

fn remove_in(body: &mut Body, model: &mut Model, aliases: &mut BTreeMap<ValueId, ValueId>) -> usize {
    let outputs: BTreeSet<ValueId> = body.outputs.iter().copied().collect();
    let mut produced: BTreeMap<ValueId, (usize, usize)> = BTreeMap::new();
    for (node, outputs) in body.nodes.iter().map(|node| &node.outputs).enumerate() {
        produced.extend(outputs.iter().enumerate().filter_map(|(slot, value)| Some(((*value)?, (node, slot)))));
    }
    let mut removed = vec![false; body.nodes.len()];
    for position in 0..body.nodes.len() {
        let Some((from, to)) = pass_through(&body.nodes[position], model) else { continue };
        if !outputs.contains(&to) {
            aliases.insert(to, from);
        } else if let Some(constant) = model.constants.get(&from).cloned() {
            model.set_constant(to, constant);
        } else if let Some(&(node, slot)) = produced.get(&from).filter(|_| !outputs.contains(&from)) {
            // The node before gives the output itself; others that used its value use the output.
            if removed[node] {
                continue;
            }
            body.nodes[node].outputs[slot] = Some(to);
            produced.remove(&from);
            produced.insert(to, (node, slot));
            aliases.insert(from, to);
        } else {
            continue;
        }
        removed[position] = true;
    }
    let mut removed_iter = removed.iter();
    body.nodes.retain(|_| removed_iter.next() != Some(&true));
    removed.iter().filter(|removed| **removed).count()
}

/// The value that a node hands on, and the value that it hands it on as.
fn pass_through(node: &Node, model: &Model) -> Option<(ValueId, ValueId)> {
    if !node.domain.is_empty() {
        return None;
    }
    let (from, to) = (input(node, 0)?, output(node, 0)?);
    let (before, after) = (model.r#type(from), model.r#type(to));
    let nothing = match node.op.as_str() {
        "Identity" => true,
        "Dropout" => {
            let training = input(node, 2).map(|value| model.constants.get(&value).and_then(|mode| mode.bool_scalar()));
            output(node, 1).is_none() && matches!(training, None | Some(Some(false)))
        }
        "Cast" | "CastLike" => before.dtype.is_some() && before.dtype == after.dtype,
        "Transpose" => node.ints("perm").is_some_and(|order| order.iter().copied().eq(0..order.len() as i64)),
        "Reshape" | "Expand" | "Squeeze" | "Unsqueeze" => {
            before.shape.is_some() && {
                // Each size must be known or have a name: two unknown sizes need not be the same.
                let named = before.shape.iter().flatten().all(Option::is_some);
                named && before.shape == after.shape
            }
        }
        _ => false,
    };
    nothing.then_some((from, to))
}
