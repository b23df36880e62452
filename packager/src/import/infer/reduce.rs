//! Reductions.

use super::{Outcome, Size, View, axis, known, typed};
use crate::import::model::Attributes;
use pannier_graph::DType;

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean" | "ReduceMin"
        | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => Ok(vec![typed(view.dtype(0), reduced(view))]),
        "ArgMax" | "ArgMin" => Ok(vec![typed(Some(DType::I64), arg(view))]),
        "TopK" => {
            let k = view.ints(1).and_then(|k| u64::try_from(*k.first()?).ok()).and_then(known);
            let shape = top(view, k);
            Ok(vec![typed(view.dtype(0), shape.clone()), typed(Some(DType::I64), shape)])
        }
        _ => return None,
    })
}

fn reduced(view: &View<'_>) -> Option<Vec<Size>> {
    let shape = view.shape(0)?;
    let keep = view.node.int_or("keepdims", 1) != 0;
    let axes: Vec<usize> = match view.input(1) {
        None if view.node.int_or("noop_with_empty_axes", 0) != 0 => return Some(shape.to_vec()),
        None => (0..shape.len()).collect(),
        Some(_) => match view.ints(1) {
            None => return keep.then(|| vec![None; shape.len()]),
            Some(axes) if axes.is_empty() => match view.node.int_or("noop_with_empty_axes", 0) {
                0 => (0..shape.len()).collect(),
                _ => Vec::new(),
            },
            Some(axes) => axes.into_iter().map(|value| axis(value, shape.len())).collect::<Option<_>>()?,
        },
    };
    Some(without(shape, &axes, keep))
}

/// A shape with some axes reduced to 1 or left out.
fn without(shape: &[Size], axes: &[usize], keep: bool) -> Vec<Size> {
    let reduced = shape.iter().enumerate().filter_map(|(position, size)| match (axes.contains(&position), keep) {
        (false, _) => Some(size.clone()),
        (true, true) => Some(known(1)),
        (true, false) => None,
    });
    reduced.collect()
}

fn arg(view: &View<'_>) -> Option<Vec<Size>> {
    let shape = view.shape(0)?;
    let along = axis(view.node.int_or("axis", 0), shape.len())?;
    Some(without(shape, &[along], view.node.int_or("keepdims", 1) != 0))
}

fn top(view: &View<'_>, k: Size) -> Option<Vec<Size>> {
    let mut shape = view.shape(0)?.to_vec();
    let along = axis(view.node.int_or("axis", -1), shape.len())?;
    *shape.get_mut(along)? = k;
    Some(shape)
}
