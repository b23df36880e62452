//! `If` nodes whose condition is known.

use super::Tally;
use crate::import::emit::node;
use crate::import::infer;
use crate::import::model::{Model, for_each_body, input};
use pannier_graph::{Attribute, Body, Node};

/// Puts the branch that is taken in place of an `If` whose condition is constant.
pub(super) fn inline(model: &mut Model, tally: &mut Tally) {
    let mut body = std::mem::take(&mut model.body);
    let mut inlined = 0;
    for_each_body(&mut body, &mut |body| {
        let nodes = Vec::with_capacity(body.nodes.len());
        for node in std::mem::replace(&mut body.nodes, nodes) {
            match taken(&node, model) {
                Some(name) => {
                    inlined += 1;
                    replace(node, name, model, &mut body.nodes);
                }
                None => body.nodes.push(node),
            }
        }
    });
    model.body = body;
    tally.add(["inlined 1 If with a known condition", "inlined # If with known conditions"], inlined);
}

/// The attribute with the branch that is taken, if that is known.
fn taken(node: &Node, model: &Model) -> Option<&'static str> {
    if node.op != "If" || !node.domain.is_empty() {
        return None;
    }
    let condition = model.known(input(node, 0))?.bool_scalar()?;
    Some(if condition { "then_branch" } else { "else_branch" })
}

fn replace(mut taken: Node, name: &str, model: &mut Model, out: &mut Vec<Node>) {
    let branch = taken.attributes.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value);
    let Some(Attribute::Body(branch)) = branch else { return };
    let Body { nodes, outputs, .. } = std::mem::take(&mut **branch);
    out.extend(nodes);
    for (inner, outer) in outputs.into_iter().zip(&taken.outputs) {
        if outer.is_some() {
            let mut identity = node("Identity", vec![Some(inner)], vec![*outer], []);
            identity.name.clone_from(&taken.name);
            // The type of a value that is handed on cannot contradict anything.
            let _ = infer::node(model, &identity);
            out.push(identity);
        }
    }
}
