//! An owned byte buffer whose start is 64-byte aligned: what a weights section is decoded into.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

/// Alignment of every weight, in bytes: one cache line, and the widest vector register.
pub const ALIGNMENT_BYTES: usize = 64;

/// From so many bytes on, [`AlignedBytes::lasting`] asks the system itself: fewer are too few pages.
#[cfg(any(unix, windows))]
const LARGE_BYTES: usize = 64 * 1024;

/// Bytes that start at a multiple of [`ALIGNMENT_BYTES`].
///
/// They lie in a longer buffer of plain bytes: memory of a stricter alignment cannot be shortened where it is.
#[derive(Default)]
pub struct AlignedBytes {
    buffer: Buffer,
    /// Bytes of the buffer before the first.
    start: usize,
    size_bytes: usize,
}

/// Where the bytes are.
enum Buffer {
    Heap(Vec<u8>),
    /// Pages that nobody else has a part of.
    #[cfg(any(unix, windows))]
    Pages(memmap2::MmapMut),
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        match self {
            Buffer::Heap(bytes) => bytes,
            #[cfg(any(unix, windows))]
            Buffer::Pages(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::Heap(bytes) => bytes,
            #[cfg(any(unix, windows))]
            Buffer::Pages(bytes) => bytes,
        }
    }
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer::Heap(Vec::new())
    }
}

impl AlignedBytes {
    /// A buffer of zeros.
    pub fn zeroed(size_bytes: usize) -> AlignedBytes {
        let buffer = if size_bytes == 0 { Vec::new() } else { vec![0; size_bytes + ALIGNMENT_BYTES - 1] };
        AlignedBytes { start: first_aligned(&buffer), buffer: Buffer::Heap(buffer), size_bytes }
    }

    /// A buffer of zeros, or `None` where there is no memory for it: for sizes that somebody else chose.
    pub fn try_zeroed(size_bytes: usize) -> Option<AlignedBytes> {
        if size_bytes == 0 {
            return Some(AlignedBytes::default());
        }
        let len = size_bytes.checked_add(ALIGNMENT_BYTES - 1)?;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(len).ok()?;
        buffer.resize(len, 0);
        Some(AlignedBytes { start: first_aligned(&buffer), buffer: Buffer::Heap(buffer), size_bytes })
    }

    /// [`AlignedBytes::try_zeroed`] for what is kept long. A large one is pages of its own, so that it neither lies in between what is
    /// soon freed, nor leaves a gap behind that the process keeps: an allocator's heap shrinks at its end alone. Pages are slower to get.
    pub fn lasting(size_bytes: usize) -> Option<AlignedBytes> {
        #[cfg(any(unix, windows))]
        if size_bytes >= LARGE_BYTES {
            let pages = memmap2::MmapMut::map_anon(size_bytes).ok()?;
            return Some(AlignedBytes { start: first_aligned(&pages), buffer: Buffer::Pages(pages), size_bytes });
        }
        AlignedBytes::try_zeroed(size_bytes)
    }

    /// A copy of `bytes` that is [lasting](AlignedBytes::lasting).
    pub fn lasting_copy(bytes: &[u8]) -> Option<AlignedBytes> {
        let mut copy = AlignedBytes::lasting(bytes.len())?;
        copy.as_bytes_mut().copy_from_slice(bytes);
        Some(copy)
    }

    /// A copy of `bytes`.
    pub fn copy_from(bytes: &[u8]) -> AlignedBytes {
        let mut copy = AlignedBytes::zeroed(bytes.len());
        copy.as_bytes_mut().copy_from_slice(bytes);
        copy
    }

    /// Keeps the first bytes and gives the memory of the others back, but for [lasting](AlignedBytes::lasting) ones that are as large
    /// as when they were made. Does nothing if there are no more than that.
    pub fn truncate(&mut self, size_bytes: usize) {
        if size_bytes >= self.size_bytes {
            return;
        }
        match &mut self.buffer {
            Buffer::Heap(buffer) => {
                // The kept bytes may come to lie elsewhere when the buffer shrinks, and have room to be aligned again.
                buffer.truncate(self.start + size_bytes);
                buffer.resize(size_bytes + ALIGNMENT_BYTES - 1, 0);
                buffer.shrink_to_fit();
                let (from, to) = (self.start, first_aligned(buffer));
                if from != to {
                    buffer.copy_within(from..from + size_bytes, to);
                }
                self.start = to;
            }
            // A mapping stays as long as it is.
            #[cfg(any(unix, windows))]
            Buffer::Pages(_) => {}
        }
        self.size_bytes = size_bytes;
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.bytes().get(self.start..self.start + self.size_bytes).unwrap_or_default()
    }

    /// The bytes, to write into.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.bytes_mut().get_mut(self.start..self.start + self.size_bytes).unwrap_or_default()
    }
}

/// The first aligned place of a buffer that has one.
fn first_aligned(buffer: &[u8]) -> usize {
    match buffer.as_ptr().align_offset(ALIGNMENT_BYTES) {
        start if start < ALIGNMENT_BYTES => start,
        _ => 0,
    }
}

impl Clone for AlignedBytes {
    fn clone(&self) -> AlignedBytes {
        AlignedBytes::copy_from(self.as_bytes())
    }
}

impl PartialEq for AlignedBytes {
    fn eq(&self, other: &AlignedBytes) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for AlignedBytes {}

impl From<Vec<u8>> for AlignedBytes {
    fn from(bytes: Vec<u8>) -> AlignedBytes {
        AlignedBytes::copy_from(&bytes)
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_aligned_and_the_same_when_they_are_cut() {
        let sizes = [1usize, 63, 64, 1000, 300_000, 3_000_000];
        let lasting = sizes.iter().filter_map(|size| AlignedBytes::lasting(*size));
        let all: Vec<AlignedBytes> = sizes.iter().map(|size| AlignedBytes::zeroed(*size)).chain(lasting).collect();
        assert_eq!(all.len(), 2 * sizes.len());
        for mut bytes in all {
            let size = bytes.len();
            assert!(bytes.iter().all(|byte| *byte == 0) && (bytes.as_ptr() as usize).is_multiple_of(ALIGNMENT_BYTES));
            bytes.as_bytes_mut().iter_mut().zip((0..251u8).cycle()).for_each(|(byte, value)| *byte = value);
            for kept in [size + 1, size, size - 1, size / 2, size / 7, 0] {
                bytes.truncate(kept);
                assert_eq!(bytes.len(), kept.min(size));
                assert!(bytes.iter().zip((0..251u8).cycle()).all(|(byte, value)| *byte == value), "{size}, {kept}");
                assert!(bytes.is_empty() || (bytes.as_ptr() as usize).is_multiple_of(ALIGNMENT_BYTES));
            }
        }
    }

    #[test]
    fn a_copy_is_aligned_too() {
        let bytes = AlignedBytes::copy_from(&[1, 2, 3]);
        assert_eq!((&*bytes.clone(), bytes.clone().as_ptr() as usize % ALIGNMENT_BYTES), (&[1, 2, 3][..], 0));
        assert!(
            AlignedBytes::lasting(usize::MAX).is_none()
                && AlignedBytes::try_zeroed(usize::MAX).is_none()
                && AlignedBytes::zeroed(0).is_empty()
        );
    }
}
