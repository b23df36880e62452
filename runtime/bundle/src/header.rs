//! The preamble and the section table: what stands where, under which digest.
//!
//! A file has exactly one reading. [`Header::decode`] accepts an encoding only if encoding the decoded table again
//! gives the same bytes, and only if the sections fill the body in their one order without gaps or overlaps.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::error::{DecodeError, Error, HeaderError};
use crate::limits::{Limits, Quantity};
use crate::versioned::{decode_versioned, encode_versioned};

mod check;

/// The first eight bytes of a bundle; the last of them is the major version of the format.
pub const MAGIC: [u8; 8] = *b"PANNIER\x01";
/// Length of the preamble in bytes.
pub const PREAMBLE_BYTES: usize = 24;
/// Sections begin at multiples of this many bytes from the start of the body.
pub const ALIGNMENT_BYTES: usize = 64;
/// Most content that one chunk may hold, in bytes.
pub const CHUNK_CONTENT_BYTES_MAX: u32 = 1 << 20;
/// Most byte planes that a chunk may be split into.
pub const PLANES_MAX: usize = 8;
/// Largest window that a zstd frame in a bundle may ask for, in bytes.
pub const WINDOW_BYTES_MAX: u64 = 1 << 20;
/// Longest name of a section, in bytes.
pub const NAME_BYTES_MAX: usize = 48;

/// The fixed start of a file: the lengths of the three parts that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// Length of the encoded header in bytes.
    pub header_bytes: u32,
    /// Length of the signature block in bytes.
    pub signatures_bytes: u32,
    /// Length of the body in bytes.
    pub body_bytes: u64,
}

impl Preamble {
    /// Reads the preamble from the first bytes of a file and compares its lengths with the limits.
    ///
    /// # Errors
    /// [`Error::NotABundle`]: other magic. [`Error::Truncated`]: fewer than 24 bytes. [`Error::Version`]: another
    /// format version. [`Error::Limit`]: the header or the signature block is too long.
    /// [`Error::Header`]: the lengths overflow. Never panics.
    pub fn decode(prefix: &[u8], limits: &Limits) -> Result<Preamble, Error> {
        let known = MAGIC.iter().zip(prefix).take_while(|(want, found)| want == found).count();
        if known < prefix.len().min(MAGIC.len() - 1) {
            let mut found = [0; 8];
            found.iter_mut().zip(prefix).for_each(|(to, from)| *to = *from);
            return Err(Error::NotABundle { found });
        }
        let truncated = Error::Truncated {
            what: "the preamble",
            expected_bytes: bytes(PREAMBLE_BYTES),
            actual_bytes: bytes(prefix.len()),
        };
        let (magic, rest) = prefix.split_first_chunk::<8>().ok_or(truncated.clone())?;
        if magic != &MAGIC {
            let [.., found] = *magic;
            let [.., known] = MAGIC;
            return Err(Error::Version { what: "the format", found: found.into(), known: known.into() });
        }
        let (header, rest) = rest.split_first_chunk::<4>().ok_or(truncated.clone())?;
        let (signatures, rest) = rest.split_first_chunk::<4>().ok_or(truncated.clone())?;
        let (body, _) = rest.split_first_chunk::<8>().ok_or(truncated)?;
        let preamble = Preamble {
            header_bytes: u32::from_le_bytes(*header),
            signatures_bytes: u32::from_le_bytes(*signatures),
            body_bytes: u64::from_le_bytes(*body),
        };
        Limits::check(Quantity::HeaderBytes, preamble.header_bytes.into(), limits.header_bytes)?;
        Limits::check(Quantity::SignaturesBytes, preamble.signatures_bytes.into(), limits.signatures_bytes)?;
        preamble.body_offset().checked_add(preamble.body_bytes).ok_or(HeaderError::Overflow)?;
        Ok(preamble)
    }

    /// The 24 bytes.
    pub fn encode(&self) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        let fields = MAGIC
            .into_iter()
            .chain(self.header_bytes.to_le_bytes())
            .chain(self.signatures_bytes.to_le_bytes())
            .chain(self.body_bytes.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Where the signature block begins, in bytes from the start of the file.
    pub fn signatures_offset(&self) -> u64 {
        bytes(PREAMBLE_BYTES) + u64::from(self.header_bytes)
    }

    /// Where the body begins, in bytes from the start of the file.
    pub fn body_offset(&self) -> u64 {
        self.signatures_offset() + u64::from(self.signatures_bytes)
    }

    /// Length of the whole file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.body_offset().saturating_add(self.body_bytes)
    }

    /// The error of a file that ends at `actual_bytes`, before its end.
    pub(crate) fn truncated(&self, actual_bytes: u64) -> Error {
        let ends = [(self.signatures_offset(), "the header"), (self.body_offset(), "the signature block")];
        let cut = ends.into_iter().find(|(end, _)| actual_bytes < *end);
        let (expected_bytes, what) = cut.unwrap_or((self.file_bytes(), "the body"));
        Error::Truncated { what, expected_bytes, actual_bytes }
    }
}

/// The section table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The sections, in the order of the file.
    pub sections: Vec<Section>,
}

impl Header {
    /// Version of the table's structure on the wire.
    pub const VERSION: u16 = 1;

    /// Decodes a table and checks every rule that can be checked without the body.
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::Limit`], [`Error::UnknownCritical`], and [`Error::Header`], [`Error::Section`] or
    /// [`Error::Chunk`] for the rule that is broken. Never panics.
    pub fn decode(bytes: &[u8], body_bytes: u64, limits: &Limits) -> Result<Header, Error> {
        // The number of sections is the first thing after the version: a claim of a billion is refused unread.
        if let Some((_, table)) = bytes.split_first_chunk::<2>()
            && let Ok((sections, _)) = postcard::take_from_bytes::<u64>(table)
        {
            Limits::check(Quantity::Sections, sections, limits.sections)?;
        }
        let header: Header = decode_versioned(bytes, Self::VERSION).map_err(|why| match why {
            DecodeError::Version { found, known } => {
                Error::Version { what: "the header", found: found.into(), known: known.into() }
            }
            why => HeaderError::Encoding(why).into(),
        })?;
        header.check(body_bytes, limits)?;
        Ok(header)
    }

    /// The bytes that [`Header::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        encode_versioned(Self::VERSION, self)
    }

    /// The section with this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Sum of the sections' content in bytes.
    pub fn content_bytes(&self) -> u64 {
        self.sections.iter().fold(0, |sum, section| sum.saturating_add(section.content_bytes))
    }

    /// Largest number of stored bytes that one chunk has.
    pub fn largest_chunk_bytes(&self) -> usize {
        let chunks = self.sections.iter().flat_map(|section| &section.chunks);
        chunks.map(Chunk::stored_bytes).max().unwrap_or(0)
    }

    fn check(&self, body_bytes: u64, limits: &Limits) -> Result<(), Error> {
        check::table(self, body_bytes, limits)
    }
}

/// One part of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// What it is for.
    pub kind: Kind,
    /// Its name: `word` or `word/number`. Also its file name in an unpacked bundle.
    pub name: String,
    /// Whether a reader that does not know the kind must refuse the bundle.
    pub critical: bool,
    /// Where it begins, in bytes from the start of the body; a multiple of 64.
    pub offset: u64,
    /// Its size in the file.
    pub stored_bytes: u64,
    /// Its size in memory.
    pub content_bytes: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Its pieces, in order.
    pub chunks: Vec<Chunk>,
}

/// A piece of a section that is stored, fetched, verified and decoded on its own.
///
/// `content_bytes` of elements that are as wide as there are planes: plane `p` holds byte `p` of each element. One
/// plane means the bytes as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Size in memory: 1 to [`CHUNK_CONTENT_BYTES_MAX`], a multiple of the number of planes.
    pub content_bytes: u32,
    /// SHA-256 of the stored bytes, all planes in order.
    pub sha256: [u8; 32],
    /// 1, 2, 4 or 8 planes, stored one after the other.
    #[serde(deserialize_with = "check::at_most_eight")]
    pub planes: Vec<Plane>,
}

impl Chunk {
    /// Size in the file in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.planes.iter().fold(0, |sum: usize, plane| sum.saturating_add(size(plane.stored_bytes)))
    }

    /// Size of one plane in memory in bytes.
    pub fn plane_bytes(&self) -> usize {
        size(self.content_bytes).checked_div(self.planes.len()).unwrap_or(0)
    }
}

/// One byte plane of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plane {
    /// How it is stored.
    pub codec: Codec,
    /// Its size in the file.
    pub stored_bytes: u32,
}

/// How a plane is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// As it is.
    Raw,
    /// As one zstd frame (RFC 8878) with its content size, a window of at most [`WINDOW_BYTES_MAX`], no dictionary
    /// and no checksum.
    Zstd,
}

/// What a section is for. The numbers also give the order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
#[non_exhaustive]
pub enum Kind {
    /// `manifest`: [`crate::Manifest`].
    Manifest,
    /// `graph`: the program.
    Graph,
    /// `golden`: real inputs with reference answers.
    Golden,
    /// `labels`: lists of class names or characters.
    Labels,
    /// `baseline`: distribution of the calibration data.
    Baseline,
    /// `card`: model card in Markdown.
    Card,
    /// `bom`: CycloneDX bill of materials in JSON.
    Bom,
    /// `attestation/N`: in-toto statements.
    Attestation,
    /// `quantization`: how the weights were quantized, and what that cost.
    Quantization,
    /// `weights/N`: tensor bytes.
    Weights,
    /// A kind that this reader does not know.
    Unknown(u8),
}

impl Kind {
    /// Every kind that this reader knows, in the order of the file, with its number, the word of its name and
    /// whether a number follows the word.
    pub const ALL: &'static [(Kind, u8, &'static str, bool)] = &[
        (Kind::Manifest, 1, "manifest", false),
        (Kind::Graph, 2, "graph", false),
        (Kind::Golden, 3, "golden", false),
        (Kind::Labels, 4, "labels", false),
        (Kind::Baseline, 5, "baseline", false),
        (Kind::Card, 6, "card", false),
        (Kind::Bom, 7, "bom", false),
        (Kind::Attestation, 8, "attestation", true),
        (Kind::Quantization, 9, "quantization", false),
        (Kind::Weights, 255, "weights", true),
    ];

    /// The kind of the section with this name, if it is a known one.
    ///
    /// ```
    /// use pannier_bundle::header::Kind;
    /// assert_eq!(Kind::from_name("weights/0"), Some(Kind::Weights));
    /// assert_eq!(Kind::from_name("weights"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Kind> {
        let (word, number) = check::parse_name(name)?;
        let numbered = number.is_some();
        let entry = Self::ALL.iter().find(|(_, _, known, wants)| *known == word && *wants == numbered)?;
        Some(entry.0)
    }
}

impl From<u8> for Kind {
    fn from(number: u8) -> Kind {
        let entry = Kind::ALL.iter().find(|(_, known, ..)| *known == number);
        entry.map_or(Kind::Unknown(number), |(kind, ..)| *kind)
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> u8 {
        match kind {
            Kind::Unknown(number) => number,
            known => Kind::ALL.iter().find(|(kind, ..)| *kind == known).map_or(0, |(_, number, ..)| *number),
        }
    }
}

/// A size in memory as a size in a file.
pub(crate) fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// A 32-bit size in a file as a size in memory. On a 16-bit machine it saturates, and no such slice exists.
pub(crate) fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
