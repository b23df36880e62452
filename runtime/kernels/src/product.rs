//! The loop over panels and tiles of a product.

use crate::kernel::product::Product;
use crate::kernel::quick::Quick;
#[cfg(not(target_arch = "wasm32"))]
use crate::kernel::stored_row::StoredRow;
use crate::packed;
use crate::panels::{POINTERS, Packed, Part, Source};
#[cfg(not(target_arch = "wasm32"))]
use crate::stored::{Layout, Storage};
use crate::tiles::Tiles;
use core::mem::MaybeUninit;

/// Floats of A that are kept in the second-level cache while all panels pass.
const BLOCK_FLOATS: usize = 32 * 1024;
/// Fewest rows for which all panels are read once more.
const BLOCK_ROWS: usize = 64;
/// Floats of B that stay in the first-level cache: then a few tiles of rows take all panels at once, with so many floats of A.
const SMALL_FLOATS: usize = 6 * 1024;
const FEW_FLOATS: usize = 4 * 1024;

/// Computes the panels of a few rows, several at a time, and returns the first that is left.
///
/// # Safety
///
/// As for [`multiply`]; `rows` holds the pointers of the rows, for which the table has kernels.
unsafe fn multiply_beside(
    part: &Part<'_>,
    (runs, run_len): (usize, usize),
    rows: *const *const f32,
    quick: Option<Quick>,
) -> usize {
    let Part { table, panels, .. } = part;
    let mut p = part.range.start;
    let beside = table.beside[part.rows - 1];
    // Where as many panels of the same width follow each other.
    let end_of_equal = |p: usize| {
        let vectors = panels.vectors(p);
        let end = p + beside.get(vectors - 1)?.panels;
        (end <= part.range.end && panels.vectors(end - 1) == vectors).then_some(end)
    };
    if let Packed::Stored(..) = part.packed {
        #[cfg(not(target_arch = "wasm32"))]
        if let (1, 1, Packed::Stored(packed, storage, _)) = (runs, part.rows, part.packed)
            && let layout = (Layout { k: panels.k(), storage })
            && layout.suits_row()
        {
            let kernels = match storage {
                Storage::Half => &table.stored[0],
                Storage::Int8(_) => &table.stored[1],
                Storage::Int4(_) => &table.stored[2],
            };
            while p < part.range.end {
                let (vectors, equal) = (panels.vectors(p), end_of_equal(p));
                let end = equal.unwrap_or(p + 1);
                // SAFETY: panels of the same width follow each other, and so do their columns; the row is there.
                unsafe {
                    let mut target = part.target(p, 0, 1, quick);
                    target.cols = panels.columns(&(p..end)).len();
                    let panel = packed.add(panels.first_column(p) * layout.column_bytes());
                    kernels[vectors - 1][usize::from(equal.is_some())](&StoredRow {
                        row: *rows,
                        panel,
                        layout,
                        target,
                        finish: table.finish,
                    });
                }
                p = end;
            }
        }
        return p;
    }
    // Past the wider panels there are only narrow ones; up to there, one at a time.
    while p < part.range.end
        && let Some(end) = end_of_equal(p)
    {
        // SAFETY: panels of the same width follow each other, and so do their columns.
        unsafe {
            let mut target = part.target(p, 0, part.rows, quick);
            target.cols = panels.columns(&(p..end)).len();
            let (panel, finish) = (part.panel(p), table.finish);
            let kernel = beside[panels.vectors(p) - 1].run;
            kernel(&Product { tiles: 1, rows, step: 0, runs, run_len, panel, target, finish });
        }
        p = end;
    }
    p
}

/// Computes a part, tile by tile.
///
/// # Safety
///
/// `packed` holds all panels, the destination `rows` rows of the range's columns, operands were checked, the source's
/// rows are valid and have at most `MAX_RUNS` runs.
pub(crate) unsafe fn multiply(part: &Part<'_>, source: &mut impl Source) {
    let Part { table, panels, .. } = part;
    let (runs, run_len) = source.runs();
    let tiles = Tiles::of(part.rows, table.max_rows());
    if tiles.count == 0 || panels.count() == 0 {
        return;
    }
    if panels.pack_rows(table, part.rows) {
        // SAFETY: the caller's.
        return unsafe { packed::multiply(part, source) };
    }
    let per_tile = (runs * table.max_rows()).max(1);
    // Panels that are widened are so for every block of rows.
    let rarely = if matches!(part.packed, Packed::Stored(..)) { 4 } else { 1 };
    let floats = match panels.len() {
        ..=SMALL_FLOATS if rarely == 1 => FEW_FLOATS,
        _ => rarely * BLOCK_FLOATS.max(BLOCK_ROWS * panels.k()),
    };
    let block = (floats / (panels.k().max(1) * table.max_rows())).min(POINTERS / per_tile).max(1);
    let quick = Quick::of_product(part.steps);
    let mut pointers = MaybeUninit::<[*const f32; POINTERS]>::uninit();
    let pointers: *mut *const f32 = pointers.as_mut_ptr().cast();
    let mut t0 = 0;
    while t0 < tiles.count {
        let t1 = (t0 + block).min(tiles.count);
        for t in t0..t1 {
            let rows = tiles.rows(t);
            // SAFETY: a block has at most POINTERS pointers.
            unsafe { source.fill(rows.start, rows.len(), pointers.add((t - t0) * per_tile)) };
        }
        let mut range = part.range.clone();
        if part.rows <= table.beside.len() && part.rows <= table.max_rows() {
            // SAFETY: as below.
            range.start = unsafe { multiply_beside(part, (runs, run_len), pointers, quick) };
        }
        for p in range {
            let vectors = panels.vectors(p);
            // SAFETY: there is such a panel.
            let panel = unsafe { part.panel(p) };
            for equal in tiles.of_equal_height(t0..t1) {
                let rows = tiles.rows(equal.start);
                let kernel = table.products[rows.len() - 1][vectors - 1];
                // SAFETY: rows and columns are inside the part; the table has a tile for each size that occurs.
                unsafe {
                    kernel(&Product {
                        tiles: equal.len(),
                        rows: pointers.add((equal.start - t0) * per_tile),
                        step: per_tile,
                        runs,
                        run_len,
                        panel,
                        target: part.target(p, rows.start, rows.len(), quick),
                        finish: table.finish,
                    });
                }
            }
        }
        t0 = t1;
    }
}
