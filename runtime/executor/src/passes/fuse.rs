//! Elementwise chains grow together, and become epilogues of the products and convolutions before them.

use super::Context;
use super::rewrite::Rewrite;
use crate::fused::{Combine, EpilogueStep, Fused, split};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};

pub(super) fn run(ir: &mut Ir, _: &Context<'_>) -> Result<(), Stop> {
    let mut uses = ir.uses();
    Rewrite::walk(ir, |rewrite, node| {
        let node = in_order(rewrite, node, &uses);
        let node = before_reshape(rewrite, node, &mut uses);
        let node = fuse(rewrite, node, &uses);
        let node = scale_and_shift(rewrite, node, &uses);
        rewrite.emit(node);
        Ok(())
    })
}

/// A chain behind a reshape that only moves axes of size 1 goes before it, where it can join what computes its operand; then the
/// reshape is what is returned. Images of one pixel are such, which a squeeze-and-excitation block has between its layers.
fn before_reshape(rewrite: &mut Rewrite<'_>, node: Node, uses: &mut Vec<usize>) -> Node {
    let moved = |rewrite: &mut Rewrite<'_>, uses: &mut Vec<usize>| {
        let (Op::Fused(Fused::Chain(_)), main, output) = (&node.op, node.input(0)?, node.output()?) else {
            return None;
        };
        let source = source_that_takes(rewrite, main, uses)?;
        let (from, to) = (rewrite.ir.shape(source).to_vec(), rewrite.ir.shape(output).to_vec());
        let axes = moved_axes(&to, &from).filter(|_| rewrite.ir.shape(main) == to)?;
        let mut inputs = vec![Some(source)];
        for operand in node.inputs.iter().skip(1).flatten() {
            let shape = operand_shape(rewrite.ir.shape(*operand), &axes, from.len());
            inputs.push(Some(rewrite.reshaped(*operand, &shape)));
        }
        let made = rewrite.ir.fresh(&node.name, rewrite.ir.values[output].dtype, from);
        uses.resize(uses.len().max(made + 1), 1);
        let chain = Node { name: node.name.clone(), op: node.op.clone(), inputs, outputs: vec![Some(made)] };
        let chain = fuse(rewrite, chain, uses);
        rewrite.emit(chain);
        Some(Node { name: node.name.clone(), op: Op::Reshape, inputs: vec![Some(made)], outputs: node.outputs.clone() })
    };
    moved(rewrite, uses).unwrap_or(node)
}

/// For each axis of a shape its place in another one that has the same sizes in the same order but for those of 1, which have none.
fn moved_axes(shape: &[usize], other: &[usize]) -> Option<Vec<Option<usize>>> {
    let mut places = (0..other.len()).filter(|axis| other[*axis] != 1);
    let mut place = |size: &usize| match size {
        1 => Some(None),
        size => places.next().filter(|axis| other[*axis] == *size).map(Some),
    };
    let axes: Option<Vec<_>> = shape.iter().map(&mut place).collect();
    axes.filter(|_| places.next().is_none())
}

/// The shape of an operand that is broadcast to a shape, where the axes of that are at other places.
fn operand_shape(operand: &[usize], axes: &[Option<usize>], rank: usize) -> Vec<usize> {
    let mut shape = vec![1; rank];
    for (size, axis) in operand.iter().rev().zip(axes.iter().rev()) {
        if let Some(axis) = axis {
            shape[*axis] = *size;
        }
    }
    shape
}

/// A chain whose main operand is the one that was just computed, even if it is that of the first step.
fn in_order(rewrite: &Rewrite<'_>, mut node: Node, uses: &[usize]) -> Node {
    let Op::Fused(Fused::Chain(chain)) = &node.op else { return node };
    let (Some(EpilogueStep::Combine(combine)), Some(main), Some(operand)) =
        (chain.epilogue.steps.first(), node.input(0), node.input(1))
    else {
        return node;
    };
    let joins = |id: Id| takes(rewrite, id, uses) || source_that_takes(rewrite, id, uses).is_some();
    let same = rewrite.ir.shape(operand) == rewrite.ir.shape(main);
    if let Some(combine) = combine.swapped().filter(|_| same && operand != main && !joins(main) && joins(operand)) {
        exchange(&mut node, combine);
    }
    node
}

/// The node, with the work of the one before it where it can take that over: or rather, the other way round.
fn fuse(rewrite: &mut Rewrite<'_>, node: Node, uses: &[usize]) -> Node {
    if !matches!(node.op, Op::Fused(Fused::Chain(_))) {
        return node;
    }
    let Some(main) = node.input(0).filter(|main| takes(rewrite, *main, uses)) else { return node };
    join(rewrite, main, &node).unwrap_or(node)
}

/// Lets main operand and operand of the first step change places.
fn exchange(node: &mut Node, combine: Combine) {
    node.inputs.swap(0, 1);
    if let Op::Fused(fused) = &mut node.op
        && let Some(step) = fused.epilogue_mut().and_then(|epilogue| epilogue.steps.first_mut())
    {
        *step = EpilogueStep::Combine(combine);
    }
}

/// Whether the node that computes a value can do more work on it, and nobody else wants it without.
fn takes(rewrite: &Rewrite<'_>, id: Id, uses: &[usize]) -> bool {
    uses.get(id) == Some(&1)
        && matches!(rewrite.maker(id), Some(Node { op: Op::Fused(fused), .. }) if fused.epilogue().is_some())
}

/// What a value is another shape of, if that [`takes`] more work, and nobody else wants the value.
fn source_that_takes(rewrite: &Rewrite<'_>, id: Id, uses: &[usize]) -> Option<Id> {
    let reshape = rewrite.maker(id).filter(|maker| matches!(maker.op, Op::Reshape) && uses.get(id) == Some(&1))?;
    reshape.input(0).filter(|source| takes(rewrite, *source, uses))
}

/// The node that computes `main`, with the steps of a chain appended.
fn join(rewrite: &mut Rewrite<'_>, main: Id, chain: &Node) -> Option<Node> {
    let Op::Fused(more) = &chain.op else { return None };
    let mut node = rewrite.maker(main)?.clone();
    let (Op::Fused(fused), Some(output)) = (&mut node.op, chain.output()) else { return None };
    let batched = matches!(fused, Fused::MatMul(product) if product.batch > 1);
    let first = fused.epilogue()?.1;
    let epilogue = fused.epilogue_mut()?;
    if !epilogue.append(more.epilogue()?.0) {
        return None;
    }
    node.inputs.extend_from_slice(&chain.inputs[1..]);
    let operands: Vec<&[usize]> = node.inputs.get(first..)?.iter().flatten().map(|id| rewrite.ir.shape(*id)).collect();
    let shape = rewrite.ir.shape(output);
    let matrix = split(shape, &operands)?;
    // Convolutions and products have a matrix of their own; the products of a batch are separate ones.
    let own = match &node.op {
        Op::Fused(Fused::Chain(_)) => matrix,
        _ => {
            let (cols, total) = (crate::shape::row_len(shape), crate::shape::len(shape));
            let own = (total / cols.max(1), cols);
            let fits = |operand: &&[usize]| {
                let len = crate::shape::len(operand);
                len == 1 || len == total || split(shape, &[operand]) == Some(own)
            };
            if !operands.iter().all(fits) {
                return None;
            }
            own
        }
    };
    if own != matrix && !operands.iter().all(|operand| split(shape, &[operand]).is_some()) {
        return None;
    }
    if batched && !operands.iter().all(|operand| crate::shape::len(operand) == 1) {
        return None;
    }
    rewrite.take(main)?;
    node.outputs = vec![Some(output)];
    node.name.clone_from(&chain.name);
    Some(node)
}

/// A factor and a summand per column after a layer normalisation are operands of that.
fn scale_and_shift(rewrite: &mut Rewrite<'_>, node: Node, uses: &[usize]) -> Node {
    let Op::Fused(Fused::Chain(chain)) = &node.op else { return node };
    let [EpilogueStep::Combine(Combine::Mul), EpilogueStep::Combine(Combine::Add)] = chain.epilogue.steps.as_slice()
    else {
        return node;
    };
    let Some(main) = node.input(0).filter(|main| uses.get(*main) == Some(&1)) else { return node };
    let Some(Node { op: Op::Fused(Fused::LayerNorm(norm)), inputs, .. }) = rewrite.maker(main) else { return node };
    let norm = norm.clone();
    let per_column = |index: usize| {
        node.input(index).is_some_and(|id| {
            let shape = rewrite.ir.shape(id);
            shape.last() == Some(&norm.cols) && crate::shape::len(shape) == norm.cols
        })
    };
    if inputs.iter().flatten().count() != 1 || !per_column(1) || !per_column(2) {
        return node;
    }
    let inputs = vec![inputs[0], node.input(1), node.input(2)];
    rewrite.take(main);
    Node { op: Op::Fused(Fused::LayerNorm(norm)), inputs, ..node }
}
