//! Which layers read constant weights as they are stored.

use crate::fused::{Fused, Weights};
use crate::ir::{Id, Ir, Node, Op};
use pannier_kernels::{Conv, MatMul, Packing, Storage};

/// Fewest rows of A for which codes are read instead of numbers, beside a single one.
///
/// A single row is multiplied with codes on the way, which moves less memory: 0.3 to 0.7 times the time of numbers that come from memory,
/// 0.9 to 1.6 of those of small matrices in the first-level cache. For more rows every panel is widened before it is multiplied: 2 rows
/// take 1.4 to 2.5 times as long, 16 rows 1.2 to 1.3, and from these on it is at most about 1.1. Measured by `examples/stored.rs` of the
/// kernels.
const ROWS_OF_INTEGERS: usize = 32;
const ROWS_OF_HALVES: usize = 48;

/// How a layer whose weights are not packed yet will read them; `None` if it reads numbers.
pub(super) fn of(ir: &Ir, node: &Node) -> Option<Storage> {
    let Op::Fused(fused) = &node.op else { return None };
    let weights = node.input(1)?;
    match fused {
        Fused::MatMul(product) => match product.weights {
            Weights::Constant { transposed } => {
                of_matmul(ir, weights, &product.product, product.batch * product.rows, transposed)
            }
            _ => None,
        },
        Fused::Conv(conv) if !conv.packed => of_conv(ir, weights, &conv.conv),
        _ => None,
    }
}

/// Of a product of so many rows with a constant matrix, given as its transpose or not.
pub(super) fn of_matmul(ir: &Ir, weights: Id, product: &MatMul, rows: usize, transposed: bool) -> Option<Storage> {
    of_panels(ir, weights, [rows, product.k(), product.n()], transposed, &product.packing(transposed))
}

/// Of a convolution.
pub(super) fn of_conv(ir: &Ir, weights: Id, conv: &Conv) -> Option<Storage> {
    let shape = conv.shape();
    let k = ir.values[weights].len().checked_div(shape.out_channels)?;
    of_panels(ir, weights, [shape.out_pixels(), k, shape.out_channels], true, &conv.packing())
}

fn of_panels(
    ir: &Ir,
    weights: Id,
    [rows, k, channels]: [usize; 3],
    by_channel: bool,
    packing: &Packing,
) -> Option<Storage> {
    let encoded = ir.values[weights].constant.as_ref()?.as_encoded()?;
    let storage = encoded.storage(k, channels, by_channel)?;
    let fewest = match storage {
        Storage::Half => ROWS_OF_HALVES,
        Storage::Int8(_) | Storage::Int4(_) => ROWS_OF_INTEGERS,
    };
    // WebAssembly widens panels for a single row as well.
    let single = rows == 1 && !cfg!(target_family = "wasm");
    let worth = single || rows >= fewest || encoded.is_never_widened();
    packing.stored(storage).filter(|_| worth).map(|packing| packing.storage())
}
