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

/// Rows of A that are brought into form at a time, and bytes that they should take at most.
const BLOCK_ROWS: usize = 64;
const BLOCK_BYTES: usize = 24 * 1024;

/// Where rows of A come from.
pub(super) trait Rows {
    /// Row 0 and the bytes from row to row, if every row lies in one piece.
    fn direct(&self) -> Option<(*const u8, usize)>;

    /// Hands over the pieces of a row in order: where each is, and how many elements it has.
    fn pieces(&self, row: usize, each: impl FnMut(*const u8, usize));
}

/// How A is brought into the form that the instructions want.
#[derive(Clone, Copy)]
struct Staging {
    flip: u8,
    signed: bool,
    /// Zero point in that form.
    zero: i32,
    /// Bytes of an element.
    size: usize,
}

impl Staging {
    fn new(table: &ByteTable, kind: ByteKind) -> Staging {
        let ByteKind { signed, zero } = kind;
        let (flip, zero) = match (table.form, signed) {
            (Form::Unsigned, true) => (0x80, zero + 128),
            (Form::Signed, false) => (0x80, zero - 128),
            _ => (0, zero),
        };
        Staging { flip, signed, zero, size: size(table) }
    }
}

/// Bytes of an element of A in the form that the instructions want.
fn size(table: &ByteTable) -> usize {
    if table.form == Form::Words { 2 } else { 1 }
}

/// Rows of a block for rows of A of `depth` elements.
fn block_rows(table: &ByteTable, depth: usize) -> usize {
    let rows = BLOCK_BYTES / (depth * size(table)).max(1);
    (rows / table.max_rows() * table.max_rows()).clamp(table.max_rows(), BLOCK_ROWS)
}

/// Bytes of scratch memory of a product with `rows` rows.
pub(super) fn scratch_len(table: &ByteTable, panels: &BytePanels, rows: usize) -> usize {
    block_rows(table, panels.depth()).min(rows).saturating_mul(panels.depth()).saturating_mul(size(table))
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
    pub kind: ByteKind,
    pub scale: f32,
}

/// Computes a part.
///
/// # Safety
///
/// `packed` holds all panels, `output` the rows, `scratch` is as long as [`scratch_len`]; operands were checked; the pieces of each row
/// are valid and have `k` elements together.
pub(super) unsafe fn multiply(part: &Part<'_>, a: &impl Rows, output: &mut ByteOutput<'_>, scratch: &mut [u8]) {
    let Part { table, panels, .. } = part;
    let (form, size_bytes, dst) = (output.form(), output.size_bytes(), output.ptr());
    let staging = Staging::new(table, part.kind);
    let depth = panels.depth();
    let direct = a.direct().filter(|_| staging.flip == 0 && staging.size == 1 && depth == panels.k());
    let block = block_rows(table, depth);
    let quick = Quick::of(part.steps);
    let mut start = 0;
    while start < part.rows {
        let end = (start + block).min(part.rows);
        let (first, a_stride) = match direct {
            // SAFETY: the row exists.
            Some((first, stride)) => (unsafe { first.add(start * stride) }, stride),
            None => {
                let stride = depth * staging.size;
                for row in start..end {
                    let to = &mut scratch[(row - start) * stride..][..stride];
                    // SAFETY: the caller's pieces.
                    unsafe { stage(part, staging, a, row, to) };
                }
                (scratch.as_ptr(), stride)
            }
        };
        let tiles = (end - start).div_ceil(table.max_rows());
        let (short, taller) = ((end - start) / tiles, (end - start) % tiles);
        for p in 0..panels.panels.count() {
            let (column, vectors) = (panels.panels.first_column(p), panels.panels.vectors(p));
            for t in 0..tiles {
                let row = t * short + t.min(taller);
                let rows = short + usize::from(t < taller);
                let target = Target {
                    dst: core::ptr::null_mut(),
                    stride: part.stride,
                    rows,
                    cols: panels.panels.width(p),
                    row: part.row + start + row,
                    col: part.col + column,
                    steps: part.steps,
                    quick,
                };
                // SAFETY: rows and columns are inside of the part; the table has a tile for each size that occurs.
                unsafe {
                    let dst = dst.add(((start + row) * part.stride + part.col + column) * size_bytes);
                    (table.products[rows - 1][vectors - 1])(&ByteProduct {
                        a: first.add(row * a_stride),
                        a_stride,
                        steps: panels.steps(),
                        panel: part.packed.as_ptr().add(panels.offset(p)),
                        zero: staging.zero,
                        scale: part.scale,
                        weight_zeros: part.weight_zeros,
                        store: Store { dst, form, target, finish: table.finish },
                    });
                }
            }
        }
        start = end;
    }
}

/// Brings a row of A into form; behind it come zeros.
///
/// # Safety
///
/// The row's pieces are valid, and fit in `to`.
unsafe fn stage(part: &Part<'_>, staging: Staging, a: &impl Rows, row: usize, to: &mut [u8]) {
    let mut at = 0;
    a.pieces(row, |src, len| {
        let dst = &mut to[at * staging.size..][..len * staging.size];
        // SAFETY: both have room for `len` elements.
        unsafe {
            (part.table.stage)(&Stage { src, dst: dst.as_mut_ptr(), len, flip: staging.flip, signed: staging.signed });
        }
        at += len;
    });
    if let Some(rest) = to.get_mut(at * staging.size..).filter(|rest| !rest.is_empty()) {
        rest.fill(0);
    }
}
