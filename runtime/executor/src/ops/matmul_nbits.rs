//! Products with weights of a few bits, in blocks along a row with a scale each. The weights stay as they are stored; one row of
//! them at a time becomes numbers.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

/// `MatMulNBits` of `com.microsoft`: `A` times the transpose of `B`, `[n, k]`.
#[derive(Debug)]
struct MatMulNBits {
    k: usize,
    n: usize,
    bits: usize,
    block: usize,
}

/// `MatMulNBits`
pub(crate) fn matmul_nbits(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let size = |name: &str, default: i64| -> Result<usize, Refusal> {
        let value = attributes.int(name, default)?;
        let size = usize::try_from(value).ok().filter(|size| (1..=1 << 31).contains(size));
        size.ok_or_else(|| Refusal::Invalid(format!("attribute {name} is {value}")))
    };
    let op = MatMulNBits { k: size("K", 0)?, n: size("N", 0)?, bits: size("bits", 4)?, block: size("block_size", 0)? };
    if ![2, 4, 8].contains(&op.bits) || attributes.has_input(4) {
        return Err(attributes.unsupported("bits or g_idx"));
    }
    if !op.block.is_power_of_two() || op.block < 16 {
        return Err(Refusal::Invalid(format!("blocks of {}", op.block)));
    }
    Ok(Arc::new(op))
}

impl MatMulNBits {
    /// Blocks of a row.
    fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    /// Bytes of the weights of a block.
    fn block_bytes(&self) -> usize {
        self.block / 8 * self.bits
    }

    /// Bytes of the zero points of a row.
    fn zero_bytes(&self) -> usize {
        (self.blocks() * self.bits).div_ceil(8)
    }

    /// The number of `bits` bits at `index`; the first is in the low bits of the first byte.
    fn bits_at(&self, bytes: &[u8], index: usize) -> u8 {
        let bit = index * self.bits;
        let byte = bytes.get(bit / 8).copied().unwrap_or_default();
        let mask = ((1_u16 << self.bits) - 1) as u8;
        byte >> (bit % 8) & mask
    }

    /// The zero point of a block; in the middle of the range if none is stored.
    fn zero(&self, zeros: Option<View<'_>>, row: usize, block: usize) -> Result<f32, Failure> {
        let Some(zeros) = zeros else { return Ok((1_u16 << (self.bits - 1)).into()) };
        if zeros.dtype == DType::F32 {
            let index = row * self.blocks() + block;
            return zeros.as_slice::<f32>()?.get(index).copied().ok_or_else(|| "too few zero points".into());
        }
        let of_row = zeros.bytes.get(row * self.zero_bytes()..).unwrap_or_default();
        Ok(self.bits_at(of_row, block).into())
    }

    /// Row `row` of the weights as numbers.
    fn row(
        &self,
        row: usize,
        weights: &[u8],
        scales: &[f32],
        zeros: Option<View<'_>>,
        to: &mut [f32],
    ) -> Result<(), Failure> {
        for (block, to) in to.chunks_mut(self.block).enumerate() {
            let index = row * self.blocks() + block;
            let scale = scales.get(index).copied().ok_or("too few scales")?;
            let zero = self.zero(zeros, row, block)?;
            let bytes = weights.get(index * self.block_bytes()..).unwrap_or_default();
            for (at, to) in to.iter_mut().enumerate() {
                *to = (f32::from(self.bits_at(bytes, at)) - zero) * scale;
            }
        }
        Ok(())
    }
}

/// Sums of a dot product side by side, in an order that no machine changes.
const LANES: usize = 16;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

impl Operator for MatMulNBits {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, &[DType::U8])?;
        expect_type(inputs, 2, &[DType::F32])?;
        if inputs.get(3).copied().flatten().is_some() {
            expect_type(inputs, 3, &[DType::U8, DType::F32])?;
        }
        if inputs.get(5).copied().flatten().is_some() {
            expect_type(inputs, 5, &[DType::F32])?;
        }
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let a = inputs.shape(0)?;
        let len = |index: usize| inputs.get(index).map(|fact| shape::len(fact.shape));
        let blocks = shape::len(&[self.n, self.blocks()]);
        let zeros = match inputs.get(3) {
            Some(fact) if fact.dtype == DType::F32 => blocks,
            _ => shape::len(&[self.n, self.zero_bytes()]),
        };
        let fits = a.last() == Some(&self.k)
            && len(1) == Some(shape::len(&[blocks, self.block_bytes()]))
            && len(2) == Some(blocks)
            && len(3).is_none_or(|len| len == zeros)
            && len(5).is_none_or(|len| len == self.n);
        if !fits {
            return Err(Refusal::Invalid(format!("operands do not fit [{}, {}]", self.n, self.k)));
        }
        let mut result = a.to_vec();
        if let Some(last) = result.last_mut() {
            *last = self.n;
        }
        Ok(vec![result])
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        self.k.saturating_mul(4)
    }

    fn flops(&self, inputs: &Facts<'_>) -> usize {
        inputs.shape(0).map_or(0, |a| shape::len(&[2, shape::len(a), self.n]))
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, weights, scales) = (io.input(0)?.as_slice::<f32>()?, io.input(1)?.bytes, io.input(2)?);
        let (zeros, bias, limits) = (io.get(3), io.get(5), io.limits);
        let (scales, bias) = (scales.as_slice::<f32>()?, bias.map(|bias| bias.as_slice::<f32>()).transpose()?);
        let row: &mut [f32] = bytemuck::try_cast_slice_mut(io.scratch).map_err(|error| error.to_string())?;
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let out = output.as_slice::<f32>()?;
        for n in 0..self.n {
            if n % 256 == 255 {
                limits.check()?;
            }
            self.row(n, weights, scales, zeros, row)?;
            let start = bias.and_then(|bias| bias.get(n)).copied().unwrap_or(0.0);
            for (a, out) in a.chunks_exact(self.k).zip(out.chunks_exact_mut(self.n)) {
                out[n] = dot(a, row) + start;
            }
        }
        Ok(())
    }
}
