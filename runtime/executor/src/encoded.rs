//! Constants of binary32 that are stored in fewer bits. Kernels that can read them so; whoever else wants them as numbers has them
//! widened.

use crate::ir::Constant;
use crate::shape;
use crate::view::{floats, floats_mut};
use crate::weights::Identity;
use pannier_engine::DType;
use pannier_graph::{AlignedBytes, Encoding, Span, Weight};
use pannier_kernels::{Blocks, KernelError, Numbers, Order, Storage, StoredPacking};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// What a code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Code {
    /// The bits of a binary16.
    Half,
    /// An integer of 8 bits, or of 4: then there are two to a byte, the first in the low bits. Unsigned ones are taken to be larger by
    /// half of their range than the signed ones that kernels read.
    Int8 {
        signed: bool,
    },
    Int4 {
        signed: bool,
    },
}

impl Code {
    /// The code of an element of a row.
    fn get(self, row: &[u8], at: usize) -> u16 {
        let byte = |at: usize| row.get(at).copied().unwrap_or_default();
        match self {
            Code::Half => u16::from_le_bytes([byte(2 * at), byte(2 * at + 1)]),
            Code::Int8 { signed } => u16::from(if signed { byte(at) } else { byte(at) ^ 0x80 }),
            Code::Int4 { signed } => {
                u16::from(if signed { byte(at / 2) } else { byte(at / 2) ^ 0x88 }) >> (at % 2 * 4) & 15
            }
        }
    }

    /// Units of 4 bits.
    fn units(self) -> usize {
        match self {
            Code::Half => 4,
            Code::Int8 { .. } => 2,
            Code::Int4 { .. } => 1,
        }
    }

    fn is_unsigned(self) -> bool {
        matches!(self, Code::Int8 { signed: false } | Code::Int4 { signed: false })
    }
}

/// Where the code of each element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Codes {
    code: Code,
    /// Elements, of a row, and bytes from a row to the next.
    len: usize,
    row: usize,
    row_bytes: usize,
}

impl Codes {
    /// Codes without gaps.
    fn dense(code: Code, len: usize) -> Option<Codes> {
        Codes::rows(code, len, len, len.checked_mul(code.units())?.div_ceil(2))
    }

    fn rows(code: Code, len: usize, row: usize, row_bytes: usize) -> Option<Codes> {
        (row > 0).then_some(Codes { code, len, row, row_bytes })
    }

    /// Bytes of all codes.
    fn size_bytes(&self) -> usize {
        self.len.div_ceil(self.row).saturating_mul(self.row_bytes)
    }
}

/// A constant as it is stored.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: Constant,
    codes: Codes,
    /// Rows and columns of the matrix as it is stored, if its elements are those of the transpose.
    turned: Option<[usize; 2]>,
    /// Elements of a row that have a scale in common. The next ones have the next; after the last scale comes the first again.
    run: usize,
    /// None of numbers that need none.
    scales: Vec<f32>,
    /// Zero points of the integers that kernels read; none if all are 0.
    zeros: Vec<i8>,
    /// Whether an operator says that it is stored so.
    never_widened: bool,
    numbers: OnceLock<Arc<AlignedBytes>>,
}

impl Encoded {
    /// `None` where the parts do not fit each other.
    fn new(bytes: Constant, codes: Codes, run: usize, scales: Vec<f32>, zeros: Vec<i8>) -> Option<Encoded> {
        let zeros = if zeros.iter().all(|zero| *zero == 0) { Vec::new() } else { zeros };
        // Scales of the channels of one long row, or of the blocks of every row.
        let runs = (codes.len / codes.row).checked_mul(codes.row.div_ceil(run.max(1)))?;
        let scaled = match codes.code {
            Code::Half => scales.is_empty(),
            _ if codes.row == codes.len => !scales.is_empty() && runs.is_multiple_of(scales.len()),
            _ => runs == scales.len(),
        };
        let fits = run > 0
            && scaled
            && bytes.size_bytes() == codes.size_bytes()
            && (zeros.is_empty() || zeros.len() == scales.len());
        let (turned, numbers) = (None, OnceLock::new());
        fits.then_some(Encoded { bytes, codes, turned, run, scales, zeros, never_widened: false, numbers })
    }

    /// A weight of this shape; `part` gives the bytes of a span. `None` if they do not fit, or if it is stored as it is.
    pub(crate) fn weight(
        weight: &Weight,
        shape: &[usize],
        part: impl Fn(&Span) -> Option<Constant>,
    ) -> Option<Encoded> {
        if weight.dtype != DType::F32 {
            return None;
        }
        let (len, bytes) = (shape::len(shape), part(&weight.data)?);
        let (code, scale, zero) = match &weight.encoding {
            Encoding::Raw => return None,
            Encoding::F16 => return Encoded::half(bytes, len),
            Encoding::Int8 { scale, zero_point, .. } => (Code::Int8 { signed: true }, scale, zero_point),
            Encoding::Int4 { scale, zero_point, .. } => (Code::Int4 { signed: true }, scale, zero_point),
        };
        let scales = floats(part(scale)?.bytes()).ok()?.to_vec();
        let zeros = match zero {
            Some(span) => part(span)?.bytes().iter().map(|zero| zero.cast_signed()).collect(),
            None => Vec::new(),
        };
        let (codes, run) = match &weight.encoding {
            Encoding::Int4 { block, .. } => {
                let row = *shape.last()?;
                (Codes::rows(code, len, row, row.div_ceil(2))?, usize::try_from(*block).ok()?)
            }
            Encoding::Int8 { axis: Some(axis), .. } => {
                (Codes::dense(code, len)?, along(shape, usize::try_from(*axis).ok()?, scales.len())?)
            }
            _ => (Codes::dense(code, len)?, Some(len).filter(|_| scales.len() == 1)?),
        };
        Encoded::new(bytes, codes, run, scales, zeros)
    }

    /// Numbers of binary16.
    pub(crate) fn half(bytes: Constant, len: usize) -> Option<Encoded> {
        Encoded::new(bytes, Codes::dense(Code::Half, len)?, len, Vec::new(), Vec::new())
    }

    /// What `DequantizeLinear` makes of bytes of this shape: one scale, one for each index along the axis, or one for each block of it.
    pub(crate) fn dequantized(
        bytes: Constant,
        dtype: DType,
        shape: &[usize],
        scales: &[f32],
        zeros: &[u8],
        (axis, block): (usize, usize),
    ) -> Option<Encoded> {
        let (len, signed) = (shape::len(shape), dtype == DType::I8);
        if !signed && dtype != DType::U8 {
            return None;
        }
        let code = Code::Int8 { signed };
        let (codes, run) = match block {
            0 => (Codes::dense(code, len)?, along(shape, axis, scales.len())?),
            _ => {
                let row = *shape.last().filter(|_| axis + 1 == shape.len())?;
                (Codes::rows(code, len, row, row)?, block)
            }
        };
        let zeros = match zeros {
            [] => vec![if signed { 0 } else { i8::MIN }; scales.len()],
            zeros => zeros.iter().map(|zero| (if signed { *zero } else { zero ^ 0x80 }).cast_signed()).collect(),
        };
        Encoded::new(bytes, codes, run, scales.to_vec(), zeros)
    }

    /// The weights of a `MatMulNBits`, `[n, k]`: unsigned integers of 4 or 8 bits in whole blocks, zero points likewise or none.
    pub(crate) fn blocks(
        bytes: Constant,
        [n, k]: [usize; 2],
        (bits, block): (usize, usize),
        scales: &[f32],
        zeros: Option<&[u8]>,
    ) -> Option<Encoded> {
        let code = match bits {
            4 => Code::Int4 { signed: false },
            8 => Code::Int8 { signed: false },
            _ => return None,
        };
        let blocks = k.div_ceil(block);
        let codes = Codes::rows(code, n.checked_mul(k)?, k, blocks.checked_mul(block)?.checked_mul(bits)? / 8)?;
        // The middle of the range is the 0 of signed integers.
        let zeros = match zeros {
            None => Vec::new(),
            Some(zeros) => {
                let rows = zeros.chunks(blocks.checked_mul(bits)?.div_ceil(8).max(1));
                rows.flat_map(|row| (0..blocks).map(move |at| signed(code, code.get(row, at)))).collect()
            }
        };
        let encoded = Encoded::new(bytes, codes, block, scales.to_vec(), zeros)?;
        Some(Encoded { never_widened: true, ..encoded })
    }

    /// The transpose of a matrix of this shape.
    pub(crate) fn transposed(&self, [rows, columns]: [usize; 2]) -> Option<Encoded> {
        let fits = self.turned.is_none() && rows.checked_mul(columns) == Some(self.codes.len);
        let encoded = Encoded::new(self.bytes.clone(), self.codes, self.run, self.scales.clone(), self.zeros.clone())?;
        fits.then_some(Encoded { turned: Some([rows, columns]), ..encoded })
    }

    /// Whether it stays as it is stored even where that costs time.
    pub(crate) fn is_never_widened(&self) -> bool {
        self.never_widened
    }

    /// Bytes of the numbers.
    pub(crate) fn size_bytes(&self) -> usize {
        self.codes.len.saturating_mul(4)
    }

    /// The weight whose bytes the codes are.
    pub(crate) fn span(&self) -> Option<Span> {
        self.bytes.span()
    }

    pub(crate) fn identity(&self) -> Identity {
        let mut hasher = DefaultHasher::new();
        (self.bytes.identity(), self.codes, self.turned, self.run, &self.zeros).hash(&mut hasher);
        hasher.write(bytemuck::cast_slice(&self.scales));
        Identity::Computed(hasher.finish(), self.size_bytes())
    }

    /// How a kernel may read it as a matrix of `k` rows for so many output channels. `by_channel`: its elements are in the order of
    /// the transpose. `None` where scales are not those of output channels, or of blocks of rows of them.
    pub(crate) fn storage(&self, k: usize, channels: usize, by_channel: bool) -> Option<Storage> {
        let by_channel = by_channel != self.turned.is_some();
        let (codes, scales) = (&self.codes, self.scales.len());
        let whole = codes.row == codes.len;
        let rows = match scales {
            0 | 1 if whole => k,
            _ if whole && scales == channels && self.run == if by_channel { k } else { 1 } => k,
            _ if by_channel && codes.row == k => self.run,
            _ => return None,
        };
        let blocks = Blocks { rows: rows.max(1), zeros: !self.zeros.is_empty() };
        Some(match codes.code {
            Code::Half => Storage::Half,
            Code::Int8 { .. } => Storage::Int8(blocks),
            Code::Int4 { .. } => Storage::Int4(blocks),
        })
    }

    /// Where a packing finds the codes, and their bytes; of a constant that has that [`storage`](Encoded::storage).
    pub(crate) fn order(&self, packing: &StoredPacking) -> (Order, usize) {
        let (codes, units) = (&self.codes, self.codes.code.units());
        let (channels, by_channel) = (packing.columns(), packing.is_by_column());
        let k = codes.len.checked_div(channels).unwrap_or(0);
        let (column, row) = match by_channel != self.turned.is_some() {
            true if codes.row == k => (codes.row_bytes.saturating_mul(2), units),
            true => (k.saturating_mul(units), units),
            false => (units, channels.saturating_mul(units)),
        };
        (Order { column, row, unsigned: codes.code.is_unsigned() }, codes.size_bytes())
    }

    /// Packs it, as [`StoredPacking::pack`] does.
    ///
    /// # Errors
    ///
    /// As for that.
    pub(crate) fn pack(
        &self,
        packing: &StoredPacking,
        bias: Option<&[f32]>,
        packed: &mut [u8],
    ) -> Result<(), KernelError> {
        let (order, _) = self.order(packing);
        let numbers = Numbers { codes: self.bytes.bytes(), order, scales: &self.scales, zeros: &self.zeros };
        packing.pack(&numbers, bias, packed)
    }

    /// The numbers, widened at the first call; none where there is no memory for them.
    pub(crate) fn numbers(&self) -> &Arc<AlignedBytes> {
        self.numbers.get_or_init(|| {
            let mut widened = AlignedBytes::try_zeroed(self.size_bytes()).unwrap_or_default();
            if let Ok(numbers) = floats_mut(widened.as_bytes_mut()) {
                self.widen(numbers);
            }
            Arc::new(widened)
        })
    }

    fn widen(&self, numbers: &mut [f32]) {
        let code = self.codes.code;
        let mut scale = 0;
        for (r, row) in self.bytes.bytes().chunks(self.codes.row_bytes.max(1)).enumerate() {
            for first in (0..self.codes.row).step_by(self.run) {
                let by = self.scales.get(scale).copied().unwrap_or_default();
                let zero = f32::from(self.zeros.get(scale).copied().unwrap_or_default());
                scale = if scale + 1 < self.scales.len() { scale + 1 } else { 0 };
                for at in first..(first + self.run).min(self.codes.row) {
                    let bits = code.get(row, at);
                    let number = match code {
                        Code::Half => half::f16::from_bits(bits).to_f32(),
                        _ => (f32::from(signed(code, bits)) - zero) * by,
                    };
                    let place = r * self.codes.row + at;
                    let place = match self.turned {
                        Some([rows, columns]) if columns > 0 => place % columns * rows + place / columns,
                        _ => place,
                    };
                    if let Some(slot) = numbers.get_mut(place) {
                        *slot = number;
                    }
                }
            }
        }
    }
}

/// How many elements lie side by side that have one of so many scales along an axis in common.
fn along(shape: &[usize], axis: usize, scales: usize) -> Option<usize> {
    if scales == 1 {
        return Some(shape::len(shape));
    }
    let (size, inner) = shape.get(axis..)?.split_first()?;
    (*size == scales).then(|| shape::len(inner))
}

/// The integer of a code.
fn signed(code: Code, bits: u16) -> i8 {
    match code {
        Code::Int4 { .. } => ((bits as u8) << 4).cast_signed() >> 4,
        Code::Half | Code::Int8 { .. } => (bits as u8).cast_signed(),
    }
}
