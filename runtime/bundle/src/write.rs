//! Writing bundles: choose the smallest encoding of each chunk, make the table, put the parts together.
//!
//! The same sections give the same bytes, on any machine and with any number of threads, as long as the version of the
//! zstd encoder is the same. The digests of content do not depend even on that.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use sha2::{Digest, Sha256};

use crate::bundle::{Bundle, Progress};
use crate::error::Error;
use crate::header::{ALIGNMENT_BYTES, Header, Kind, Section, bytes};
use crate::limits::Limits;
use crate::prefix::encode_prefix;
use crate::trust;

mod encode;
mod pieces;

pub use encode::{LEVEL, WINDOW_LOG};
pub use pieces::MERGE_BYTES;

/// A section that is to be written.
#[derive(Debug, Clone)]
pub struct SectionContent<'a> {
    /// Its name: that of a known kind, see [`Kind::ALL`].
    pub name: String,
    /// Its content.
    pub bytes: Cow<'a, [u8]>,
    /// Width of the elements that most of it consists of: 1, 2, 4 or 8. Byte planes of that width are tried.
    pub element_bytes: u8,
    /// Where tensors begin, in bytes, ascending. Chunks end there where that does not make them too small.
    pub cuts: Vec<u64>,
    /// Whether a reader that does not know the section must refuse the bundle.
    pub critical: bool,
}

/// How to write.
#[derive(Debug, Clone)]
pub struct SealOptions {
    /// Threads that compress. The result does not depend on it.
    pub threads: NonZeroUsize,
}

impl Default for SealOptions {
    /// As many threads as the machine has processors.
    fn default() -> Self {
        SealOptions { threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN) }
    }
}

/// A finished bundle, but for its signatures.
#[derive(Debug, Clone)]
pub struct Sealed {
    header: Header,
    header_bytes: Vec<u8>,
    body: Vec<u8>,
}

impl Sealed {
    /// The section table.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The encoded section table.
    pub fn header_bytes(&self) -> &[u8] {
        &self.header_bytes
    }

    /// The statement to sign: the payload of the DSSE envelope, see [`trust::statement_payload`].
    pub fn statement(&self, name: &str) -> Vec<u8> {
        trust::statement_payload(name, &self.header_bytes, &self.header)
    }

    /// The file, with these signatures (Sigstore bundles in JSON) in this order.
    ///
    /// # Errors
    /// [`Error::Limit`]: the header or the signatures exceed 4 GiB.
    pub fn assemble(&self, signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
        let mut file = encode_prefix(&self.header_bytes, bytes(self.body.len()), signatures)?;
        file.extend(&self.body);
        Ok(file)
    }
}

/// Writes the sections into one body. They may come in any order; the file has them in the order of their kinds.
///
/// `progress` is called with the bytes of content that are done and their total; it may stop the work.
///
/// # Errors
/// [`Error::Interrupted`]: `progress` said so. [`Error::Write`]: an unknown name, cuts out of order or an element width
/// that is none. [`Error::Section`], [`Error::Header`]: a set of sections that no reader would accept.
pub fn seal(
    sections: Vec<SectionContent<'_>>,
    options: &SealOptions,
    progress: &mut Progress<'_>,
) -> Result<Sealed, Error> {
    let sections = in_file_order(sections)?;
    let pieces = pieces::cut(&sections)?;
    let encoded = encode::encode_all(&pieces, options.threads, progress)?;

    let mut table = Vec::new();
    let mut body = Vec::new();
    let mut encoded = encoded.into_iter();
    for (index, (kind, section)) in sections.iter().enumerate() {
        body.resize(body.len().next_multiple_of(ALIGNMENT_BYTES), 0);
        let offset = bytes(body.len());
        let count = pieces.iter().filter(|piece| piece.section == index).count();
        let mut chunks = Vec::new();
        for (chunk, stored) in encoded.by_ref().take(count) {
            body.extend(stored);
            chunks.push(chunk);
        }
        table.push(Section {
            kind: *kind,
            name: section.name.clone(),
            critical: section.critical,
            offset,
            stored_bytes: bytes(body.len()) - offset,
            content_bytes: bytes(section.bytes.len()),
            sha256: Sha256::digest(&section.bytes).into(),
            chunks,
        });
    }
    let header = Header { sections: table };
    let header_bytes = header.encode();
    // What is written must be readable.
    Header::decode(&header_bytes, bytes(body.len()), &Limits::UNLIMITED)?;
    Ok(Sealed { header, header_bytes, body })
}

/// The same header and body with other signatures.
///
/// # Errors
/// Those of [`Bundle::open`]: `bundle` is not well-formed. [`Error::Write`]: the signatures exceed 4 GiB.
pub fn with_signatures(bundle: &[u8], signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let prefix = Bundle::open(bundle, &Limits::UNLIMITED)?.into_prefix();
    let body = usize::try_from(prefix.preamble.body_offset()).ok().and_then(|offset| bundle.get(offset..));
    let body = body.unwrap_or_default();
    let mut file = encode_prefix(&prefix.header_bytes, bytes(body.len()), signatures)?;
    file.extend(body);
    Ok(file)
}

/// The bundle id of these sections: SHA-256 over the SHA-256 of the content of each but the manifest, in the order of
/// the file.
///
/// # Errors
/// [`Error::Write`]: an unknown name.
pub fn content_id(sections: &[SectionContent<'_>]) -> Result<[u8; 32], Error> {
    let mut order = Vec::new();
    for section in sections {
        order.push((kind_and_number(section)?, section));
    }
    order.sort_by_key(|(key, _)| *key);
    let others = order.into_iter().filter(|((kind, _), _)| *kind != u8::from(Kind::Manifest));
    let id = others.fold(Sha256::new(), |hash, (_, section)| hash.chain_update(Sha256::digest(&section.bytes)));
    Ok(id.finalize().into())
}

fn in_file_order(sections: Vec<SectionContent<'_>>) -> Result<Vec<(Kind, SectionContent<'_>)>, Error> {
    let mut order = Vec::new();
    for section in sections {
        order.push((kind_and_number(&section)?, section));
    }
    order.sort_by_key(|(key, _)| *key);
    Ok(order.into_iter().map(|((kind, _), section)| (Kind::from(kind), section)).collect())
}

/// What sections are sorted by.
fn kind_and_number(section: &SectionContent<'_>) -> Result<(u8, u32), Error> {
    let kind = Kind::from_name(&section.name).ok_or_else(|| refused(section, "no section has such a name"))?;
    let number = section.name.split_once('/').and_then(|(_, digits)| digits.parse().ok());
    Ok((kind.into(), number.unwrap_or(0)))
}

fn refused(section: &SectionContent<'_>, cause: &str) -> Error {
    Error::Write { section: section.name.clone(), cause: cause.to_string() }
}
