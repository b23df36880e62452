//! What does nothing goes away; what keeps the bytes becomes a view; what nobody uses is dropped.

use super::Context;
use super::rewrite::Rewrite;
use crate::import::Stop;
use crate::ir::{Ir, Node, Op};
use crate::ops;
use crate::shape;
use crate::strided::Strided;
use pannier_graph::Attribute;

pub(super) fn run(ir: &mut Ir, _: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        simplify(rewrite, node);
        Ok(())
    })
}

fn simplify(rewrite: &mut Rewrite<'_>, node: Node) {
    let (Some(standard), Some(input)) = (node.standard(), node.input(0)) else { return rewrite.emit(node) };
    let single = node.outputs.iter().flatten().count() == 1;
    let Some(output) = node.output().filter(|_| single) else { return rewrite.emit(node) };
    let (from, to) = (&rewrite.ir.values[input], &rewrite.ir.values[output]);
    let target = to.shape.clone();
    match standard.op.as_str() {
        "Identity" | "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let same = rewrite.reshaped(input, &target);
            rewrite.rename(output, same);
        }
        "Cast" | "CastLike" if from.dtype == to.dtype => rewrite.rename(output, input),
        "Expand" | "Tile" if from.shape == to.shape => rewrite.rename(output, input),
        "Sum" | "Max" | "Min" | "Mean" | "Concat" if node.inputs.len() == 1 => rewrite.rename(output, input),
        "Transpose" => {
            let perm = match standard.attribute("perm") {
                Some(Attribute::Ints(perm)) => Some(perm.as_slice()),
                _ => None,
            };
            match ops::transpose_order(perm, from.shape.len()) {
                Ok(perm) => {
                    let transposed = rewrite.transposed(input, &perm);
                    rewrite.rename(output, transposed);
                }
                Err(_) => rewrite.emit(node),
            }
        }
        "Slice" => match sliced(rewrite.ir, &node).and_then(|part| part.contiguous()) {
            Some(_) if target == from.shape => rewrite.rename(output, input),
            Some(first) => rewrite.emit(Node { op: Op::Part { first }, inputs: vec![Some(input)], ..node }),
            None => rewrite.emit(node),
        },
        "Gather" => match gathered(rewrite.ir, &node) {
            Some(first) => rewrite.emit(Node { op: Op::Part { first }, inputs: vec![Some(input)], ..node }),
            None => rewrite.emit(node),
        },
        _ => rewrite.emit(node),
    }
}

/// What a `Slice` with known operands reads.
fn sliced(ir: &Ir, node: &Node) -> Option<Strided> {
    let ints = |index: usize| match node.input(index) {
        Some(id) => ir.values[id].ints().map(Some),
        None => Some(None),
    };
    let (starts, ends, axes, steps) = (ints(1)??, ints(2)??, ints(3)?, ints(4)?);
    ops::sliced(ir.shape(node.input(0)?), &starts, &ends, axes.as_deref(), steps.as_deref()).ok()
}

/// Where the elements begin that a `Gather` with one known index takes, if nothing lies between them.
fn gathered(ir: &Ir, node: &Node) -> Option<usize> {
    let (data, index) = (ir.shape(node.input(0)?), ir.values[node.input(1)?].ints()?);
    let axis = match node.standard()?.attribute("axis") {
        Some(Attribute::Int(axis)) => shape::axis(*axis, data.len()).ok()?,
        _ => 0,
    };
    let &[index] = index.as_slice() else { return None };
    let (outer, along, inner) = shape::around(data, axis);
    let size = i64::try_from(along).ok()?;
    let index = usize::try_from(if index < 0 { index + size } else { index }).ok().filter(|index| *index < along)?;
    (outer == 1).then_some(index * inner)
}

/// Drops nodes whose results nobody uses, and the bytes of constants that no node reads.
pub(crate) fn dead_code(ir: &mut Ir) {
    let mut wanted = vec![false; ir.values.len()];
    ir.outputs.iter().for_each(|id| wanted[*id] = true);
    let mut kept = Vec::with_capacity(ir.nodes.len());
    for mut node in std::mem::take(&mut ir.nodes).into_iter().rev() {
        for output in &mut node.outputs {
            *output = output.filter(|id| wanted[*id]);
        }
        if node.outputs.iter().flatten().next().is_some() {
            node.inputs.iter().flatten().for_each(|id| wanted[*id] = true);
            kept.push(node);
        }
    }
    kept.reverse();
    ir.nodes = kept;
    for (value, wanted) in ir.values.iter_mut().zip(wanted) {
        if !wanted {
            value.constant = None;
        }
    }
}
