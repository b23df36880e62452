//! Conversions between integers and numbers join what is before and behind them: elementwise work takes integers as it finds them,
//! and what computes numbers that only become integers stores those.

use super::Context;
use super::rewrite::Rewrite;
use crate::fused::{Combine, EpilogueStep, Fused, Quant, QuantizedChain};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};
use pannier_engine::EngineError;
use std::sync::Arc;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    let uses = ir.uses();
    Rewrite::walk(ir, |rewrite, node| {
        let node = scale_and_shift(rewrite.ir, node);
        let node = take_integers(rewrite, context, node);
        store(rewrite, node, &uses);
        Ok::<(), Stop>(())
    })?;
    tabulate(ir)
}

/// What depends on one 8-bit integer alone is looked up, through however many conversions: the activations that exporters write in
/// pieces are quantized in pieces.
fn tabulate(ir: &mut Ir) -> Result<(), Stop> {
    let identity: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    // By value that is such a function: of what, and which.
    let mut tables: Vec<Option<(Id, Arc<[u8; 256]>)>> = vec![None; ir.values.len()];
    for node in &mut ir.nodes {
        let Some(output) = node.output() else { continue };
        let Op::Fused(Fused::QuantizedChain(chain)) = &mut node.op else { continue };
        let of = |id: &Option<Id>| {
            id.map(|id| tables[id].as_ref().map_or((id, &identity), |(root, table)| (*root, &**table)))
        };
        let Some(given) = node.inputs.iter().map(of).collect::<Option<Vec<_>>>() else { continue };
        let Some((root, _)) = given.first().copied() else { continue };
        let shape = &ir.values[output].shape;
        let elementwise = node.inputs.iter().flatten().all(|id| ir.values[*id].shape == *shape);
        if !elementwise || given.iter().any(|(of, _)| *of != root) {
            continue;
        }
        let functions: Vec<&[u8; 256]> = given.into_iter().map(|(_, table)| table).collect();
        let failed = |reason| EngineError::Failed { node: node.name.clone(), reason };
        if let Some(table) = chain.tabulated(&functions).map_err(failed)? {
            let table = Arc::new(table);
            tables[output] = Some((root, table.clone()));
            (chain.table, chain.operands) = (Some(table), Vec::new());
            node.inputs = vec![Some(root)];
        }
    }
    Ok(())
}

/// Constant factors and summands per channel right behind a layer are a part of its weights' scales and shifts.
fn scale_and_shift(ir: &Ir, mut node: Node) -> Node {
    let Op::Fused(Fused::Quantized(layer)) = &mut node.op else { return node };
    let (first, channels) = (layer.operands(), layer.kernel.channels());
    while let Some(step) = layer.epilogue.steps.first().copied() {
        let constant = match step {
            EpilogueStep::Combine(Combine::Add | Combine::Mul) => {
                let Some(numbers) =
                    node.inputs.get(first).copied().flatten().and_then(|id| per_channel(ir, id, channels))
                else {
                    break;
                };
                node.inputs.remove(first);
                numbers
            }
            EpilogueStep::Affine { .. } => Vec::new(),
            _ => break,
        };
        let weights = Arc::make_mut(&mut layer.weights);
        if weights.scales.len() == 1 {
            weights.scales = vec![weights.scales[0]; channels];
        }
        let shifts = weights.shift.get_or_insert_with(|| vec![0.0; channels]);
        for (channel, (scale, shift)) in weights.scales.iter_mut().zip(shifts).enumerate() {
            let (by, add) = match step {
                EpilogueStep::Affine { scale, shift } => (scale, shift),
                EpilogueStep::Combine(Combine::Mul) => (constant[channel], 0.0),
                _ => (1.0, constant[channel]),
            };
            (*scale, *shift) = (*scale * by, *shift * by + add);
        }
        layer.epilogue.steps.remove(0);
    }
    node
}

/// The numbers of a constant that has one per channel, or one for all.
fn per_channel(ir: &Ir, id: Id, channels: usize) -> Option<Vec<f32>> {
    let value = &ir.values[id];
    match value.floats()? {
        [number] => Some(vec![*number; channels]),
        // The last axis is that of the channels, whatever else has as many elements.
        numbers => (numbers.len() == channels && value.shape.last() == Some(&channels)).then(|| numbers.to_vec()),
    }
}

/// What the integers stand for that a value is made of, and those.
fn dequantized(rewrite: &Rewrite<'_>, id: Id) -> Option<(Quant, Id)> {
    let maker = rewrite.maker(id)?;
    let Op::Fused(Fused::QuantizedChain(chain)) = &maker.op else { return None };
    Some((chain.dequantizes()?, maker.input(0)?))
}

/// A chain whose operands are made of integers takes those.
fn take_integers(rewrite: &Rewrite<'_>, context: &Context<'_>, mut node: Node) -> Node {
    let Op::Fused(Fused::Chain(chain)) = &node.op else { return with_integers(rewrite, node) };
    let found: Vec<Option<(Quant, Id)>> =
        node.inputs.iter().map(|id| id.and_then(|id| dequantized(rewrite, id))).collect();
    if found.iter().all(Option::is_none) {
        return node;
    }
    let mut made = QuantizedChain::convert(context.kernels, None, None);
    made.epilogue = chain.epilogue.clone();
    for (slot, found) in node.inputs.iter_mut().zip(&found) {
        if let Some((_, id)) = found {
            *slot = Some(*id);
        }
    }
    let mut quants = found.iter().map(|found| found.map(|(quant, _)| quant));
    made.from = quants.next().flatten();
    made.operands = quants.collect();
    node.op = Op::Fused(Fused::QuantizedChain(made));
    node
}

/// A conversion takes the integers that its operand is made of.
fn with_integers(rewrite: &Rewrite<'_>, mut node: Node) -> Node {
    let found = node.input(0).and_then(|id| dequantized(rewrite, id));
    if let (Some((quant, id)), Op::Fused(Fused::QuantizedChain(chain))) = (found, &mut node.op)
        && chain.quantizes().is_some()
    {
        chain.from = Some(quant);
        node.inputs[0] = Some(id);
    }
    node
}

/// Emits a node; if all that it does is to make integers, those are made as early as possible.
fn store(rewrite: &mut Rewrite<'_>, node: Node, uses: &[usize]) {
    let Op::Fused(Fused::QuantizedChain(conversion)) = &node.op else { return rewrite.emit(node) };
    if let (Some(input), Some(output)) = (node.input(0), node.output())
        && conversion.keeps()
    {
        return rewrite.rename(output, input);
    }
    if conversion.quantizes().is_none() {
        return rewrite.emit(node);
    }
    match moved(rewrite, &node, uses) {
        Some(node) => rewrite.emit(node),
        None => {
            let node = store_integers(rewrite, node, uses);
            rewrite.emit(node);
        }
    }
}

/// What only moves numbers that then become integers moves the integers instead, which are smaller: the node that does so.
fn moved(rewrite: &mut Rewrite<'_>, conversion: &Node, uses: &[usize]) -> Option<Node> {
    let main = conversion.input(0).filter(|main| uses.get(*main) == Some(&1))?;
    let maker = rewrite.maker(main)?;
    let moves = match &maker.op {
        Op::Fused(Fused::Nearest(_)) | Op::Reshape => maker.inputs.len() == 1,
        _ => maker.is("Concat"),
    };
    if !moves {
        return None;
    }
    let maker = rewrite.take(main)?;
    let dtype = rewrite.ir.values[conversion.output()?].dtype;
    let mut inputs = Vec::with_capacity(maker.inputs.len());
    for (index, input) in maker.inputs.iter().enumerate() {
        let Some(input) = *input else {
            inputs.push(None);
            continue;
        };
        // What is there twice is made once.
        if let Some(first) = maker.inputs[..index].iter().position(|other| *other == Some(input)) {
            inputs.push(inputs[first]);
            continue;
        }
        let shape = rewrite.ir.shape(input).to_vec();
        let bytes = rewrite.ir.fresh(&conversion.name, dtype, shape);
        let part = Node { inputs: vec![Some(input)], outputs: vec![Some(bytes)], ..conversion.clone() };
        let part = with_integers(rewrite, part);
        store(rewrite, part, uses);
        inputs.push(Some(rewrite.resolve(bytes)));
    }
    Some(Node { name: maker.name, op: maker.op, inputs, outputs: conversion.outputs.clone() })
}

/// The node that computes what this one only makes integers of, doing so itself.
fn store_integers(rewrite: &mut Rewrite<'_>, node: Node, uses: &[usize]) -> Node {
    let Op::Fused(Fused::QuantizedChain(conversion)) = &node.op else { return node };
    let (Some(to), Some(main)) = (conversion.quantizes(), node.input(0)) else { return node };
    let Some(maker) = rewrite.maker(main).filter(|_| uses.get(main) == Some(&1)) else { return node };
    let mut made = maker.clone();
    match &mut made.op {
        Op::Fused(Fused::Quantized(layer)) if layer.to.is_none() => layer.to = Some(to),
        Op::Fused(Fused::QuantizedChain(chain)) if chain.to.is_none() => chain.to = Some(to),
        Op::Fused(Fused::Chain(chain)) => {
            let mut quantized = QuantizedChain::convert(conversion.kernels, None, Some(to));
            quantized.epilogue = chain.epilogue.clone();
            quantized.operands = vec![None; made.inputs.len().saturating_sub(1)];
            made.op = Op::Fused(Fused::QuantizedChain(quantized));
        }
        _ => return node,
    }
    if rewrite.take(main).is_none() {
        return node;
    }
    Node { name: node.name, outputs: node.outputs, ..made }
}
