//! Addresses for blocks of bytes that live for some steps each: largest first, each in the gap that fits best.
//!
//! Greedy by size, after Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference" (arXiv 2001.03288).

use crate::limits::Limits;
use crate::order::sorted;
use pannier_engine::EngineError;
use pannier_graph::{ALIGNMENT_BYTES, AlignedBytes};
use std::sync::{Mutex, PoisonError};

/// Bytes that are needed from one step to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) size_bytes: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Where blocks lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arena {
    /// First byte of each block, a multiple of [`ALIGNMENT_BYTES`].
    pub(super) offsets: Vec<usize>,
    pub(super) size_bytes: usize,
}

/// Places all blocks so that none overlaps another one that lives at the same time.
pub(super) fn place(blocks: &[Block], limits: &Limits<'_>) -> Result<Arena, EngineError> {
    let too_large = || limits.too_large("", u64::MAX);
    let order = sorted(blocks.len(), &|a, b| {
        let (a, b) = (blocks[a], blocks[b]);
        b.size_bytes.cmp(&a.size_bytes).then(a.first.cmp(&b.first))
    });
    let mut arena = Arena { offsets: vec![0; blocks.len()], size_bytes: 0 };
    // Blocks that have a place, by address.
    let mut placed: Vec<(usize, usize, Block)> = Vec::new();
    for index in order {
        limits.check_time("")?;
        let block = blocks[index];
        let size = block.size_bytes.checked_next_multiple_of(ALIGNMENT_BYTES).ok_or_else(too_large)?;
        if size == 0 {
            continue;
        }
        let (mut best, mut end) = (None, 0usize);
        for (start, stop, other) in &placed {
            if other.last < block.first || block.last < other.first {
                continue;
            }
            if let Some(gap) = start.checked_sub(end)
                && gap >= size
                && best.is_none_or(|(smallest, _)| gap < smallest)
            {
                best = Some((gap, end));
            }
            end = end.max(*stop);
        }
        let offset = best.map_or(end, |(_, offset)| offset);
        let stop = offset.checked_add(size).filter(|stop| isize::try_from(*stop).is_ok()).ok_or_else(too_large)?;
        arena.offsets[index] = offset;
        arena.size_bytes = arena.size_bytes.max(stop);
        let at = placed.partition_point(|(start, ..)| *start <= offset);
        placed.insert(at, (offset, stop, block));
    }
    Ok(arena)
}

/// Arenas that are kept for runs to come, of all plans of a program: as many as ran at the same time, each as large as the
/// largest plan that came by it.
#[derive(Default)]
pub(crate) struct Arenas(Mutex<Vec<AlignedBytes>>);

/// Arenas that are kept.
const MOST_IDLE: usize = 16;

impl Arenas {
    /// An arena of at least this size; `None` where there is no memory.
    pub(super) fn take(&self, size_bytes: usize) -> Option<AlignedBytes> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle.filter(|arena| arena.len() >= size_bytes) {
            Some(arena) => Some(arena),
            // The smaller one is given back first.
            None => AlignedBytes::lasting(size_bytes),
        }
    }

    pub(super) fn give_back(&self, arena: AlignedBytes) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(arena);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size_bytes: usize, first: usize, last: usize) -> Block {
        Block { size_bytes, first, last }
    }

    #[test]
    fn blocks_share_bytes_only_when_they_do_not_live_together() {
        let blocks = [
            block(100, 0, 2),
            block(64, 1, 3),
            block(300, 2, 4),
            block(64, 3, 5),
            block(1, 0, 5),
            block(0, 0, 5),
            block(128, 5, 6),
        ];
        let arena = place(&blocks, &Limits::default()).unwrap();
        for (i, a) in blocks.iter().enumerate() {
            assert_eq!(arena.offsets[i] % ALIGNMENT_BYTES, 0);
            assert!(arena.offsets[i] + a.size_bytes <= arena.size_bytes);
            for (j, b) in blocks.iter().enumerate().filter(|(j, _)| *j != i) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = arena.offsets[i] + a.size_bytes <= arena.offsets[j]
                    || arena.offsets[j] + b.size_bytes <= arena.offsets[i];
                assert!(!together || apart, "{i} and {j}: {arena:?}");
            }
        }
    }

    #[test]
    fn a_chain_takes_two_blocks() {
        let blocks: Vec<Block> = (0..10).map(|step| block(1000, step, step + 1)).collect();
        assert_eq!(place(&blocks, &Limits::default()).unwrap().size_bytes, 2 * 1024);
    }

    #[test]
    fn what_does_not_fit_the_address_space_is_an_error() {
        let half = isize::MAX as usize - 64;
        assert!(place(&[block(half, 0, 1), block(half, 1, 2)], &Limits::default()).is_err());
        assert!(place(&[block(usize::MAX, 0, 1)], &Limits::default()).is_err());
    }
}
