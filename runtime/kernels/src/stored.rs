//! Constant matrices that stay as they are stored: in half the bits of a binary32 number, or fewer.
//!
//! They lie in the panels in which products read B. With one row of A a product widens numbers in registers; with more, a panel at a
//! time into scratch memory. Either way what is multiplied, and in which order, is what it would be of a matrix that was widened
//! before: so the bits of the results are the same.

use crate::error::{KernelError, long_enough, same};
use crate::packing::{Form, Packing};
use crate::panels::{Packed, Panels};
use core::ops::Range;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// As binary16.
    Half,
    /// As signed integers of 8 bits.
    Int8(Blocks),
    /// As signed integers of 4 bits.
    Int4(Blocks),
}

/// What integers stand for: `(q - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blocks {
    /// Rows of a column that have a scale and a zero point in common, at least one.
    pub rows: usize,
    /// Whether there are zero points; they are 0 otherwise.
    pub zeros: bool,
}

/// Where the codes of a matrix are, in bytes of which each has the bits of two codes of 4 bits, the first of them in the low ones. What
/// is said of columns holds for the output channels of a convolution, and of rows for the weights of one, in ONNX's order.
///
/// Distances are in units of 4 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    /// From the code of a column to that of the next.
    pub column: usize,
    /// From the code of a row to that of the next.
    pub row: usize,
    /// Whether integers are stored as unsigned ones, larger than those that are meant by half of their range.
    pub unsigned: bool,
}

/// A matrix as it is stored, for those who pack it.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    /// Integers, or binary16 in little-endian order.
    pub codes: &'a [u8],
    /// Where each is.
    pub order: Order,
    /// The scales of a column's blocks side by side, column by column, or one for all; none of binary16.
    pub scales: &'a [f32],
    /// Zero points likewise, where the storage has them.
    pub zeros: &'a [i8],
}

/// Packed weights, and the bias before them.
#[derive(Debug, Clone, Copy)]
pub enum PackedWeights<'a> {
    /// What [`Packing::pack`] made.
    Floats(&'a [f32]),
    /// What [`StoredPacking::pack`] made.
    Stored(Storage, &'a [u8]),
}

/// Where the parts of a panel are. A panel of `w` columns is a row of `w` biases; a row of scales, then a row of zero points, for each
/// block; rows of codes. Rows of two codes of 4 bits each have the first in the low bits. Offsets are for one column: those of a panel
/// are `w` times as large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub k: usize,
    pub storage: Storage,
}

impl Layout {
    fn integers(&self) -> Option<Blocks> {
        match self.storage {
            Storage::Half => None,
            Storage::Int8(blocks) | Storage::Int4(blocks) => Some(blocks),
        }
    }

    /// Rows with a scale in common.
    pub fn block(&self) -> usize {
        self.integers().map_or(self.k, |blocks| blocks.rows).max(1)
    }

    pub fn has_zeros(&self) -> bool {
        self.integers().is_some_and(|blocks| blocks.zeros)
    }

    fn blocks(&self) -> usize {
        self.integers().map_or(0, |_| self.k.div_ceil(self.block()))
    }

    pub const SCALES: usize = 4;

    pub fn zeros(&self) -> usize {
        Self::SCALES + 4 * self.blocks()
    }

    pub fn codes(&self) -> usize {
        self.zeros() + if self.has_zeros() { self.blocks() } else { 0 }
    }

    /// Bytes of a column.
    pub fn column_bytes(&self) -> usize {
        let codes = match self.storage {
            Storage::Half => 2 * self.k,
            Storage::Int8(_) => self.k,
            Storage::Int4(_) => self.k.div_ceil(2),
        };
        self.codes() + codes
    }

    /// Whether a single row is multiplied without widening the panel: pairs of codes do not reach from one block into the next.
    /// WebAssembly has no kernels for that.
    pub fn suits_row(&self) -> bool {
        let pairs = !matches!(self.storage, Storage::Int4(_));
        !cfg!(target_arch = "wasm32") && (pairs || self.block() >= self.k || self.block().is_multiple_of(2))
    }
}

/// The packed form of weights that stay as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredPacking {
    packing: Packing,
    storage: Storage,
}

impl Packing {
    /// The form of the same weights as they are stored; `None` where there is no kernel that reads them so.
    pub fn stored(&self, storage: Storage) -> Option<StoredPacking> {
        let packing = StoredPacking { packing: *self, storage };
        let whole = packing.layout().block() >= self.panels.k();
        let known = match self.form {
            Form::Matrix | Form::Transposed => true,
            // The rows of a block are taps of one channel after the other there.
            Form::Taps => whole || self.taps == 1,
            Form::Lines | Form::Depthwise | Form::Winograd | Form::Scattered { .. } => false,
        };
        known.then_some(packing)
    }
}

impl StoredPacking {
    /// How the numbers are stored.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Columns of the matrix, or output channels.
    pub fn columns(&self) -> usize {
        self.packing.bias_len()
    }

    /// Whether weights are given column by column, as those of a convolution are: `[n, k]`.
    pub fn is_by_column(&self) -> bool {
        self.packing.form != Form::Matrix
    }

    fn layout(&self) -> Layout {
        Layout { k: self.packing.panels.k(), storage: self.storage }
    }

    /// Bytes of one group's panels.
    fn group_bytes(&self) -> usize {
        self.packing.panels.columns_len() * self.layout().column_bytes()
    }

    /// Bytes of the packed weights.
    pub fn packed_bytes(&self) -> usize {
        self.group_bytes() * self.packing.groups
    }

    /// Packs weights and a bias per column or output channel.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: numbers, bias or `packed` do not have the right length.
    pub fn pack(&self, numbers: &Numbers<'_>, bias: Option<&[f32]>, packed: &mut [u8]) -> Result<(), KernelError> {
        let (layout, columns) = (self.layout(), self.columns());
        same("packed weights", self.packed_bytes(), packed.len())?;
        if let Some(bias) = bias {
            same("bias", columns, bias.len())?;
        }
        self.check(&numbers.order, numbers.codes)?;
        let blocks = layout.blocks();
        if numbers.scales.len() != 1 {
            same("scales", columns * blocks, numbers.scales.len())?;
        }
        if layout.has_zeros() && numbers.zeros.len() != 1 {
            same("zero points", columns * blocks, numbers.zeros.len())?;
        }
        packed.fill(0);
        self.each_panel(|panel, bytes| {
            let (width, head) = (panel.width, &mut packed[bytes]);
            for c in 0..panel.columns {
                let column = panel.column + c;
                let bias = bias.map_or(0.0, |bias| bias[column]);
                head[4 * c..][..4].copy_from_slice(&bias.to_ne_bytes());
                for block in 0..blocks {
                    let (at, of) = (block * width + c, column * blocks + block);
                    let scale = numbers.scales[if numbers.scales.len() == 1 { 0 } else { of }];
                    head[Layout::SCALES * width + 4 * at..][..4].copy_from_slice(&scale.to_ne_bytes());
                    if layout.has_zeros() {
                        let zero = numbers.zeros[if numbers.zeros.len() == 1 { 0 } else { of }];
                        head[layout.zeros() * width + at] = zero.cast_unsigned();
                    }
                }
            }
        });
        let (order, codes) = (numbers.order, numbers.codes);
        let [flip, mask] = self.bits(&order);
        self.each_row(|row, to| {
            let from = row.column * order.column + row.stored * order.row;
            let to = &mut packed[to];
            match self.storage {
                Storage::Half => {
                    for (c, slot) in to.chunks_exact_mut(2).enumerate() {
                        slot.copy_from_slice(&codes[(from + c * order.column) / 2..][..2]);
                    }
                }
                Storage::Int8(_) | Storage::Int4(_) => {
                    for (c, slot) in to.iter_mut().enumerate() {
                        let at = from + c * order.column;
                        *slot |= ((codes[at / 2] ^ flip) >> (at % 2 * 4) & mask) << row.shift;
                    }
                }
            }
        });
        Ok(())
    }

    /// Writes the codes as they were stored into bytes that are zero.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: `packed` or `codes` do not have the right length.
    pub fn unpack(&self, packed: &[u8], order: Order, codes: &mut [u8]) -> Result<(), KernelError> {
        same("packed weights", self.packed_bytes(), packed.len())?;
        self.check(&order, codes)?;
        let [flip, mask] = self.bits(&order);
        self.each_row(|row, from| {
            let to = row.column * order.column + row.stored * order.row;
            let from = &packed[from];
            match self.storage {
                Storage::Half => {
                    for (c, code) in from.chunks_exact(2).enumerate() {
                        codes[(to + c * order.column) / 2..][..2].copy_from_slice(code);
                    }
                }
                Storage::Int8(_) | Storage::Int4(_) => {
                    for (c, code) in from.iter().enumerate() {
                        let at = to + c * order.column;
                        codes[at / 2] |= ((code >> row.shift ^ flip) & mask) << (at % 2 * 4);
                    }
                }
            }
        });
        Ok(())
    }

    /// Whether all codes are there.
    fn check(&self, order: &Order, codes: &[u8]) -> Result<(), KernelError> {
        let overflow = KernelError::Overflow { what: "codes" };
        let last = |count: usize, each: usize| count.saturating_sub(1).checked_mul(each);
        let (columns, k) = (self.columns(), self.layout().k);
        if columns == 0 || k == 0 {
            return Ok(());
        }
        let ends = last(columns, order.column).zip(last(k, order.row)).and_then(|(a, b)| a.checked_add(b));
        let units = if self.storage == Storage::Half { 4 } else { 2 };
        let needed = ends.and_then(|end| end.checked_add(units)).ok_or(overflow)? / 2;
        long_enough("codes", needed, codes.len())
    }

    /// The bits in which integers differ from those that are stored, and all that they have.
    fn bits(&self, order: &Order) -> [u8; 2] {
        let [flip, mask] = if matches!(self.storage, Storage::Int4(_)) { [0x88, 15] } else { [0x80, 255] };
        [if order.unsigned { flip } else { 0 }, mask]
    }

    /// Every row of every panel, and the bytes of its codes.
    fn each_row(&self, mut visit: impl FnMut(Row, Range<usize>)) {
        let layout = self.layout();
        let (rows, size) = match self.storage {
            Storage::Half => (1, 2),
            Storage::Int8(_) => (1, 1),
            Storage::Int4(_) => (2, 1),
        };
        self.each_panel(|panel, bytes| {
            let codes = bytes.start + layout.codes() * panel.width;
            for k in 0..layout.k {
                let start = codes + k / rows * panel.width * size;
                let row = Row { column: panel.column, stored: self.packing.row(k), shift: k % rows * 4 };
                visit(row, start..start + panel.columns * size);
            }
        });
    }

    /// Every panel and its bytes.
    fn each_panel(&self, mut visit: impl FnMut(Panel, Range<usize>)) {
        let (panels, mut start) = (self.packing.panels, 0);
        for group in 0..self.packing.groups {
            for p in 0..panels.count() {
                let width = panels.vectors(p) * panels.lanes();
                let end = start + width * self.layout().column_bytes();
                let column = group * self.packing.outputs + panels.first_column(p);
                visit(Panel { column, width, columns: panels.width(p) }, start..end);
                start = end;
            }
        }
    }
}

/// A panel: its first column in the matrix, columns of all its vectors, and how many of them the matrix has.
struct Panel {
    column: usize,
    width: usize,
    columns: usize,
}

/// A row of a panel: its first column in the matrix, which of the matrix' rows it is, and by how many bits its codes are shifted.
struct Row {
    column: usize,
    stored: usize,
    shift: usize,
}

/// Floats of scratch memory in which a product widens a panel; none if it has a single row and does without.
pub(crate) fn scratch_len(panels: &Panels, rows: usize, storage: Option<Storage>) -> usize {
    let Some(storage) = storage else { return 0 };
    let layout = Layout { k: panels.k(), storage };
    if rows == 0 || rows == 1 && layout.suits_row() { 0 } else { panels.widest() * (panels.k() + 1) }
}

impl PackedWeights<'_> {
    /// How they are stored; `None` if they are numbers.
    pub fn storage(&self) -> Option<Storage> {
        match self {
            PackedWeights::Floats(_) => None,
            PackedWeights::Stored(storage, _) => Some(*storage),
        }
    }

    /// All panels of a packing, checked, with memory to widen them in.
    pub(crate) fn panels(&self, packing: &Packing, scratch: &mut [f32]) -> Result<Packed, KernelError> {
        match *self {
            PackedWeights::Floats(packed) => {
                long_enough("packed weights", packing.packed_len(), packed.len())?;
                Ok(Packed::Floats(packed.as_ptr()))
            }
            PackedWeights::Stored(storage, bytes) => {
                let known =
                    packing.stored(storage).ok_or(KernelError::Range { what: "storage", value: bytes.len() })?;
                same("packed weights", known.packed_bytes(), bytes.len())?;
                Ok(Packed::Stored(bytes.as_ptr(), storage, scratch.as_mut_ptr()))
            }
        }
    }
}
