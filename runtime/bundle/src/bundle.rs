//! Opening, verifying and reading a bundle from a source with random access.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use sha2::{Digest, Sha256};

use crate::chunk::check_digest;
use crate::error::{Error, SectionError};
use crate::frame::Decoder;
use crate::header::{Header, PREAMBLE_BYTES, Preamble, Section, bytes, size};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::prefix::Prefix;
use crate::reader::{Reader, zeroed};
use crate::source::Source;
use crate::trust::{self, Trust, Verdict};

/// A bundle whose form was checked and of which nothing is trusted yet.
#[derive(Debug)]
pub struct Bundle<S> {
    reader: Reader<S>,
}

impl<S: Source> Bundle<S> {
    /// Reads preamble, header and signature block, and checks every rule that can be checked without the body.
    ///
    /// Reads nothing of the body. The cost is bounded by `limits.header_bytes` and `limits.signatures_bytes`.
    ///
    /// # Errors
    /// Those of [`Preamble::decode`] and [`Header::decode`]; [`Error::Truncated`] and [`Error::TrailingBytes`]: the
    /// source has another size than the preamble says; [`Error::SignatureBlock`]; what the source returns. Never panics.
    pub fn open(source: S, limits: &Limits) -> Result<Bundle<S>, Error> {
        let size_bytes = source.size_bytes();
        let mut start = [0; PREAMBLE_BYTES];
        let there = start.len().min(usize::try_from(size_bytes).unwrap_or(usize::MAX));
        let start = start.get_mut(..there).unwrap_or_default();
        source.read_at(0, start)?;
        let preamble = Preamble::decode(start, limits)?;

        let expected_bytes = preamble.file_bytes();
        if size_bytes < expected_bytes {
            return Err(preamble.truncated(size_bytes));
        }
        if size_bytes > expected_bytes {
            return Err(Error::TrailingBytes { expected_bytes, actual_bytes: size_bytes });
        }
        let rest_bytes = preamble.body_offset() - bytes(PREAMBLE_BYTES);
        let mut rest = zeroed(rest_bytes, "the header")?;
        source.read_at(bytes(PREAMBLE_BYTES), &mut rest)?;
        let prefix = Prefix::decode(preamble, &rest, limits)?;
        Ok(Bundle { reader: Reader { source, prefix, limits: limits.clone(), decoder: Decoder::default() } })
    }

    /// Reads with this zstd decoder instead of the default one.
    pub fn with_decoder(mut self, decoder: Decoder) -> Self {
        self.reader.decoder = decoder;
        self
    }

    /// The section table. Nobody vouches for it yet.
    pub fn header(&self) -> &Header {
        &self.reader.prefix.header
    }

    /// The encoded section table, as it is in the file: what signatures cover under the name `header`.
    pub fn header_bytes(&self) -> &[u8] {
        &self.reader.prefix.header_bytes
    }

    /// The signatures, each a Sigstore bundle in JSON. None was checked yet.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.reader.prefix.signatures
    }

    #[cfg(feature = "write")]
    pub(crate) fn into_prefix(self) -> Prefix {
        self.reader.prefix
    }

    /// Decides whether the bundle is trusted, and reads its manifest.
    ///
    /// `now_unix_s` is the time in seconds since 1970, for keys and policies that expire.
    ///
    /// # Errors
    /// [`Error::Trust`]: not trusted. [`Error::Chunk`], [`Error::Decode`], [`Error::Manifest`], [`Error::BundleId`]:
    /// the manifest is damaged or not valid. Never panics.
    pub fn verify(self, trust: &Trust, now_unix_s: Option<u64>) -> Result<Verified<S>, Error> {
        let Bundle { reader } = self;
        let verdict = reader.prefix.verify(trust, now_unix_s)?;
        reader.check_padding()?;
        let manifest = reader.read_manifest()?;
        trust::check_version(trust, &manifest)?;
        Ok(Verified { reader, manifest, verdict })
    }
}

/// A bundle that the caller trusts, to the degree that [`Verified::verdict`] tells.
///
/// Each chunk is checked against the table when it is read, every time.
#[derive(Debug)]
pub struct Verified<S> {
    reader: Reader<S>,
    manifest: Manifest,
    verdict: Verdict,
}

impl<S: Source> Verified<S> {
    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Who signed, and who of them is trusted.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The section table.
    pub fn header(&self) -> &Header {
        &self.reader.prefix.header
    }

    /// The encoded section table: what signatures cover under the name `header`.
    pub fn header_bytes(&self) -> &[u8] {
        &self.reader.prefix.header_bytes
    }

    /// The signatures, each a Sigstore bundle in JSON.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.reader.prefix.signatures
    }

    /// The table's entry of the section with this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.header().section(name)
    }

    /// The content of a section other than weights, as a whole.
    ///
    /// # Errors
    /// [`Error::NoSection`]; [`Error::Limit`]: larger than [`Limits::small_section_bytes`]; those of
    /// [`Verified::read_into`]. Never panics.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.reader.read(self.reader.section(name)?)
    }

    /// Decodes the content of a section into `into`, chunk by chunk.
    ///
    /// Beside `into` it holds one stored chunk and one decoder: at most 3 MiB. After an error `into` has any content.
    ///
    /// # Errors
    /// [`Error::NoSection`]; [`Error::BufferSize`]: `into` is not as long as the content; [`Error::Chunk`]: a chunk is
    /// not the one that the header names, or cannot be decoded; [`Error::Padding`]; what the source returns.
    /// Never panics.
    pub fn read_into(&self, name: &str, into: &mut [u8]) -> Result<(), Error> {
        self.reader.read_into(self.reader.section(name)?, into)
    }

    /// Checks the digest of every stored chunk, and decodes nothing: every byte of the file has then been checked.
    ///
    /// `progress` is called with the stored bytes that are done and their total; it may stop the work.
    ///
    /// # Errors
    /// [`Error::Chunk`]: a chunk is not the one that the header names. [`Error::Interrupted`]: `progress` said so. What
    /// the source returns. Never panics.
    pub fn check_stored(&self, progress: &mut Progress<'_>) -> Result<(), Error> {
        let total = self.header().sections.iter().map(|section| section.stored_bytes).sum();
        let mut done = 0_u64;
        for section in &self.header().sections {
            self.reader.for_each_chunk(section, |_, chunk, stored| {
                check_digest(chunk, stored)?;
                done = done.saturating_add(bytes(stored.len()));
                Ok(progress(done, total))
            })?;
        }
        Ok(())
    }

    /// Decodes every section and checks its content digest, which the header vouches for like it does for the stored
    /// digests. Reading needs only the latter; this is for `verify --full`.
    ///
    /// `progress` is called with the bytes of content that are done and their total; it may stop the work.
    ///
    /// # Errors
    /// [`Error::Section`] with [`SectionError::Digest`]; [`Error::Interrupted`]: `progress` said so; those of
    /// [`Verified::read_into`]. Never panics.
    pub fn check_contents(&self, progress: &mut Progress<'_>) -> Result<(), Error> {
        let total = self.header().content_bytes();
        let mut done = 0_u64;
        let mut content = Vec::new();
        for section in &self.header().sections {
            let mut hash = Sha256::new();
            self.reader.for_each_chunk(section, |reader, chunk, stored| {
                content.resize(size(chunk.content_bytes), 0);
                reader.read(chunk, stored, &mut content)?;
                hash.update(&content);
                done = done.saturating_add(bytes(content.len()));
                Ok(progress(done, total))
            })?;
            if <[u8; 32]>::from(hash.finalize()) != section.sha256 {
                return Err(Error::Section { section: section.name.clone(), why: SectionError::Digest });
            }
        }
        Ok(())
    }
}

/// Told how much is done of how much, in bytes; it may stop the work. Where nobody cares: `|_, _|
/// ControlFlow::Continue(())`.
pub type Progress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;
