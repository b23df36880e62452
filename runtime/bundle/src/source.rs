//! Where the bytes of a bundle come from.

use alloc::vec::Vec;

use crate::error::Error;
use crate::header::bytes;

#[cfg(feature = "std")]
mod file;
#[cfg(feature = "std")]
pub use file::FileSource;

/// Bytes that can be read at any place, as often as needed.
///
/// A source may be hostile and may change between two reads: the reader copies what it reads into memory of its own,
/// checks the digest of that copy and uses that copy.
pub trait Source {
    /// Size of the whole source in bytes.
    fn size_bytes(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::Truncated`]: the source ends before. [`Error::Read`]: the system refuses.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error>;
}

impl Source for &[u8] {
    fn size_bytes(&self) -> u64 {
        bytes(self.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).ok();
        let found = start.and_then(|start| self.get(start..start.checked_add(into.len())?));
        into.copy_from_slice(found.ok_or_else(|| ends_early(offset, into.len(), self.size_bytes()))?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        bytes(self.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        self.as_slice().read_at(offset, into)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        (**self).read_at(offset, into)
    }
}

impl<S: Source + ?Sized> Source for alloc::boxed::Box<S> {
    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        (**self).read_at(offset, into)
    }
}

/// The error of a source that ends at `size_bytes`, before `offset + wanted`.
fn ends_early(offset: u64, wanted: usize, size_bytes: u64) -> Error {
    Error::Truncated {
        what: "the part that is read",
        expected_bytes: offset.saturating_add(bytes(wanted)),
        actual_bytes: size_bytes,
    }
}
