//! Matrix products and recurrent layers.

use super::elementwise::broadcast_shapes;
use super::{Outcome, Size, View, fixed, known, typed};
use crate::import::error::Why;
use crate::import::model::Attributes;
use crate::import::model::Type;
use pannier_graph::{DType, Dim};

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "MatMul" => product(view, 0, 1, view.dtype(0)),
        "MatMulInteger" => product(view, 0, 1, Some(DType::I32)),
        "QLinearMatMul" => product(view, 0, 3, view.dtype(7)),
        "Gemm" => gemm(view),
        "LSTM" | "GRU" | "RNN" => Ok(recurrent(view)),
        _ => return None,
    })
}

fn product(view: &View<'_>, a: usize, b: usize, dtype: Option<DType>) -> Outcome {
    let (Some(left), Some(right)) = (view.shape(a), view.shape(b)) else { return Ok(vec![typed(dtype, None)]) };
    let wrong = || view.mismatch(&[a, b]);
    let (Some(last), Some(first)) = (left.last(), right.get(right.len().saturating_sub(2))) else {
        return Err(wrong());
    };
    if let (Some(columns), Some(rows)) = (fixed(last), fixed(first))
        && columns != rows
    {
        return Err(wrong());
    }
    let outer = |shape: &'_ [Size]| shape.get(..shape.len().saturating_sub(2)).unwrap_or_default().to_vec();
    let mut shape = broadcast_shapes(&[&outer(left), &outer(right)]).ok_or_else(wrong)?;
    if let [.., rows, _] = left {
        shape.push(rows.clone());
    }
    if let [.., _, columns] = right {
        shape.push(columns.clone());
    }
    Ok(vec![typed(dtype, Some(shape))])
}

/// `MatMulNBits`: the first operand with `N` columns.
pub(super) fn matmul_nbits(view: &View<'_>) -> Vec<Type> {
    let columns = view.node.int("N").and_then(|columns| u64::try_from(columns).ok());
    let shape = view.shape(0).map(|shape| {
        let rows = shape.get(..shape.len().saturating_sub(1)).unwrap_or_default();
        rows.iter().cloned().chain([columns.map(Dim::Fixed)]).collect()
    });
    vec![typed(view.dtype(0), shape)]
}

fn gemm(view: &View<'_>) -> Outcome {
    let (Some(a), Some(b)) = (view.shape(0), view.shape(1)) else { return Ok(vec![typed(view.dtype(0), None)]) };
    let ([a0, a1], [b0, b1]) = (a, b) else { return Err(view.mismatch(&[0, 1])) };
    let (rows, inner) = if view.node.int_or("transA", 0) != 0 { (a1, a0) } else { (a0, a1) };
    let (other, columns) = if view.node.int_or("transB", 0) != 0 { (b1, b0) } else { (b0, b1) };
    if let (Some(inner), Some(other)) = (fixed(inner), fixed(other))
        && inner != other
    {
        return Err(view.mismatch(&[0, 1]));
    }
    let shape = vec![rows.clone(), columns.clone()];
    if let Some(c) = view.shape(2)
        && broadcast_shapes(&[&shape, c]).is_none_or(|shape| shape.len() > 2)
    {
        return Err(Why::Mismatch(vec![super::written(Some(&shape)), super::written(Some(c))]));
    }
    Ok(vec![typed(view.dtype(0), Some(shape))])
}

fn recurrent(view: &View<'_>) -> Vec<super::Type> {
    let dtype = view.dtype(0);
    let directions = if view.node.string("direction") == Some("bidirectional") { known(2) } else { known(1) };
    let hidden = view.node.int("hidden_size").and_then(|size| u64::try_from(size).ok());
    let hidden = hidden.or_else(|| view.shape(2)?.get(2).and_then(fixed)).and_then(known);
    let Some([first, second, _]) = view.shape(0) else { return vec![typed(dtype, None); 3] };
    let (all, last) = if view.node.int_or("layout", 0) == 0 {
        let (sequence, batch) = (first, second);
        (
            vec![sequence.clone(), directions.clone(), batch.clone(), hidden.clone()],
            vec![directions, batch.clone(), hidden],
        )
    } else {
        let (batch, sequence) = (first, second);
        (
            vec![batch.clone(), sequence.clone(), directions.clone(), hidden.clone()],
            vec![batch.clone(), directions, hidden],
        )
    };
    vec![typed(dtype, Some(all)), typed(dtype, Some(last.clone())), typed(dtype, Some(last))]
}
