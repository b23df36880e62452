//! Weights: what they hold, and how their encodings are decoded.

use crate::validate::size_bytes;
use crate::{AlignedBytes, DType, Encoding, Rule, Span, Weight};

impl Weight {
    /// Elements, or `None` if they cannot be counted in 63 bits.
    pub fn len(&self) -> Option<u64> {
        size_bytes(DType::U8, self.shape.iter().copied())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Size in bytes once decoded, or `None` if that is not below 2^63.
    pub fn decoded_bytes(&self) -> Option<u64> {
        size_bytes(self.dtype, self.shape.iter().copied())
    }

    /// Every span of the weight: its data first, then scales and zero points.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        let (scale, zero_point) = match &self.encoding {
            Encoding::Raw | Encoding::F16 => (None, None),
            Encoding::Int8 { scale, zero_point, .. } | Encoding::Int4 { scale, zero_point, .. } => {
                (Some(scale), zero_point.as_ref())
            }
        };
        [Some(&self.data), scale, zero_point].into_iter().flatten()
    }

    /// Whether type, shape and sizes of the spans fit the encoding.
    pub(crate) fn check_encoding(&self) -> Result<(), Rule> {
        let len = self.len().ok_or(Rule::ShapeOverflow)?;
        if self.encoding != Encoding::Raw && self.dtype != DType::F32 {
            return Err(Rule::Encoding);
        }
        let (data_bytes, scales) = match &self.encoding {
            Encoding::Raw => (self.decoded_bytes().ok_or(Rule::ShapeOverflow)?, None),
            Encoding::F16 => (len.checked_mul(2).ok_or(Rule::ShapeOverflow)?, None),
            Encoding::Int8 { axis: None, scale, zero_point } => (len, Some((1, scale, zero_point))),
            Encoding::Int8 { axis: Some(axis), scale, zero_point } => {
                let axis = usize::try_from(*axis).map_err(|_| Rule::Encoding)?;
                let scales = self.shape.get(axis).ok_or(Rule::Encoding)?;
                (len, Some((*scales, scale, zero_point)))
            }
            Encoding::Int4 { block, scale, zero_point } => {
                let row = self.shape.last().copied().ok_or(Rule::Encoding)?;
                let block = u64::from(*block);
                if block == 0 {
                    return Err(Rule::Encoding);
                }
                let blocks_per_row = row.div_ceil(block);
                let rows = len.checked_div(row).unwrap_or(0);
                let bytes = rows.checked_mul(row.div_ceil(2)).ok_or(Rule::ShapeOverflow)?;
                let scales = rows.checked_mul(blocks_per_row).ok_or(Rule::ShapeOverflow)?;
                (bytes, Some((scales, scale, zero_point)))
            }
        };
        let mut fits = self.data.size_bytes == data_bytes;
        if let Some((scales, scale, zero_point)) = scales {
            fits &= scales.checked_mul(4) == Some(scale.size_bytes);
            fits &= zero_point.as_ref().is_none_or(|span| span.size_bytes == scales);
        }
        if fits { Ok(()) } else { Err(Rule::Size) }
    }

    /// The elements as operators see them: little-endian `dtype`, row-major.
    ///
    /// `bytes` gives the bytes of a span, if it lies within its section. Weights that are stored as they are need no
    /// copy: look at [`Weight::encoding`] first. Returns `None` if a span lies outside its section or the weight does
    /// not keep the rules of [`Graph::decode`](crate::Graph::decode). Never panics.
    pub fn decode<'a>(&self, bytes: impl Fn(&Span) -> Option<&'a [u8]>) -> Option<AlignedBytes> {
        self.check_encoding().ok()?;
        let stored = bytes(&self.data)?;
        if self.encoding == Encoding::Raw {
            return Some(AlignedBytes::copy_from(stored));
        }
        let mut decoded = AlignedBytes::zeroed(usize::try_from(self.decoded_bytes()?).ok()?);
        let (floats, _) = decoded.as_bytes_mut().as_chunks_mut::<4>();
        match &self.encoding {
            Encoding::Raw => {}
            Encoding::F16 => {
                let (halves, _) = stored.as_chunks::<2>();
                for (float, half) in floats.iter_mut().zip(halves) {
                    *float = half::f16::from_le_bytes(*half).to_f32().to_le_bytes();
                }
            }
            Encoding::Int8 { axis, scale, zero_point } => {
                let scales = Scales::new(bytes(scale)?, zero_point.as_ref().map(&bytes), floats.len())?;
                // Elements between two steps along the axis; the whole tensor where there is one scale.
                let inner = match axis {
                    None => floats.len(),
                    Some(axis) => self.inner(usize::try_from(*axis).ok()?.checked_add(1)?)?,
                };
                for (index, (float, q)) in floats.iter_mut().zip(stored).enumerate() {
                    let channel = index.checked_div(inner)?.checked_rem(scales.len())?;
                    *float = scales.apply(channel, i8::from_le_bytes([*q]))?.to_le_bytes();
                }
            }
            Encoding::Int4 { block, scale, zero_point } => {
                let scales = Scales::new(bytes(scale)?, zero_point.as_ref().map(&bytes), floats.len())?;
                let row = usize::try_from(*self.shape.last()?).ok()?;
                let block = usize::try_from(*block).ok()?;
                for (index, float) in floats.iter_mut().enumerate() {
                    let (row_index, column) = (index.checked_div(row)?, index.checked_rem(row)?);
                    let pair = *stored.get(row_index * row.div_ceil(2) + column / 2)?;
                    let high = column % 2 == 1;
                    // Shifting left then right as a signed number extends the sign of the four bits.
                    let q = i8::from_le_bytes([if high { pair } else { pair << 4 }]) >> 4;
                    let scale_index = row_index * row.div_ceil(block) + column.checked_div(block)?;
                    *float = scales.apply(scale_index, q)?.to_le_bytes();
                }
            }
        }
        Some(decoded)
    }

    /// Elements per step along the axis before `first`.
    fn inner(&self, first: usize) -> Option<usize> {
        let inner = size_bytes(DType::U8, self.shape.get(first..)?.iter().copied())?;
        usize::try_from(inner).ok()
    }
}

/// Scales with their zero points.
struct Scales<'a> {
    scales: &'a [[u8; 4]],
    zero_points: Option<&'a [u8]>,
}

impl<'a> Scales<'a> {
    fn new(scales: &'a [u8], zero_points: Option<Option<&'a [u8]>>, elements: usize) -> Option<Scales<'a>> {
        let zero_points = match zero_points {
            Some(bytes) => Some(bytes?),
            None => None,
        };
        let scales = scales.as_chunks::<4>().0;
        (elements == 0 || !scales.is_empty()).then_some(Scales { scales, zero_points })
    }

    fn len(&self) -> usize {
        self.scales.len()
    }

    fn apply(&self, index: usize, q: i8) -> Option<f32> {
        let zero_point = match self.zero_points {
            Some(bytes) => i8::from_le_bytes([*bytes.get(index)?]),
            None => 0,
        };
        let scale = f32::from_le_bytes(*self.scales.get(index)?);
        Some((f32::from(q) - f32::from(zero_point)) * scale)
    }
}
