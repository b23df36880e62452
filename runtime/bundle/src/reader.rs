//! Reading sections, chunk by chunk, from a source with random access.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use sha2::{Digest, Sha256};

use crate::chunk::ChunkReader;
use crate::error::{ChunkError, Error};
use crate::frame::Decoder;
use crate::header::{ALIGNMENT_BYTES, Chunk, Header, Kind, Section, bytes, size};
use crate::limits::{Limits, Quantity};
use crate::manifest::Manifest;
use crate::prefix::Prefix;
use crate::source::Source;

/// Name of the section that every bundle has.
pub(crate) const MANIFEST: &str = "manifest";

/// What reading needs, whether or not trust was decided.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    pub(crate) source: S,
    pub(crate) prefix: Prefix,
    pub(crate) limits: Limits,
    pub(crate) decoder: Decoder,
}

impl<S: Source> Reader<S> {
    pub(crate) fn section(&self, name: &str) -> Result<&Section, Error> {
        self.prefix.header.section(name).ok_or_else(|| Error::NoSection { name: name.to_string() })
    }

    /// Where the section ends, from the start of the source.
    pub(crate) fn section_end(&self, name: &str) -> Result<u64, Error> {
        let section = self.section(name)?;
        let end = self.prefix.preamble.body_offset().saturating_add(section.offset);
        Ok(end.saturating_add(section.stored_bytes))
    }

    pub(crate) fn read(&self, section: &Section) -> Result<Vec<u8>, Error> {
        Limits::check(Quantity::SmallSectionBytes, section.content_bytes, self.limits.small_section_bytes)?;
        let mut content = zeroed(section.content_bytes, &section.name)?;
        self.read_into(section, &mut content)?;
        Ok(content)
    }

    pub(crate) fn read_into(&self, section: &Section, into: &mut [u8]) -> Result<(), Error> {
        let actual_bytes = bytes(into.len());
        let wrong_size =
            Error::BufferSize { section: section.name.clone(), expected_bytes: section.content_bytes, actual_bytes };
        if actual_bytes != section.content_bytes {
            return Err(wrong_size);
        }
        let mut rest = into;
        self.for_each_chunk(section, |reader, chunk, stored| {
            // The table was checked: the chunks' content adds up to the section's.
            let (target, after) = core::mem::take(&mut rest).split_at_mut(size(chunk.content_bytes));
            rest = after;
            reader.read(chunk, stored, target)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Reads the stored bytes of each chunk into one buffer of our own and hands them over, until told to stop.
    pub(crate) fn for_each_chunk(
        &self,
        section: &Section,
        mut each: impl FnMut(&mut ChunkReader, &Chunk, &[u8]) -> Result<ControlFlow<()>, ChunkError>,
    ) -> Result<(), Error> {
        let mut reader = ChunkReader::new(self.decoder);
        let largest = section.chunks.iter().map(Chunk::stored_bytes).max().unwrap_or(0);
        let mut buffer = vec![0; largest];
        let mut offset = self.prefix.preamble.body_offset().saturating_add(section.offset);
        for (index, chunk) in section.chunks.iter().enumerate() {
            let stored = buffer.get_mut(..chunk.stored_bytes()).unwrap_or_default();
            self.source.read_at(offset, stored)?;
            let flow = each(&mut reader, chunk, stored).map_err(|why| {
                let section = section.name.clone();
                Error::Chunk { section, chunk: index, why }
            })?;
            if flow.is_break() {
                return Err(Error::Interrupted);
            }
            offset = offset.saturating_add(bytes(stored.len()));
        }
        Ok(())
    }

    pub(crate) fn read_manifest(&self) -> Result<Manifest, Error> {
        decode_manifest(&self.read(self.section(MANIFEST)?)?, &self.prefix.header)
    }

    /// Fails if a byte between two sections is not zero.
    pub(crate) fn check_padding(&self) -> Result<(), Error> {
        let mut end = 0;
        for section in &self.prefix.header.sections {
            let mut gap = [0; ALIGNMENT_BYTES];
            let gap_bytes = usize::try_from(section.offset.saturating_sub(end)).unwrap_or(usize::MAX);
            let gap = gap.get_mut(..gap_bytes).unwrap_or_default();
            self.source.read_at(self.prefix.preamble.body_offset().saturating_add(end), gap)?;
            if gap.iter().any(|byte| *byte != 0) {
                return Err(Error::Padding { offset: section.offset });
            }
            end = section.offset.saturating_add(section.stored_bytes);
        }
        Ok(())
    }
}

/// A zeroed buffer of `size_bytes`, which were compared with a limit before.
pub(crate) fn zeroed(size_bytes: u64, what: &str) -> Result<Vec<u8>, Error> {
    let too_large = || Error::Memory { what: what.to_string(), size_bytes };
    let size = usize::try_from(size_bytes).map_err(|_| too_large())?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(size).map_err(|_| too_large())?;
    buffer.resize(size, 0);
    Ok(buffer)
}

/// Decodes the manifest of a bundle.
pub(crate) fn decode_manifest(content: &[u8], header: &Header) -> Result<Manifest, Error> {
    let manifest = Manifest::decode(content)?;
    if manifest.bundle_id != bundle_id(header) {
        return Err(Error::BundleId);
    }
    Ok(manifest)
}

/// SHA-256 over the content digests of every section but the manifest, in the order of the table.
fn bundle_id(header: &Header) -> [u8; 32] {
    let others = header.sections.iter().filter(|section| section.kind != Kind::Manifest);
    others.fold(Sha256::new(), |hash, section| hash.chain_update(section.sha256)).finalize().into()
}
