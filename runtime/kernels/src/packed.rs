//! Products whose rows of A are packed first, where the table has tiles for that.

use crate::kernel::packed::{Pack, PackedProduct};
use crate::kernel::quick::Quick;
use crate::panels::{PACKED_FLOATS, POINTERS, Packed, Part, Source};
use crate::tiles::Tiles;
use core::mem::MaybeUninit;

/// Floats of A that are packed at a time, while all panels pass, or two tiles: they stay in the first-level cache, and an instance in
/// the sandbox pays for few pages of its stack.
const BLOCK_FLOATS: usize = 6 * 1024;
const BLOCK_TILES: usize = 2;

/// Computes a part, tile by tile.
///
/// # Safety
///
/// As for [`product::multiply`](crate::product::multiply); the part's panels [pack](crate::panels::Panels::pack_rows) its rows.
pub(crate) unsafe fn multiply(part: &Part<'_>, source: &mut impl Source) {
    let Part { table, panels, .. } = part;
    let (runs, run_len) = source.runs();
    let k = panels.k();
    let quick = Quick::of_product(part.steps);
    let mut pointers = MaybeUninit::<[*const f32; POINTERS]>::uninit();
    let pointers: *mut *const f32 = pointers.as_mut_ptr().cast();
    let mut packed = MaybeUninit::<[f32; PACKED_FLOATS]>::uninit();
    let packed: *mut f32 = packed.as_mut_ptr().cast();

    let (Some(lowest), Some(tallest)) = (table.packed.first(), table.packed.last()) else { return };
    let tiles = Tiles::of(part.rows, tallest.rows);
    let tile = (k * tallest.rows).max(1);
    // Panels that are widened are so for every block.
    let floats = if matches!(part.packed, Packed::Stored(..)) { PACKED_FLOATS } else { BLOCK_FLOATS };
    let block = (floats / tile).max(BLOCK_TILES).min(PACKED_FLOATS / tile).max(1);
    for t0 in (0..tiles.count).step_by(block) {
        let block = t0..(t0 + block).min(tiles.count);
        let place = |t: usize| packed.wrapping_add((t - t0) * tile);
        let kernels = |rows: usize| &table.packed[rows - lowest.rows];
        for t in block.clone() {
            let rows = tiles.rows(t);
            // SAFETY: the source has these rows; a tile has at most `MAX_ROWS * MAX_RUNS` pointers, a block at most `PACKED_FLOATS`.
            unsafe {
                source.fill(rows.start, rows.len(), pointers);
                (kernels(rows.len()).pack)(&Pack { rows: pointers, runs, run_len, out: place(t) });
            }
        }
        for p in part.range.clone() {
            // SAFETY: rows and columns are inside the part; a panel of one vector has as many floats as a vector in each row.
            unsafe {
                let panel = part.panel(p);
                let panel_end = panel.add((k + 1) * table.lanes);
                for equal in tiles.of_equal_height(block.clone()) {
                    let rows = tiles.rows(equal.start);
                    (kernels(rows.len()).tiles)(&PackedProduct {
                        tiles: equal.len(),
                        a: place(equal.start),
                        step: tile,
                        k,
                        panel,
                        panel_end,
                        target: part.target(p, rows.start, rows.len(), quick),
                        finish: table.finish,
                    });
                }
            }
        }
    }
}
