//! Nodes and constants that nobody uses.

use super::{Tally, uses};
use crate::import::model::{Model, for_each_body, index};
use crate::import::schema;
use pannier_graph::{Body, Node};

/// Removes nodes whose outputs nobody uses, and constants that nobody uses. Optional outputs that nobody uses become
/// absent.
pub(super) fn remove(model: &mut Model, tally: &mut Tally) {
    let mut body = std::mem::take(&mut model.body);
    let mut removed = 0;
    loop {
        let counts = uses::count(&body, model.len());
        let round = remove_once(&mut body, &counts);
        removed += round;
        if round == 0 {
            model.constants.retain(|value, _| counts.get(index(*value)).is_some_and(|count| *count > 0));
            break;
        }
    }
    model.body = body;
    tally.add(["removed 1 unused node", "removed # unused nodes"], removed);
}

fn remove_once(body: &mut Body, counts: &[u32]) -> usize {
    let mut removed = 0;
    for_each_body(body, &mut |body| {
        let before = body.nodes.len();
        body.nodes.retain(|node| node.outputs.iter().flatten().any(|output| counts.get(index(*output)) != Some(&0)));
        removed += before - body.nodes.len();
        body.nodes.iter_mut().for_each(|node| drop_outputs(node, counts));
    });
    removed
}

fn drop_outputs(node: &mut Node, counts: &[u32]) {
    let Some(operator) = schema::find(&node.domain, &node.op) else { return };
    let (least, most) = operator.outputs().into_inner();
    // Where any number of outputs is allowed, how many there are has a meaning.
    if most == usize::MAX {
        return;
    }
    for output in node.outputs.iter_mut().skip(least) {
        if output.is_some_and(|value| counts.get(index(value)) == Some(&0)) {
            *output = None;
        }
    }
    while node.outputs.len() > least && node.outputs.last() == Some(&None) {
        node.outputs.pop();
    }
}
