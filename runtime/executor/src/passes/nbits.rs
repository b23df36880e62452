//! `MatMulNBits` with constant weights is a product whose weights stay as they are stored.

use super::Context;
use super::rewrite::Rewrite;
use crate::encoded::Encoded;
use crate::fused::{Epilogue, Fused, MatMul, Weights};
use crate::ir::{Constant, Id, Node};
use crate::shape;
use pannier_engine::DType;
use pannier_graph::Attribute;

/// Our own form of the node; `None` where there is no kernel for it.
pub(super) fn lower(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<(Fused, Vec<Option<Id>>)> {
    if !context.reads_operators_integers() {
        return None;
    }
    let standard = node.standard().filter(|standard| standard.op == "MatMulNBits")?;
    let size = |name: &str| match standard.attribute(name) {
        Some(Attribute::Int(size)) => usize::try_from(*size).ok(),
        _ => None,
    };
    let (k, n, bits, block) = (size("K")?, size("N")?, size("bits").unwrap_or(4), size("block_size")?);
    let ir = &*rewrite.ir;
    let (a, q, scale) = (node.input(0)?, &ir.values[node.input(1)?], &ir.values[node.input(2)?]);
    let zeros = match node.input(3) {
        Some(id) => Some(ir.values[id].view().filter(|zeros| zeros.dtype == DType::U8)?.bytes),
        None => None,
    };
    let bias = node.input(5);
    if !bias.is_none_or(|bias| ir.is_constant(bias)) {
        return None;
    }
    let encoded = Encoded::blocks(q.constant.clone()?, [n, k], (bits, block), scale.floats()?, zeros)?;
    let (name, shape) = (q.name.clone(), ir.shape(node.output()?).to_vec());
    let rows = shape::len(ir.shape(a)).checked_div(k)?;
    let product = context.kernels.matmul(k, n).ok()?;
    let weights = Weights::Constant { transposed: true };
    let fused = MatMul { product, weights, batch: 1, rows, epilogue: Epilogue::default(), shape };
    let weights = rewrite.ir.constant(&name, DType::F32, vec![n, k], Constant::encoded(encoded));
    Some((Fused::MatMul(fused), vec![Some(a), Some(weights), bias]))
}
