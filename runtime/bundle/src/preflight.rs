//! What the first few KiB of a bundle tell.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::Error;
use crate::frame::Decoder;
use crate::header::{Header, PREAMBLE_BYTES, Preamble, bytes};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::prefix::Prefix;
use crate::reader::{MANIFEST, Reader};
use crate::trust::{self, Trust, Verdict};

/// A look at the start of a bundle, before the rest is fetched: will it run here, how large is it, who signed it?
///
/// ```
/// use pannier_bundle::{Error, FromPrefix, Limits, Preflight};
///
/// fn weight_bytes(mut fetch: impl FnMut(u64) -> Vec<u8>) -> Result<u64, Error> {
///     let mut prefix = Vec::new();
///     loop {
///         match Preflight::from_prefix(&prefix, &Limits::default())? {
///             FromPrefix::NeedMore { bytes } => prefix = fetch(bytes),
///             FromPrefix::Ready(preflight) => return Ok(preflight.manifest().envelope.weight_bytes),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Preflight<'a> {
    reader: Reader<&'a [u8]>,
    manifest: Manifest,
}

/// The answer of [`Preflight::from_prefix`].
#[derive(Debug)]
pub enum FromPrefix<'a> {
    /// The first `bytes` bytes of the file are needed for the next step; with fewer it cannot be made.
    NeedMore {
        /// Length of the prefix in bytes, from the start of the file.
        bytes: u64,
    },
    /// There was enough.
    Ready(Box<Preflight<'a>>),
}

impl<'a> Preflight<'a> {
    /// Reads preamble, header, signature block and manifest from the first bytes of a file.
    ///
    /// # Errors
    /// What is wrong with those parts, as in [`crate::Bundle::open`]. A prefix that is too short is no error.
    /// Never panics.
    pub fn from_prefix(prefix: &'a [u8], limits: &Limits) -> Result<FromPrefix<'a>, Error> {
        let there = bytes(prefix.len());
        if there < bytes(PREAMBLE_BYTES) {
            return Ok(FromPrefix::NeedMore { bytes: bytes(PREAMBLE_BYTES) });
        }
        let preamble = Preamble::decode(prefix, limits)?;
        let body_offset = preamble.body_offset();
        let rest = usize::try_from(body_offset).ok().and_then(|end| prefix.get(PREAMBLE_BYTES..end));
        let Some(rest) = rest else { return Ok(FromPrefix::NeedMore { bytes: body_offset }) };
        let parts = Prefix::decode(preamble, rest, limits)?;
        let reader = Reader { source: prefix, prefix: parts, limits: limits.clone(), decoder: Decoder::default() };
        let end = reader.section_end(MANIFEST)?;
        if there < end {
            return Ok(FromPrefix::NeedMore { bytes: end });
        }
        let manifest = reader.read_manifest()?;
        Ok(FromPrefix::Ready(Box::new(Preflight { reader, manifest })))
    }

    /// What the bundle says of itself. Nobody vouches for it before [`Preflight::verify`].
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The section table.
    pub fn header(&self) -> &Header {
        &self.reader.prefix.header
    }

    /// Size of the whole file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.reader.prefix.preamble.file_bytes()
    }

    /// The signatures, each a Sigstore bundle in JSON.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.reader.prefix.signatures
    }

    /// Decides whether the bundle is trusted. Every part of it that is fetched later is bound to this answer by the
    /// digests in [`Preflight::header`].
    ///
    /// # Errors
    /// [`Error::Trust`]. Never panics.
    pub fn verify(&self, trust: &Trust, now_unix_s: Option<u64>) -> Result<Verdict, Error> {
        let verdict = self.reader.prefix.verify(trust, now_unix_s)?;
        trust::check_version(trust, &self.manifest)?;
        Ok(verdict)
    }

    /// Where a section ends, in bytes from the start of the file: so long a prefix is needed to read it.
    ///
    /// # Errors
    /// [`Error::NoSection`].
    pub fn section_end(&self, name: &str) -> Result<u64, Error> {
        self.reader.section_end(name)
    }

    /// The content of a section other than weights, if it lies within the prefix.
    ///
    /// # Errors
    /// Those of [`crate::Verified::read`]; [`Error::Truncated`]: the prefix is shorter than
    /// [`Preflight::section_end`]. Never panics.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.reader.read(self.reader.section(name)?)
    }
}
