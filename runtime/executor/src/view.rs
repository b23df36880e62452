//! Tensors as operators see them: a type, a shape and bytes that lie somewhere in the arena.

use bytemuck::Pod;
use pannier_engine::DType;

/// A tensor to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a [u8],
}

/// A tensor to write. What it holds before is arbitrary.
#[derive(Debug)]
pub(crate) struct ViewMut<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a mut [u8],
}

/// What an operator says when it cannot go on: one line.
pub(crate) type Failure = String;

impl<'a> View<'a> {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size_bytes()
    }

    /// Bits of an element.
    pub(crate) fn bits(&self) -> u32 {
        u32::try_from(self.dtype.size_bytes() * 8).unwrap_or(u32::MAX)
    }

    /// The elements, read as a type of the same size.
    pub(crate) fn as_slice<T: Pod>(&self) -> Result<&'a [T], Failure> {
        if self.bytes.is_empty() {
            return Ok(&[]);
        }
        bytemuck::try_cast_slice(self.bytes).map_err(|error| misfit(self.dtype, error))
    }

    /// The elements of an integer tensor.
    pub(crate) fn to_ints(self) -> Result<Vec<i64>, Failure> {
        if self.dtype == DType::Bool {
            return Err("expected integers, found bool".into());
        }
        Ok(self.numbers::<i128>()?.to_vec().into_iter().map(saturated).collect())
    }
}

impl ViewMut<'_> {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size_bytes()
    }

    /// The elements, to write as a type of the same size.
    pub(crate) fn as_slice<T: Pod>(&mut self) -> Result<&mut [T], Failure> {
        if self.bytes.is_empty() {
            return Ok(&mut []);
        }
        bytemuck::try_cast_slice_mut(self.bytes).map_err(|error| misfit(self.dtype, error))
    }
}

/// Bytes as numbers. Where there are none, they need not be aligned.
pub(crate) fn floats(bytes: &[u8]) -> Result<&[f32], Failure> {
    if bytes.is_empty() {
        return Ok(&[]);
    }
    bytemuck::try_cast_slice(bytes).map_err(|error| error.to_string())
}

/// The same, to write.
pub(crate) fn floats_mut(bytes: &mut [u8]) -> Result<&mut [f32], Failure> {
    if bytes.is_empty() {
        return Ok(&mut []);
    }
    bytemuck::try_cast_slice_mut(bytes).map_err(|error| error.to_string())
}

fn saturated(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn misfit(dtype: DType, error: bytemuck::PodCastError) -> Failure {
    format!("a tensor of {} has other bytes than its operator expects: {error}", dtype.name())
}
