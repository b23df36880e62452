//! The compiler: passes over the [`Ir`], in this order. Each is a function of one file; each leaves a program that computes
//! the same.

mod activations;
mod affine;
mod cleanup;
mod embedding;
mod fuse;
mod layer_norm;
mod layout;
mod lower;
mod nbits;
mod pack;
mod quantize;
mod quantize_fuse;
mod quantize_rows;
mod rewrite;
mod stored;
mod transposes;

#[cfg(test)]
mod tests;

use crate::import::{NESTED, Stop};
use crate::ir::{Ir, Op};
use crate::limits::Limits;
use crate::weights::Weights;
use pannier_kernels::Kernels;

/// What passes know beside the program.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) kernels: Kernels,
    pub(crate) limits: Limits<'a>,
    pub(crate) weights: &'a Weights,
}

impl Context<'_> {
    /// Whether layers read the integers of `DequantizeLinear` and `MatMulNBits` as they are stored. The WebAssembly module is downloaded
    /// and has no room for that, and answers that are to have the same bits everywhere have to be computed as they are there.
    fn reads_operators_integers(&self) -> bool {
        !cfg!(target_family = "wasm") && !self.kernels.is_deterministic()
    }
}

/// A pass.
pub(crate) type Pass = fn(&mut Ir, &Context<'_>) -> Result<(), Stop>;

/// Every pass with its name, in order.
pub(crate) const PASSES: &[(&str, Pass)] = &[
    // What does nothing goes away; what keeps the bytes becomes a view.
    ("cleanup", cleanup::run),
    // What is computed of 8-bit integers is known as such; weights that are only stored so become numbers.
    ("quantize", quantize::run),
    // What exporters write in pieces becomes one operator again.
    ("layer norm", layer_norm::run),
    ("activations", activations::run),
    ("embedding", embedding::run),
    // Elementwise work becomes chains of one step each.
    ("elementwise", lower::elementwise),
    // Images become channels-last; transposes move to the borders and cancel.
    ("layout", layout::run),
    // Products, reductions, normalisations get their kernels.
    ("kernels", lower::kernels),
    // Chains grow together and become epilogues.
    ("fuse", fuse::run),
    ("quantize fuse", quantize_fuse::run),
    ("embedding steps", embedding::steps),
    // What transposes are left over becomes as small as it can be.
    ("transposes", transposes::run),
    // Constant factors and summands go into the weights.
    ("affine", affine::run),
    // Weights take the form that their kernels read.
    ("pack", pack::run),
];

/// Runs all passes, on nested programs first.
pub(crate) fn compile(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    for node in &mut ir.nodes {
        if NESTED && let Op::Nested(nested) = &mut node.op {
            nested.bodies.iter_mut().try_for_each(|body| compile(&mut body.ir, context))?;
        }
    }
    for (_, pass) in PASSES {
        context.limits.check_time("")?;
        pass(ir, context)?;
        cleanup::dead_code(ir);
    }
    Ok(())
}
