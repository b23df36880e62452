//! Constant factors and summands at the start of an epilogue go into weights and bias.

use super::Context;
use crate::fused::{Combine, EpilogueStep, Fused, Weights};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};

/// Stored weights of at least this many bytes are not changed if another plan may want them as they are: the changed ones would
/// be held beside them. Applied to the sums instead, a factor costs one product more for each result.
const LARGE_BYTES: usize = 64 * 1024;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    let mut uses = ir.uses();
    let mut nodes = std::mem::take(&mut ir.nodes);
    for node in &mut nodes {
        fold(ir, context, node, &mut uses);
    }
    ir.nodes = nodes;
    Ok(())
}

/// Which factors stay in the epilogue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Never,
    /// One that all channels have in common.
    Common,
    Always,
}

/// How a weight's place tells its output channel.
struct Layout {
    channels: usize,
    /// Weights of one channel that lie side by side.
    inner: usize,
}

impl Layout {
    fn channel(&self, at: usize) -> usize {
        at / self.inner % self.channels
    }
}

fn layout(ir: &Ir, node: &Node) -> Option<Layout> {
    let Op::Fused(fused) = &node.op else { return None };
    let weights = ir.shape(node.input(1)?);
    let inner = |from: usize| weights.get(from..).map(crate::shape::len);
    Some(match fused {
        Fused::Conv(conv) if !conv.packed => Layout { channels: *weights.first()?, inner: inner(1)? },
        Fused::ConvTranspose(conv) if !conv.packed => Layout { channels: *weights.get(1)?, inner: inner(2)? },
        Fused::MatMul(product) => match product.weights {
            Weights::Constant { transposed: false } => Layout { channels: product.product.n(), inner: 1 },
            Weights::Constant { transposed: true } => {
                Layout { channels: product.product.n(), inner: product.product.k() }
            }
            _ => return None,
        },
        _ => return None,
    })
    .filter(|layout| layout.channels > 0 && layout.inner > 0)
}

fn fold(ir: &mut Ir, context: &Context<'_>, node: &mut Node, uses: &mut [usize]) {
    let (Some(layout), Some(weights)) = (layout(ir, node), node.input(1)) else { return };
    let stored = ir.values[weights].constant.as_ref().filter(|constant| constant.span().is_some());
    let keep = context.weights.more_plans() && stored.is_some_and(|stored| stored.size_bytes() >= LARGE_BYTES);
    // Weights that are used as they are stored cannot be multiplied by anything.
    let keep = match super::stored::may_change(ir, node) {
        false => Keep::Always,
        true if keep => Keep::Common,
        true => Keep::Never,
    };
    let (mut scale, mut shift) = (vec![1.0f32; layout.channels], vec![0.0f32; layout.channels]);
    let mut folded = false;
    while fold_step(ir, node, keep, &mut scale, &mut shift) {
        folded = true;
    }
    if !folded {
        return;
    }
    let (name, shape) = (ir.values[weights].name.clone(), ir.shape(weights).to_vec());
    let old = node.input(2).and_then(|id| ir.values[id].floats());
    let bias: Vec<f32> = (0..layout.channels)
        .map(|c| old.map_or(0.0, |old| old.get(c).copied().unwrap_or(0.0)) * scale[c] + shift[c])
        .collect();
    node.inputs[2] = Some(ir.float_constant(&name, vec![layout.channels], &bias));
    if scale.iter().all(|scale| *scale == 1.0) {
        return;
    }
    let Some(values) = ir.values[weights].floats() else { return };
    let scaled: Vec<f32> = values.iter().enumerate().map(|(at, value)| value * scale[layout.channel(at)]).collect();
    node.inputs[1] = Some(ir.float_constant(&name, shape, &scaled));
    // The old ones are not held for longer than somebody else reads them.
    if let Some(uses) = uses.get_mut(weights) {
        *uses -= 1;
        if *uses == 0 {
            ir.values[weights].constant = None;
        }
    }
}

/// Takes the first step of the epilogue away, if it is a factor or a summand per channel.
fn fold_step(ir: &Ir, node: &mut Node, keep: Keep, scale: &mut [f32], shift: &mut [f32]) -> bool {
    let Op::Fused(fused) = &mut node.op else { return false };
    let Some((epilogue, first)) = fused.epilogue() else { return false };
    let operand = |node_inputs: &[Option<Id>]| per_channel(ir, *node_inputs.get(first)?, scale.len());
    let (factor, summand) = match epilogue.steps.first() {
        Some(EpilogueStep::Affine { scale: by, .. }) if keep != Keep::Never && *by != 1.0 => return false,
        Some(EpilogueStep::Affine { scale: by, shift: add }) => (vec![*by; scale.len()], vec![*add; scale.len()]),
        Some(EpilogueStep::Combine(combine)) => {
            let Some(values) = operand(&node.inputs) else { return false };
            let (zeros, ones) = (vec![0.0; scale.len()], vec![1.0; scale.len()]);
            match combine {
                Combine::Mul | Combine::Div if keep == Keep::Always => return false,
                Combine::Add => (ones, values),
                Combine::Sub => (ones, values.iter().map(|value| -value).collect()),
                Combine::Mul => (values, zeros),
                Combine::Div => (values.iter().map(|value| 1.0 / value).collect(), zeros),
                _ => return false,
            }
        }
        _ => return false,
    };
    let combines = matches!(epilogue.steps.first(), Some(EpilogueStep::Combine(_)));
    if let Some(epilogue) = fused.epilogue_mut() {
        epilogue.steps.remove(0);
    }
    if combines {
        node.inputs.remove(first);
    }
    for channel in 0..scale.len() {
        scale[channel] *= factor[channel];
        shift[channel] = shift[channel] * factor[channel] + summand[channel];
    }
    true
}

/// The numbers of a constant that has one for all channels, or one for each along the last axis.
fn per_channel(ir: &Ir, id: Option<Id>, channels: usize) -> Option<Vec<f32>> {
    let value = &ir.values[id?];
    let floats = value.floats()?;
    match floats {
        [single] => Some(vec![*single; channels]),
        _ if floats.len() == channels && value.shape.last() == Some(&channels) => Some(floats.to_vec()),
        _ => None,
    }
}
