//! Operators that tract computes wrongly or only in part, built anew from its parts.

mod cast;
mod compress;
mod dequantize;
mod power;
mod qlinear_matmul;
mod reduce;
mod square;
mod stable;

pub(crate) use square::mend as mend_squares;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::infer::rules::{InferenceResult, TensorProxy};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::nn;

/// What a builder gives: the operator, and the names that it takes from around its node.
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// The name that stands for `Cast` to `int64`; tract's own builder keeps the other types.
pub(crate) const CAST_TO_I64: &str = "CastToI64";

/// Puts our builders in the place of tract's.
pub(crate) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(CAST_TO_I64, |_, _| Ok((expand(cast::Cast::To(DatumType::I64)), vec![])));
    onnx.op_register.insert("CastLike", |_, _| Ok((expand(cast::Cast::Like), vec![])));
    onnx.op_register.insert("Compress", compress);
    onnx.op_register
        .insert("DequantizeLinear", |_, node| Ok((expand(dequantize::DequantizeLinear::of(node)?), vec![])));
    onnx.op_register.insert("LogSoftmax", |_, node| {
        Ok((expand(stable::LogSoftmax { axis: node.get_attr_opt("axis")?.unwrap_or(-1) }), vec![]))
    });
    onnx.op_register.insert("Pow", |_, _| Ok((expand(power::Pow), vec![])));
    onnx.op_register.insert("QLinearMatMul", |_, _| Ok((expand(qlinear_matmul::QLinearMatMul), vec![])));
    onnx.op_register.insert("ReduceL1", |_, node| reduce(node, reduce::Kind::L1));
    onnx.op_register.insert("ReduceL2", |_, node| reduce(node, reduce::Kind::Float(nn::Reducer::L2)));
    onnx.op_register.insert("ReduceLogSum", |_, node| reduce(node, reduce::Kind::Float(nn::Reducer::LogSum)));
    onnx.op_register.insert("ReduceLogSumExp", |_, node| reduce(node, reduce::Kind::Float(nn::Reducer::LogSumExp)));
    onnx.op_register.insert("ReduceMax", |_, node| reduce(node, reduce::Kind::Largest));
    onnx.op_register.insert("ReduceMean", |_, node| reduce(node, reduce::Kind::Mean));
    onnx.op_register.insert("ReduceMin", |_, node| reduce(node, reduce::Kind::Smallest));
    onnx.op_register.insert("ReduceSum", |_, node| reduce(node, reduce::Kind::Sum));
    onnx.op_register.insert("ReduceSumSquare", |_, node| reduce(node, reduce::Kind::SumSquare));
    onnx.op_register.insert("Softplus", |_, _| Ok((expand(stable::Softplus), vec![])));
}

fn compress(_: &ParsingContext, node: &NodeProto) -> Built {
    Ok((expand(compress::Compress { axis: node.get_attr_opt("axis")? }), vec![]))
}

fn reduce(node: &NodeProto, kind: reduce::Kind) -> Built {
    let op = reduce::Reduce {
        kind,
        keep_dims: node.get_attr_opt("keepdims")?.unwrap_or(1i64) != 0,
        none_is_all: node.get_attr_opt("noop_with_empty_axes")?.unwrap_or(0i64) == 0,
        has_axes: node.input.len() == 2,
    };
    Ok((expand(op), vec![]))
}

/// The rule that every operator here begins with: so many inputs, one output.
fn arity(inputs: &[TensorProxy], count: usize, outputs: &[TensorProxy]) -> InferenceResult {
    check_input_arity(inputs, count)?;
    check_output_arity(outputs, 1)
}

/// An axis counted from the start.
fn position(axis: i64, rank: usize) -> TractResult<usize> {
    let from_start = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    let position = from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    position.with_context(|| format!("axis {axis} of a tensor of rank {rank}"))
}
