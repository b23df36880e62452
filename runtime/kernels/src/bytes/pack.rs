//! The packed form of weights: panels of columns, in the order in which products read them.

use crate::byte_table::ByteTable;
use crate::error::{KernelError, same};
use crate::kernel::bytes::HEADER;
use crate::panels::Panels;

/// Integers before the panels: a whole cache line, so that panels stay aligned. The first says whether weights have zero points.
pub(super) const PREFIX: usize = 16;

/// Weights as they are stored, and what they stand for: `(w - zero) * scale`, per output channel or for all.
#[derive(Debug, Clone, Copy)]
pub struct ByteWeights<'a> {
    /// The elements; those of signed integers as the bytes that they are.
    pub data: &'a [u8],
    /// From -128 to 127 instead of 0 to 255.
    pub signed: bool,
    /// Zero points: none, one, or one per output channel.
    pub zeros: &'a [i32],
    /// Scales: one, or one per output channel.
    pub scales: &'a [f32],
    /// Integers that are added to the sums, one per output channel.
    pub bias: Option<&'a [i32]>,
    /// Numbers that are added to the results, one per output channel.
    pub shift: Option<&'a [f32]>,
}

/// The one number for all, or that of a channel.
fn of<T: Copy>(values: &[T], channel: usize, none: T) -> T {
    match values {
        [] => none,
        [value] => *value,
        values => values.get(channel).copied().unwrap_or(none),
    }
}

impl ByteWeights<'_> {
    pub(super) fn check(&self, len: usize, channels: usize) -> Result<(), KernelError> {
        same("weights", len, self.data.len())?;
        if self.zeros.len() > 1 {
            same("zero points", channels, self.zeros.len())?;
        }
        if self.scales.len() != 1 {
            same("scales", channels, self.scales.len())?;
        }
        let range = if self.signed { -128..=127 } else { 0..=255 };
        if let Some(zero) = self.zeros.iter().find(|zero| !range.contains(*zero)) {
            return Err(KernelError::Range { what: "zero point", value: zero.unsigned_abs() as usize });
        }
        if let Some(bias) = self.bias {
            same("bias", channels, bias.len())?;
        }
        if let Some(shift) = self.shift {
            same("shift", channels, shift.len())?;
        }
        Ok(())
    }

    /// A weight as a signed byte.
    pub(super) fn weight(&self, index: usize) -> i32 {
        let byte = self.data[index];
        i32::from(if self.signed { byte.cast_signed() } else { (byte ^ 0x80).cast_signed() })
    }

    /// The byte that such a weight was.
    pub(super) fn byte(weight: i32, signed: bool) -> u8 {
        if signed { weight as u8 } else { weight as u8 ^ 0x80 }
    }

    /// The zero point of such weights.
    fn zero(&self, channel: usize) -> i32 {
        let shift = if self.signed { 0 } else { 128 };
        // Without a zero point it is 0, whatever the type.
        of(self.zeros, channel, 0) - shift
    }

    pub(super) fn has_zeros(&self, channels: usize) -> bool {
        (0..channels).any(|channel| self.zero(channel) != 0)
    }

    /// What is before the weights of a channel of which there are `len`, and that have this sum.
    pub(super) fn header(&self, channel: usize, sum: i32, len: usize) -> [i32; HEADER] {
        let zero = self.zero(channel);
        [
            sum.wrapping_sub((len as i32).wrapping_mul(zero)),
            zero,
            self.bias(channel),
            self.scale(channel).to_bits().cast_signed(),
            self.shift(channel).to_bits().cast_signed(),
        ]
    }

    fn scale(&self, channel: usize) -> f32 {
        of(self.scales, channel, 1.0)
    }

    fn bias(&self, channel: usize) -> i32 {
        of(self.bias.unwrap_or_default(), channel, 0)
    }

    fn shift(&self, channel: usize) -> f32 {
        of(self.shift.unwrap_or_default(), channel, 0.0)
    }
}

/// How the weights of one group of channels are cut into panels. A row of A comes in pieces, each of which is padded with zeros to
/// whole groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct BytePanels {
    pub panels: Panels,
    pieces: usize,
    piece: usize,
    group: usize,
}

impl BytePanels {
    /// For `n` columns and rows of A that are `pieces` of `piece` elements.
    pub fn new(table: &ByteTable, [pieces, piece]: [usize; 2], n: usize) -> Result<Self, KernelError> {
        let rows = piece.div_ceil(4).checked_mul(pieces).and_then(|rows| rows.checked_add(HEADER - 1));
        let rows = rows.ok_or(KernelError::Overflow { what: "packed weights" })?;
        let panels = Panels::of(table.lanes, table.max_vectors(), rows, n)?;
        Ok(Self { panels, pieces, piece, group: table.group })
    }

    /// Integers of all panels.
    pub fn len(&self) -> usize {
        self.panels.len()
    }

    /// Where panel `p` begins.
    pub fn offset(&self, p: usize) -> usize {
        self.panels.first_column(p) * (HEADER + self.depth() / 4)
    }

    /// Pieces of a row of A.
    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// Elements of a piece.
    pub fn piece(&self) -> usize {
        self.piece
    }

    /// Elements of a piece, rounded up to whole groups of every kind.
    pub fn padded(&self) -> usize {
        self.piece.div_ceil(4) * 4
    }

    /// Elements of a row of A with its padding.
    pub fn depth(&self) -> usize {
        self.pieces * self.padded()
    }

    /// Steps of a piece.
    pub fn steps(&self) -> usize {
        self.padded() / self.group
    }

    /// Hands over every weight as it was packed: row (without padding), column, weight.
    pub fn unpack(&self, packed: &[i32], mut each: impl FnMut(usize, usize, i32)) {
        for p in 0..self.panels.count() {
            let (start, width) = (self.panels.first_column(p), self.panels.width(p));
            let columns = self.panels.first_column(p + 1) - start;
            let weights = &packed[self.offset(p) + HEADER * columns..];
            for (i, column) in (0..self.pieces * self.piece).flat_map(|i| (0..width).map(move |column| (i, column))) {
                let at = self.place(i, column, columns);
                each(i, start + column, i32::from((weights[at / 4] >> (at % 4 * 8)) as i8));
            }
        }
    }

    /// Where weight `i` of a column is among the bytes of a panel. Groups follow each other; in each, columns; in each, the group's
    /// elements.
    fn place(&self, i: usize, column: usize, columns: usize) -> usize {
        let k = i / self.piece * self.padded() + i % self.piece;
        (k / self.group * columns + column) * self.group + k % self.group
    }

    /// Writes the panels of output channels from `first`; `index(k, n)` is where a weight of channel `first + n` lies.
    pub fn pack(
        &self,
        out: &mut [i32],
        weights: &ByteWeights<'_>,
        first: usize,
        index: impl Fn(usize, usize) -> usize,
    ) {
        let depth = self.pieces * self.piece;
        let mut rest = out;
        for p in 0..self.panels.count() {
            let (start, width) = (self.panels.first_column(p), self.panels.width(p));
            let columns = self.panels.first_column(p + 1) - start;
            let (panel, more) = rest.split_at_mut(columns * (HEADER + self.depth() / 4));
            rest = more;
            panel.fill(0);
            for column in 0..width {
                let (n, channel) = (start + column, first + start + column);
                let mut sum = 0_i32;
                for i in 0..depth {
                    let weight = weights.weight(index(i, n));
                    sum = sum.wrapping_add(weight);
                    let at = self.place(i, column, columns);
                    panel[HEADER * columns + at / 4] |= (weight & 0xff) << (at % 4 * 8);
                }
                for (row, value) in weights.header(channel, sum, depth).into_iter().enumerate() {
                    panel[row * columns + column] = value;
                }
            }
        }
    }
}
