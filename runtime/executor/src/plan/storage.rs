//! Which values share bytes, and how long each block of bytes lives.

use super::arena::{Arena, Block};
use super::{Making, Place, Plan, Running, Shared, Step, Take, Taken, Tensor, operator};
use crate::ir::{Constant, Id, Ir, Node, Op, facts};
use crate::ops::Operator;
use pannier_engine::EngineError;
use std::ops::Range;
use std::sync::Arc;

/// Whose bytes a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Constant(usize),
    Input(usize),
    Block(usize),
}

/// Where a value's first byte is in its root.
#[derive(Debug, Clone, Copy)]
struct At {
    root: Root,
    offset: usize,
}

/// A step before its blocks have addresses.
struct Draft {
    node: Node,
    kind: String,
    operator: Arc<dyn Operator>,
    /// Operand in whose place the result is.
    in_place: Option<usize>,
    scratch: Option<usize>,
    flops: usize,
}

/// Values with their bytes, blocks with their lives.
pub(super) struct Storage {
    at: Vec<Option<At>>,
    pub(super) blocks: Vec<Block>,
    constants: Vec<Constant>,
    drafts: Vec<Draft>,
}

/// Assigns every value to bytes: its own, or those of a value that it is a view of or takes the place of.
pub(super) fn assign(ir: &Ir, making: &Making<'_>) -> Result<Storage, EngineError> {
    let (limits, threads) = (making.limits, making.shared.threads());
    let mut storage =
        Storage { at: vec![None; ir.values.len()], blocks: Vec::new(), constants: Vec::new(), drafts: Vec::new() };
    for (index, id) in ir.inputs.iter().enumerate() {
        if !ir.is_constant(*id) {
            storage.at[*id] = Some(At { root: Root::Input(index), offset: 0 });
        }
    }
    let mut uses = ir.uses();
    // Uses of a block, by all values that lie in it.
    let mut block_uses: Vec<usize> = Vec::new();
    for node in &ir.nodes {
        limits.check_time(&node.name)?;
        for id in node.inputs.iter().flatten() {
            storage.constant(ir, *id);
        }
        let view = match node.op {
            Op::Reshape => Some(0),
            Op::Part { first } => Some(first),
            _ => None,
        };
        if let (Some(first), Some(input), Some(output)) = (view, node.input(0), node.output()) {
            let from = storage.at[input].ok_or_else(|| undefined(ir, input))?;
            let offset = from.offset.saturating_add(first.saturating_mul(ir.values[input].dtype.size_bytes()));
            storage.at[output] = Some(At { offset, ..from });
            if let Root::Block(block) = from.root {
                block_uses[block] += uses[output];
                block_uses[block] -= 1;
            }
            continue;
        }
        let Some(Running { kind, operator, constants }) = operator(node, ir, making)? else { continue };
        storage.constants.extend(constants);
        let step = storage.drafts.len();
        let list = ir.facts(&node.inputs);
        let (scratch_bytes, flops) = (operator.scratch_bytes(&facts(&list)), operator.flops(&facts(&list)));
        let scratch_bytes = match threads {
            2.. if operator.shares() => per_thread(scratch_bytes).saturating_mul(threads),
            _ => scratch_bytes,
        };
        limits.check_tensor(&node.name, scratch_bytes)?;
        let in_place = in_place(ir, &storage, node, &*operator, &block_uses);
        for (index, output) in node.outputs.iter().enumerate() {
            let Some(output) = *output else { continue };
            let reused = if index == 0 { in_place.and_then(|operand| node.input(operand)) } else { None };
            if let Some(At { root: Root::Block(block), .. }) = reused.and_then(|id| storage.at[id]) {
                storage.at[output] = reused.and_then(|id| storage.at[id]);
                block_uses[block] += uses[output];
                continue;
            }
            let block = storage.block(ir.values[output].size_bytes(), step);
            block_uses.push(uses[output]);
            storage.at[output] = Some(At { root: Root::Block(block), offset: 0 });
        }
        let scratch = (scratch_bytes > 0).then(|| {
            block_uses.push(0);
            storage.block(scratch_bytes, step)
        });
        for id in node.inputs.iter().flatten() {
            uses[*id] -= 1;
            match storage.at[*id].ok_or_else(|| undefined(ir, *id))?.root {
                Root::Block(block) => {
                    storage.blocks[block].last = step;
                    block_uses[block] -= 1;
                }
                Root::Constant(_) | Root::Input(_) => {}
            }
        }
        for id in node.outputs.iter().flatten() {
            if let Some(At { root: Root::Block(block), .. }) = storage.at[*id] {
                storage.blocks[block].last = step;
            }
        }
        storage.drafts.push(Draft { node: node.clone(), kind, operator, in_place, scratch, flops });
    }
    let end = storage.drafts.len();
    for id in &ir.outputs {
        storage.constant(ir, *id);
        if let Root::Block(block) = storage.at[*id].ok_or_else(|| undefined(ir, *id))?.root {
            storage.blocks[block].last = end;
        }
    }
    Ok(storage)
}

/// Scratch memory of one thread, so that none shares a cache line with another.
pub(crate) fn per_thread(scratch_bytes: usize) -> usize {
    scratch_bytes.checked_next_multiple_of(pannier_graph::ALIGNMENT_BYTES).unwrap_or(usize::MAX)
}

fn undefined(ir: &Ir, id: Id) -> EngineError {
    EngineError::InvalidGraph { node: ir.values[id].name.clone(), reason: "nothing computes this value".into() }
}

/// The operand whose place the result may take: as large, nobody's but this node's, and used once.
fn in_place(ir: &Ir, storage: &Storage, node: &Node, operator: &dyn Operator, block_uses: &[usize]) -> Option<usize> {
    let output = node.output()?;
    operator.in_place().iter().copied().find(|operand| {
        let Some(id) = node.input(*operand) else { return false };
        let Some(At { root: Root::Block(block), offset: 0 }) = storage.at[id] else { return false };
        ir.values[id].size_bytes() == ir.values[output].size_bytes()
            && storage.blocks[block].size_bytes == ir.values[id].size_bytes()
            && ir.values[id].dtype == ir.values[output].dtype
            && block_uses.get(block) == Some(&1)
    })
}

impl Storage {
    fn constant(&mut self, ir: &Ir, id: Id) {
        if self.at[id].is_none()
            && let Some(constant) = &ir.values[id].constant
        {
            self.at[id] = Some(At { root: Root::Constant(self.constants.len()), offset: 0 });
            // What only a weight that is kept packed can give is given once.
            self.constants.push(constant.present());
        }
    }

    fn block(&mut self, size_bytes: usize, step: usize) -> usize {
        self.blocks.push(Block { size_bytes, first: step, last: step });
        self.blocks.len() - 1
    }
}

/// Turns drafts into steps, now that blocks have addresses.
pub(super) fn finish(ir: Ir, storage: Storage, arena: &Arena, shared: Shared) -> Result<Plan, EngineError> {
    let Storage { at, constants, drafts, blocks } = storage;
    let tensor = |id: Id| -> Result<Tensor, EngineError> {
        let value = &ir.values[id];
        let At { root, offset } = at[id].ok_or_else(|| undefined(&ir, id))?;
        let range = offset..offset.saturating_add(value.size_bytes());
        let place = match root {
            Root::Constant(index) => Place::Constant(index, range),
            Root::Input(index) => Place::Input(index, range),
            Root::Block(block) => {
                let start = arena.offsets[block];
                Place::Arena(start + range.start..start + range.end)
            }
        };
        Ok(Tensor { dtype: value.dtype, shape: value.shape.clone(), place })
    };
    let mut steps = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let tensors =
            |ids: &[Option<Id>]| ids.iter().map(|id| id.map(&tensor).transpose()).collect::<Result<Vec<_>, _>>();
        let (mut inputs, outputs) = (tensors(&draft.node.inputs)?, tensors(&draft.node.outputs)?);
        if let Some(slot) = draft.in_place.and_then(|operand| inputs.get_mut(operand)) {
            *slot = None;
        }
        let scratch = draft.scratch.map(|block| arena.offsets[block]..arena.offsets[block] + blocks[block].size_bytes);
        let takes = takes(&draft.node.name, &inputs, &outputs, scratch)?;
        let Draft { node, kind, operator, flops, .. } = draft;
        steps.push(Step { name: node.name, operator, kind, inputs, outputs, takes, flops });
    }
    let outputs = ir.outputs.iter().map(|id| tensor(*id)).collect::<Result<Vec<_>, _>>()?;
    Ok(Plan { steps, constants, outputs, arena_bytes: arena.size_bytes, shared })
}

/// What a step borrows, by address: reads that overlap become one, nothing else may.
fn takes(
    node: &str,
    inputs: &[Option<Tensor>],
    outputs: &[Option<Tensor>],
    scratch: Option<Range<usize>>,
) -> Result<Vec<Take>, EngineError> {
    let in_arena = |tensor: &Option<Tensor>| match tensor.as_ref().map(|tensor| &tensor.place) {
        Some(Place::Arena(range)) if !range.is_empty() => Some(range.clone()),
        _ => None,
    };
    let reads = inputs.iter().enumerate().filter_map(|(index, tensor)| {
        let range = in_arena(tensor)?;
        Some(Take { range: range.clone(), what: Taken::Read(vec![(index, range)]) })
    });
    let writes = outputs
        .iter()
        .enumerate()
        .filter_map(|(index, tensor)| Some(Take { range: in_arena(tensor)?, what: Taken::Write(index) }));
    let mut all: Vec<Take> = reads.chain(writes).collect();
    all.extend(scratch.map(|range| Take { range, what: Taken::Scratch }));
    all.sort_by_key(|take| take.range.start);
    let mut merged: Vec<Take> = Vec::with_capacity(all.len());
    for take in all {
        match merged.last_mut() {
            Some(last) if take.range.start < last.range.end => match (&mut last.what, take.what) {
                (Taken::Read(readers), Taken::Read(more)) => {
                    last.range.end = last.range.end.max(take.range.end);
                    readers.extend(more);
                }
                _ => {
                    let reason = "operand and result lie in the same place".into();
                    return Err(EngineError::Failed { node: node.to_string(), reason });
                }
            },
            _ => merged.push(take),
        }
    }
    for take in &mut merged {
        if let Taken::Read(readers) = &mut take.what {
            for (_, range) in readers {
                *range = range.start - take.range.start..range.end - take.range.start;
            }
        }
    }
    Ok(merged)
}
