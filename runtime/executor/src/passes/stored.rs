//! Which layers read constant weights as they are stored.

use crate::fused::{Fused, MatMul, Weights};
use crate::ir::{Id, Ir, Node, Op};
use pannier_kernels as kernels;
use pannier_kernels::{Packing, Storage};

/// Fewest rows of A for which codes are read instead of numbers, beside a single one.
///
/// A single row is multiplied with codes on the way, which moves less memory: 0.3 to 0.7 times the time of numbers that come from memory,
/// 0.9 to 1.6 of those of small matrices in the first-level cache. For more rows every panel is widened before it is multiplied: 2 rows
/// take 1.4 to 2.5 times as long, 16 rows 1.2 to 1.3, and from these on it is at most about 1.1. Measured by `examples/stored.rs` of the
/// kernels.
const ROWS_OF_INTEGERS: usize = 32;
const ROWS_OF_HALVES: usize = 48;

/// Whether there are kernels that multiply a single row with codes. WebAssembly widens such weights when they are prepared.
const SINGLE_ROWS: bool = !cfg!(target_family = "wasm");

/// Whether the weights of a layer, which are not packed yet, are numbers that may be changed. It is the same on every target, and so are
/// the bits of what is computed.
pub(super) fn may_change(ir: &Ir, node: &Node) -> bool {
    let (Op::Fused(fused), Some(weights)) = (&node.op, node.input(1)) else { return true };
    let stored = match fused {
        Fused::MatMul(MatMul { product, weights: Weights::Constant { transposed }, batch, rows, .. }) => {
            Layer::matmul(product, batch * rows, *transposed).storage(ir, weights, true)
        }
        Fused::Conv(conv) if !conv.packed => Layer::conv(&conv.conv).storage(ir, weights, true),
        _ => None,
    };
    stored.is_none()
}

/// What decides how a layer reads its weights.
pub(super) struct Layer {
    packing: Packing,
    /// Rows that the weights are multiplied with, and of the weights.
    rows: usize,
    k: usize,
    channels: usize,
    by_channel: bool,
}

impl Layer {
    /// A product of so many rows with a constant matrix, given as its transpose or not.
    pub(super) fn matmul(product: &kernels::MatMul, rows: usize, transposed: bool) -> Layer {
        let (packing, k, channels) = (product.packing(transposed), product.k(), product.n());
        Layer { packing, rows, k, channels, by_channel: transposed }
    }

    pub(super) fn conv(conv: &kernels::Conv) -> Layer {
        let (shape, packing) = (conv.shape(), conv.packing());
        let k = shape.in_channels / shape.groups.max(1) * shape.kernel[0] * shape.kernel[1];
        Layer { packing, rows: shape.out_pixels(), k, channels: shape.out_channels, by_channel: true }
    }

    /// The packing of these weights, and how they stay as they are stored; `None` if the layer reads numbers.
    pub(super) fn packing(&self, ir: &Ir, weights: Option<Id>) -> (Packing, Option<Storage>) {
        (self.packing, weights.and_then(|weights| self.storage(ir, weights, SINGLE_ROWS)))
    }

    fn storage(&self, ir: &Ir, weights: Id, single_rows: bool) -> Option<Storage> {
        let encoded = ir.values[weights].constant.as_ref()?.as_encoded()?;
        let storage = encoded.storage(self.k, self.channels, self.by_channel)?;
        let fewest = match storage {
            Storage::Half => ROWS_OF_HALVES,
            Storage::Int8(_) | Storage::Int4(_) => ROWS_OF_INTEGERS,
        };
        let worth = self.rows == 1 && single_rows || self.rows >= fewest || encoded.is_never_widened();
        self.packing.stored(storage).filter(|_| worth).map(|_| storage)
    }
}
