//! An owned byte buffer whose start is 64-byte aligned: what a weights section is decoded into.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

/// Alignment of every weight, in bytes: one cache line, and the widest vector register.
pub const ALIGNMENT_BYTES: usize = 64;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT_BYTES]);

/// Bytes that start at a multiple of [`ALIGNMENT_BYTES`].
#[derive(Clone, Default)]
pub struct AlignedBytes {
    lines: Vec<Line>,
    size_bytes: usize,
}

impl AlignedBytes {
    /// A buffer of zeros.
    pub fn zeroed(size_bytes: usize) -> AlignedBytes {
        let lines = vec![Line([0; ALIGNMENT_BYTES]); size_bytes.div_ceil(ALIGNMENT_BYTES)];
        AlignedBytes { lines, size_bytes }
    }

    /// A buffer of zeros, or `None` where there is no memory for it: for sizes that somebody else chose.
    pub fn try_zeroed(size_bytes: usize) -> Option<AlignedBytes> {
        let len = size_bytes.div_ceil(ALIGNMENT_BYTES);
        let mut lines = Vec::new();
        lines.try_reserve_exact(len).ok()?;
        lines.resize(len, Line([0; ALIGNMENT_BYTES]));
        Some(AlignedBytes { lines, size_bytes })
    }

    /// A copy of `bytes`.
    pub fn copy_from(bytes: &[u8]) -> AlignedBytes {
        let mut copy = AlignedBytes::zeroed(bytes.len());
        copy.as_bytes_mut().copy_from_slice(bytes);
        copy
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.lines).get(..self.size_bytes).unwrap_or_default()
    }

    /// The bytes, to write into.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.lines).get_mut(..self.size_bytes).unwrap_or_default()
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsMut<[u8]> for AlignedBytes {
    fn as_mut(&mut self) -> &mut [u8] {
        self.as_bytes_mut()
    }
}

impl core::fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AlignedBytes({} bytes)", self.size_bytes)
    }
}
