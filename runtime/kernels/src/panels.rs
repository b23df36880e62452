//! The packed form of a matrix B: panels of a few vectors of columns, and the loop over tiles that reads them.

use crate::error::{KernelError, product};
use crate::kernel::pointwise::Target;
use crate::kernel::product::Product;
use crate::kernel::quick::Quick;
use crate::kernel::stored::Widen;
#[cfg(not(target_arch = "wasm32"))]
use crate::kernel::stored_row::StoredRow;
use crate::packed;
use crate::step::Step;
use crate::stored::{Layout, Storage};
use crate::table::{MAX_ROWS, Table};
use crate::tiles::Tiles;
use core::mem::MaybeUninit;
use core::ops::Range;

/// How `n` columns are cut into panels. Panels are as even as possible: 64 columns of 16 lanes are 32 + 32, not 48 + 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Panels {
    n: usize,
    k: usize,
    lanes: usize,
    count: usize,
    /// Vectors of the narrower panels, and how many panels have one more; those come first.
    narrow: usize,
    wider: usize,
    /// Whether rows of A are packed for them.
    packs_rows: bool,
}

impl Panels {
    pub fn new(table: &Table, k: usize, n: usize) -> Result<Self, KernelError> {
        let packs_rows = packed::suits(table, k, n);
        let max_vectors = if packs_rows { packed::VECTORS } else { table.max_vectors() };
        Ok(Self { packs_rows, ..Self::of(table.lanes, max_vectors, k, n)? })
    }

    /// Panels of up to `max_vectors` vectors of `lanes` columns: `k` rows, and one before them.
    pub fn of(lanes: usize, max_vectors: usize, k: usize, n: usize) -> Result<Self, KernelError> {
        let vectors = n.div_ceil(lanes);
        let count = vectors.div_ceil(max_vectors);
        let narrow = vectors.checked_div(count).unwrap_or(0);
        let wider = vectors - narrow * count;
        // Checked here once: the length of all panels, with their rows of biases.
        let rows = k.checked_add(1).ok_or(KernelError::Overflow { what: "packed matrix" })?;
        let columns = vectors.checked_mul(lanes).ok_or(KernelError::Overflow { what: "packed matrix" })?;
        product("packed matrix", &[rows, columns])?;
        Ok(Self { n, k, lanes, count, narrow, wider, packs_rows: false })
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Rows of B.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of all panels.
    pub fn columns_len(&self) -> usize {
        self.first_column(self.count)
    }

    /// Columns of the widest panel.
    pub fn widest(&self) -> usize {
        (self.narrow + usize::from(self.wider > 0)) * self.lanes
    }

    /// Floats in a vector.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Floats of all panels.
    pub fn len(&self) -> usize {
        self.columns_len() * (self.k + 1)
    }

    /// The column at which panel `p` starts. That of a panel behind the last is `n`, rounded up to whole vectors.
    pub fn first_column(&self, p: usize) -> usize {
        (p * self.narrow + p.min(self.wider)) * self.lanes
    }

    /// Columns of panel `p` that B has.
    pub fn width(&self, p: usize) -> usize {
        (self.vectors(p) * self.lanes).min(self.n - self.first_column(p))
    }

    pub fn vectors(&self, p: usize) -> usize {
        self.narrow + usize::from(p < self.wider)
    }

    /// The columns of B in some panels.
    pub fn columns(&self, panels: &Range<usize>) -> Range<usize> {
        self.first_column(panels.start).min(self.n)..self.first_column(panels.end).min(self.n)
    }

    /// Writes bias and matrix; `at(k, n)` gives an element. Columns beyond `n` are zero.
    pub fn pack(&self, out: &mut [f32], bias: impl Fn(usize) -> f32, at: impl Fn(usize, usize) -> f32) {
        self.rows(|row, columns, place| {
            let (inside, beyond) = out[place].split_at_mut(columns.len());
            for (slot, column) in inside.iter_mut().zip(columns) {
                *slot = match row.checked_sub(1) {
                    None => bias(column),
                    Some(k) => at(k, column),
                };
            }
            beyond.fill(0.0);
        });
    }

    /// Hands every element of the matrix back.
    pub fn unpack(&self, packed: &[f32], mut each: impl FnMut(usize, usize, f32)) {
        self.rows(|row, columns, place| {
            let Some(k) = row.checked_sub(1) else { return };
            packed[place].iter().zip(columns).for_each(|(value, column)| each(k, column, *value));
        });
    }

    /// Every row of every panel, that of the biases first: its columns of B, and its place, which may be longer.
    pub fn rows(&self, mut visit: impl FnMut(usize, Range<usize>, Range<usize>)) {
        let mut place = 0;
        for p in 0..self.count {
            let (start, width) = (self.first_column(p), self.vectors(p) * self.lanes);
            for row in 0..=self.k {
                visit(row, start..(start + width).min(self.n), place..place + width);
                place += width;
            }
        }
    }
}

/// Where the rows of A are: `fill(first, rows, out)` writes `runs x rows` pointers for the rows from `first`.
pub(crate) trait Source {
    /// Pieces of a row, and floats in each.
    fn runs(&self) -> (usize, usize);
    /// # Safety
    ///
    /// `out` has room for `runs x rows` pointers, and the rows exist.
    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32);
}

/// Pointers that are kept for the tiles of one block.
pub(crate) const POINTERS: usize = 1024;
/// Floats of A that are kept in the second-level cache while all panels pass.
const BLOCK_FLOATS: usize = 32 * 1024;
/// Fewest rows for which all panels are read once more.
const BLOCK_ROWS: usize = 64;
/// Floats of B that stay in the first-level cache: then every tile of rows takes all panels at once.
const SMALL_FLOATS: usize = 6 * 1024;

/// All panels of B.
#[derive(Clone, Copy)]
pub(crate) enum Packed {
    Floats(*const f32),
    /// As they are stored, and memory for one of them as floats.
    Stored(*const u8, Storage, *mut f32),
}

/// The part of a product that is to be computed.
pub(crate) struct Part<'a> {
    pub table: &'static Table,
    pub panels: Panels,
    pub range: Range<usize>,
    pub packed: Packed,
    pub rows: usize,
    /// Element of row 0 and the first column of the range.
    pub dst: *mut f32,
    pub stride: usize,
    /// The absolute row of row 0: operands of steps are absolute.
    pub row: usize,
    /// The absolute column of B's first.
    pub col: usize,
    pub steps: &'a [Step<'a>],
}

impl Part<'_> {
    /// Panel `p` in floats. One that is stored is widened first, in the place of the last one.
    ///
    /// # Safety
    ///
    /// There is such a panel.
    pub unsafe fn panel(&self, p: usize) -> *const f32 {
        let first = self.panels.first_column(p);
        // SAFETY: `packed` holds all panels, and the scratch memory the widest.
        unsafe {
            match self.packed {
                Packed::Floats(packed) => packed.add(first * (self.panels.k + 1)),
                Packed::Stored(packed, storage, scratch) => {
                    let layout = Layout { k: self.panels.k, storage };
                    let panel = packed.add(first * layout.column_bytes());
                    (self.table.widen)(&Widen { panel, vectors: self.panels.vectors(p), layout, out: scratch });
                    scratch
                }
            }
        }
    }

    /// The target of the tile of `rows` rows from `first` and panel `p`.
    ///
    /// # Safety
    ///
    /// They are inside the part.
    pub unsafe fn target(&self, p: usize, first: usize, rows: usize, quick: Option<Quick>) -> Target<'_> {
        let start = self.panels.first_column(p);
        let before = start - self.panels.first_column(self.range.start);
        Target {
            // SAFETY: inside the destination.
            dst: unsafe { self.dst.add(first * self.stride + before) },
            stride: self.stride,
            rows,
            cols: self.panels.width(p),
            row: self.row + first,
            col: self.col + start,
            steps: self.steps,
            quick,
        }
    }
}

/// Most runs for which pointers fit.
pub(crate) const MAX_RUNS: usize = POINTERS / MAX_ROWS;

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
            && let layout = (Layout { k: panels.k, storage })
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
            kernel(&Product { rows, runs, run_len, panel, target, finish });
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
    if tiles.count == 0 || panels.count == 0 {
        return;
    }
    if panels.packs_rows && packed::suits_rows(table, part.rows) {
        // SAFETY: the caller's.
        return unsafe { packed::multiply(part, source) };
    }
    let per_tile = (runs * table.max_rows()).max(1);
    // Panels that are widened are so for every block of rows.
    let rarely = if matches!(part.packed, Packed::Stored(..)) { 4 } else { 1 };
    let block = if panels.len() <= SMALL_FLOATS && rarely == 1 {
        1
    } else {
        let most = rarely * BLOCK_FLOATS.max(BLOCK_ROWS * panels.k) / (panels.k.max(1) * table.max_rows());
        most.min(POINTERS / per_tile).max(1)
    };
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
            for t in t0..t1 {
                let rows = tiles.rows(t);
                let kernel = table.products[rows.len() - 1][vectors - 1];
                // SAFETY: rows and columns are inside the part; the table has a tile for each size that occurs.
                unsafe {
                    kernel(&Product {
                        rows: pointers.add((t - t0) * per_tile),
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
