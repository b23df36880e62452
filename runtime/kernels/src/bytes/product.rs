//! The loop over tiles of a product of 8-bit integers. Rows of A are used where they lie if they have the form that the instructions
//! want; else some at a time are brought into it.

use super::pack::BytePanels;
use super::{ByteKind, ByteOutput};
use crate::byte_table::ByteTable;
use crate::kernel::bytes::{ByteProduct, Stage, Store};
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;
use crate::simd::dot::Form;
use crate::step::Step;
use crate::tiles::Tiles;

/// Rows of A that are brought into form at a time, and bytes that they should take at most.
const BLOCK_ROWS: usize = 64;
const BLOCK_BYTES: usize = 24 * 1024;

/// Where rows of A come from. The loop over tiles is there once, whatever they are.
pub(super) trait Rows {
    /// Makes some rows from `row` on readable, in `scratch` if they are not as they lie. At most `most` rows, and at least one.
    fn ready(&self, row: usize, most: usize, scratch: &mut [u8]) -> Ready;
}

/// Rows of A in the form that the instructions want.
pub(super) struct Ready {
    pub first: *const u8,
    /// Bytes from row to row.
    pub stride: usize,
    /// Bytes from piece to piece.
    pub jump: usize,
    pub rows: usize,
}

/// How A is brought into the form that the instructions want.
#[derive(Clone, Copy)]
pub(super) struct Staging {
    table: &'static ByteTable,
    pub flip: u8,
    signed: bool,
    /// Zero point in that form.
    pub zero: i32,
    /// Bytes of an element.
    pub size: usize,
}

impl Staging {
    pub fn new(table: &'static ByteTable, kind: ByteKind) -> Staging {
        let ByteKind { signed, zero } = kind;
        let (flip, zero) = match (table.form, signed) {
            (Form::Unsigned, true) => (0x80, zero + 128),
            (Form::Signed, false) => (0x80, zero - 128),
            _ => (0, zero),
        };
        Staging { table, flip, signed, zero, size: size(table) }
    }

    /// Whether A has that form already.
    pub fn is_none(&self) -> bool {
        self.flip == 0 && self.size == 1
    }

    /// Brings `len` elements into form; returns what is behind them.
    ///
    /// # Safety
    ///
    /// The elements are there.
    ///
    /// # Panics
    ///
    /// If they do not fit in `to`.
    pub unsafe fn stage<'a>(&self, src: *const u8, len: usize, to: &'a mut [u8]) -> &'a mut [u8] {
        let (to, rest) = to.split_at_mut(len * self.size);
        // SAFETY: both have room for `len` elements.
        unsafe { (self.table.stage)(&Stage { src, dst: to.as_mut_ptr(), len, flip: self.flip, signed: self.signed }) };
        rest
    }
}

/// Bytes of an element of A in the form that the instructions want.
pub(super) fn size(table: &ByteTable) -> usize {
    if table.form == Form::Words { 2 } else { 1 }
}

/// Rows of a block that is staged.
pub(super) fn block_rows(table: &ByteTable, panels: &BytePanels) -> usize {
    let rows = BLOCK_BYTES / (panels.depth() * size(table)).max(1);
    (rows / table.max_rows() * table.max_rows()).clamp(table.max_rows(), BLOCK_ROWS)
}

/// Bytes of scratch memory of a product with `rows` rows, if all are staged.
pub(super) fn scratch_len(table: &ByteTable, panels: &BytePanels, rows: usize) -> usize {
    block_rows(table, panels).min(rows).saturating_mul(panels.depth()).saturating_mul(size(table))
}

/// The part of a product that is to be computed.
pub(super) struct Part<'a> {
    pub table: &'static ByteTable,
    pub panels: BytePanels,
    pub packed: &'a [i32],
    pub weight_zeros: bool,
    pub rows: usize,
    /// Elements of a row of the whole result, and the first column of this part.
    pub stride: usize,
    pub col: usize,
    /// The absolute row of row 0: operands of steps are absolute.
    pub row: usize,
    pub steps: &'a [Step<'a>],
    /// Zero point of A in the form that the instructions want.
    pub zero: i32,
    pub scale: f32,
}

/// Computes a part.
///
/// # Safety
///
/// `packed` holds all panels, `output` the rows; operands were checked; what [`Rows::ready`] answers is there.
pub(super) unsafe fn multiply(part: &Part<'_>, a: &dyn Rows, output: &mut ByteOutput<'_>, scratch: &mut [u8]) {
    let Part { table, panels, .. } = part;
    let (form, size_bytes, dst) = (output.form(), output.size_bytes(), output.ptr());
    let piece_bytes = panels.padded() * size(table);
    let quick = Quick::of_product(part.steps);
    let mut start = 0;
    while start < part.rows {
        let Ready { first, stride: a_stride, jump, rows: ready } = a.ready(start, part.rows - start, scratch);
        // Pieces without a gap are one.
        let (pieces, steps, gap) = if jump == piece_bytes {
            (1, panels.steps() * panels.pieces(), 0)
        } else {
            (panels.pieces(), panels.steps(), jump.wrapping_sub(piece_bytes))
        };
        let tiles = Tiles::of(ready, table.max_rows());
        for p in 0..panels.panels.count() {
            let (column, vectors) = (panels.panels.first_column(p), panels.panels.vectors(p));
            for equal in tiles.of_equal_height(0..tiles.count) {
                let rows = tiles.rows(equal.start);
                let target = Target {
                    dst: core::ptr::null_mut(),
                    stride: part.stride,
                    rows: rows.len(),
                    cols: panels.panels.width(p),
                    row: part.row + start + rows.start,
                    col: part.col + column,
                    steps: part.steps,
                    quick,
                };
                // SAFETY: rows and columns are inside of the part; the table has a tile for each size that occurs.
                unsafe {
                    let dst = dst.add(((start + rows.start) * part.stride + part.col + column) * size_bytes);
                    (table.products[rows.len() - 1][vectors - 1])(&ByteProduct {
                        tiles: equal.len(),
                        a: first.add(rows.start * a_stride),
                        a_stride,
                        pieces,
                        steps,
                        gap,
                        panel: part.packed.as_ptr().add(panels.offset(p)),
                        zero: part.zero,
                        scale: part.scale,
                        weight_zeros: part.weight_zeros,
                        store: Store { dst, form, target, finish: table.finish },
                    });
                }
            }
        }
        start += ready;
    }
}
