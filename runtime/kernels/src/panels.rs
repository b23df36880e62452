//! The packed form of a matrix B, panels of a few vectors of columns, and the part of a product that is computed with them.

use crate::error::{KernelError, product};
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;
use crate::kernel::stored::Widen;
use crate::step::Step;
use crate::stored::{Layout, Storage};
use crate::table::{MAX_ROWS, PACKS_ROWS, Table};
use core::ops::Range;

/// Floats of A for which there is room where rows are packed.
pub(crate) const PACKED_FLOATS: usize = 24 * 1024;
/// Columns from which packing pays: a number that is packed meets so many. Measured in wasmtime and in V8 on x86-64 (Intel Xeon with AMX)
/// with whole runs of ocr-cls, 8 against 12: 1.10 ms for 1.15, and 0.98 for 1.00.
const FEWEST_COLUMNS: usize = 8;

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
        let packs_rows = PACKS_ROWS && n >= FEWEST_COLUMNS && !table.packed.is_empty() && k <= PACKED_FLOATS / MAX_ROWS;
        // Tiles for packed rows are one vector wide.
        let max_vectors = if packs_rows { 1 } else { table.max_vectors() };
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

    /// Whether so many rows are packed for them.
    pub fn pack_rows(&self, table: &Table, rows: usize) -> bool {
        self.packs_rows && table.packed.first().is_some_and(|lowest| rows >= lowest.rows)
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

/// Pointers to rows for which the loops over tiles have room.
pub(crate) const POINTERS: usize = 1024;
/// Most runs for which those of a tile fit.
pub(crate) const MAX_RUNS: usize = POINTERS / MAX_ROWS;

/// Where the rows of A are: `fill(first, rows, out)` writes `runs x rows` pointers for the rows from `first`.
pub(crate) trait Source {
    /// Pieces of a row, and floats in each.
    fn runs(&self) -> (usize, usize);
    /// # Safety
    ///
    /// `out` has room for `runs x rows` pointers, and the rows exist.
    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32);
}

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
