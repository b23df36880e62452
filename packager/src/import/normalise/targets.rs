//! Shapes that are computed from the input's own shape, made constant.

use super::Tally;
use crate::import::model::{Attributes, Constant, Element, Model, for_each_body, input};
use pannier_graph::{Dim, Node, ValueId};

/// Gives `Reshape` a constant target where only its batch size or the like is not known: a dimension that stays in its
/// place is written 0 (copy), and one other may be written -1 (what is left).
pub(super) fn constant(model: &mut Model, tally: &mut Tally) {
    let mut body = std::mem::take(&mut model.body);
    let mut changed = 0;
    for_each_body(&mut body, &mut |body| {
        for node in &mut body.nodes {
            let Some((target, ints)) = target(model, node) else { continue };
            let name = model.name(target).to_owned();
            let value = model.constant(&name, Constant::ints_1d(&ints));
            node.inputs[1] = Some(value);
            changed += 1;
        }
    });
    model.body = body;
    tally.add(["made 1 computed shape constant", "made # computed shapes constant"], changed);
}

/// The target of a `Reshape` that is not constant, and the constant that does the same.
fn target(model: &Model, node: &Node) -> Option<(ValueId, Vec<i64>)> {
    if node.op != "Reshape" || !node.domain.is_empty() || node.int_or("allowzero", 0) != 0 {
        return None;
    }
    let target = input(node, 1).filter(|target| !model.constants.contains_key(target))?;
    let elements = model.r#type(target).elements.as_ref()?;
    let from = model.r#type(input(node, 0)?).shape.as_deref().unwrap_or_default();
    let mut ints = Vec::with_capacity(elements.len());
    for (position, element) in elements.iter().enumerate() {
        ints.push(match element {
            Element::Known(value) => *value,
            Element::Symbol(name) if from.get(position) == Some(&Some(Dim::Symbol(name.clone()))) => 0,
            Element::Symbol(_) | Element::Unknown => -1,
        });
    }
    // Two unknowns cannot be told apart, and nothing can be inferred beside an empty dimension.
    let inferred = ints.iter().filter(|value| **value == -1).count();
    let empty = elements.contains(&Element::Known(0));
    (inferred == 0 || inferred == 1 && !empty).then_some((target, ints))
}
