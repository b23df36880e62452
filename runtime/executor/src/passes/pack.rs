//! Constant weights take the form that their kernels read.

use super::Context;
use crate::fused::{Fused, Weights};
use crate::import::Stop;
use crate::ir::{Constant, Ir, Node, Op};
use pannier_engine::{DType, EngineError};
use pannier_graph::AlignedBytes;
use pannier_kernels as kernels;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    let mut nodes = std::mem::take(&mut ir.nodes);
    for node in &mut nodes {
        context.limits.check_time(&node.name)?;
        pack(ir, node).map_err(|reason| EngineError::Failed { node: node.name.clone(), reason })?;
    }
    ir.nodes = nodes;
    Ok(())
}

fn pack(ir: &mut Ir, node: &mut Node) -> Result<(), String> {
    let Op::Fused(fused) = &mut node.op else { return Ok(()) };
    let floats = |index: usize| node.inputs.get(index).copied().flatten().and_then(|id| ir.values[id].floats());
    let text = |error: kernels::KernelError| error.to_string();
    let missing = "the weights are no constant";
    let (bytes, name) = match fused {
        Fused::Conv(conv) if !conv.packed => {
            let mut bytes = zeroed(conv.conv.packed_len())?;
            let packed = bytemuck::cast_slice_mut(bytes.as_bytes_mut());
            conv.conv.pack(floats(1).ok_or(missing)?, floats(2), packed).map_err(text)?;
            conv.packed = true;
            (bytes, node.name.clone())
        }
        Fused::ConvTranspose(conv) if !conv.packed => {
            let mut bytes = zeroed(conv.conv.packed_len())?;
            let packed = bytemuck::cast_slice_mut(bytes.as_bytes_mut());
            conv.conv.pack(floats(1).ok_or(missing)?, floats(2), packed).map_err(text)?;
            conv.packed = true;
            (bytes, node.name.clone())
        }
        Fused::MatMul(matmul) => {
            let Weights::Constant { transposed } = matmul.weights else { return Ok(()) };
            let (product, weights) = (&matmul.product, floats(1).ok_or(missing)?);
            let mut bytes = zeroed(product.packed_len())?;
            let packed = bytemuck::cast_slice_mut(bytes.as_bytes_mut());
            if transposed {
                let matrix = kernels::View::dense(weights, product.n(), product.k()).map_err(text)?;
                product.pack_transposed(matrix, floats(2), packed).map_err(text)?;
            } else {
                let matrix = kernels::View::dense(weights, product.k(), product.n()).map_err(text)?;
                product.pack(matrix, floats(2), packed).map_err(text)?;
            }
            matmul.weights = Weights::Packed;
            (bytes, node.name.clone())
        }
        _ => return Ok(()),
    };
    let len = bytes.len() / 4;
    let id = ir.constant(&name, DType::F32, vec![len], Constant::owned(bytes));
    node.inputs.splice(1..3, [Some(id)]);
    Ok(())
}

fn zeroed(floats: usize) -> Result<AlignedBytes, String> {
    floats
        .checked_mul(4)
        .and_then(AlignedBytes::try_zeroed)
        .ok_or_else(|| "there is no memory for packed weights".to_string())
}
