//! Everything that can go wrong with a bundle, each with its stable [`Code`].

use alloc::string::String;

use crate::code::Code;
use crate::limits::Quantity;
use crate::trust::TrustError;

/// Why a bundle was not opened, verified, read or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not the format's magic.
    #[error("not a Pannier bundle: it begins with {found:02x?}")]
    NotABundle {
        /// The first eight bytes.
        found: [u8; 8],
    },
    /// A version number that this reader does not know.
    #[error("{what} has version {found}; this reader knows version {known}")]
    Version {
        /// What bears the version.
        what: &'static str,
        /// The version in the file.
        found: u32,
        /// The version of this reader.
        known: u32,
    },
    /// A section that must be understood and is not.
    #[error("section `{name}` is of the unknown kind {kind} and marked critical")]
    UnknownCritical {
        /// Name of the section.
        name: String,
        /// Its kind, as a number.
        kind: u8,
    },
    /// The file ends before its own lengths say so.
    #[error("the data ends too early: {what} ends at byte {expected_bytes}, the data at {actual_bytes}")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Where it should end, in bytes from the start of the file.
        expected_bytes: u64,
        /// Where the file ends.
        actual_bytes: u64,
    },
    /// Something follows the end of the bundle.
    #[error("the bundle ends at byte {expected_bytes}, the data at {actual_bytes}")]
    TrailingBytes {
        /// Where the bundle ends by its own lengths.
        expected_bytes: u64,
        /// Where the file ends.
        actual_bytes: u64,
    },
    /// A limit of the reader was exceeded.
    #[error("the {what} is {value}, over the limit of {limit}")]
    Limit {
        /// What is counted.
        what: Quantity,
        /// Its value in the bundle.
        value: u64,
        /// The most that the reader accepts.
        limit: u64,
    },
    /// The header breaks a rule.
    #[error("the header is malformed: {0}")]
    Header(#[from] HeaderError),
    /// The signature block breaks a rule.
    #[error("the signature block is malformed: {0}")]
    SignatureBlock(#[from] SignatureBlockError),
    /// A section breaks a rule.
    #[error("section `{section}`: {why}")]
    Section {
        /// Name of the section.
        section: String,
        /// The rule.
        why: SectionError,
    },
    /// A chunk cannot be decoded or is not the one that the header names.
    #[error("section `{section}`, chunk {chunk}: {why}")]
    Chunk {
        /// Name of the section.
        section: String,
        /// Index of the chunk in the section.
        chunk: usize,
        /// The rule.
        why: ChunkError,
    },
    /// The bytes between two sections are not all zero.
    #[error("the padding before byte {offset} of the body is not zero")]
    Padding {
        /// Where the section after the padding begins, from the start of the body.
        offset: u64,
    },
    /// A structured section cannot be decoded.
    #[error("{what} cannot be decoded: {why}")]
    Decode {
        /// What was to be decoded.
        what: String,
        /// The rule.
        why: DecodeError,
    },
    /// The manifest breaks a rule that its encoding cannot express.
    #[error("the manifest is not valid: {0}")]
    Manifest(#[from] ManifestError),
    /// The content digests do not give the bundle's id.
    #[error("the bundle id in the manifest is not that of the content")]
    BundleId,
    /// The signatures, or the trust that was asked for.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The bundle has no section of this name.
    #[error("the bundle has no section `{name}`")]
    NoSection {
        /// The name that was asked for.
        name: String,
    },
    /// The caller's buffer has another size than the section's content.
    #[error("section `{section}` has {expected_bytes} bytes, the buffer {actual_bytes}")]
    BufferSize {
        /// Name of the section.
        section: String,
        /// Size of the content in bytes.
        expected_bytes: u64,
        /// Size of the buffer in bytes.
        actual_bytes: u64,
    },
    /// The source could not be opened or read.
    #[error("cannot read {what}: {cause}")]
    Read {
        /// What was read: a path, or a place in the source.
        what: String,
        /// What the system said.
        cause: String,
    },
    /// The machine has not enough memory for a part whose size is within the limits.
    #[error("{what} does not fit this machine's memory: {size_bytes} bytes")]
    Memory {
        /// The part.
        what: String,
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// A section that is to be written breaks a rule.
    #[error("section `{section}` cannot be written: {cause}")]
    Write {
        /// Name of the section.
        section: String,
        /// Why.
        cause: String,
    },
    /// The caller stopped the work.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Error::NotABundle { .. }
            | Error::TrailingBytes { .. }
            | Error::Header(_)
            | Error::SignatureBlock(_)
            | Error::Section { .. }
            | Error::Chunk { .. }
            | Error::Padding { .. }
            | Error::Manifest(_)
            | Error::BundleId => Code::Corrupt,
            Error::Version { .. } | Error::UnknownCritical { .. } => Code::UnsupportedVersion,
            Error::Decode { why: DecodeError::Version { .. }, .. } => Code::UnsupportedVersion,
            Error::Decode { .. } => Code::Corrupt,
            Error::Truncated { .. } => Code::Truncated,
            Error::Limit { .. } => Code::Limit,
            Error::Memory { .. } => Code::MemoryBudget,
            Error::Trust(error) => error.code(),
            Error::NoSection { .. } | Error::BufferSize { .. } | Error::Write { .. } => Code::Failed,
            Error::Read { .. } => Code::InputMissing,
            Error::Interrupted => Code::Interrupted,
        }
    }

    /// What the user can do about it, if there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NotABundle { .. } => Some("bundles are made with `packager build MODEL.onnx`"),
            Error::Version { .. } | Error::UnknownCritical { .. } => Some("update the runtime"),
            Error::Decode { why: DecodeError::Version { .. }, .. } => Some("update the runtime"),
            Error::Truncated { .. } => Some("the download may have been cut short: fetch the file again"),
            Error::Chunk { why: ChunkError::Digest, .. }
            | Error::SignatureBlock(SignatureBlockError::Digest)
            | Error::Padding { .. } => Some("the file was altered or damaged: fetch it again"),
            Error::Limit { .. } => Some("raise that limit if the bundle is to be trusted"),
            Error::Trust(error) => error.hint(),
            _ => None,
        }
    }
}

/// A rule of the header that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes are no encoded section table, or another one than the canonical encoding of it.
    #[error("{0}")]
    Encoding(DecodeError),
    /// Numbers whose sum does not fit.
    #[error("the lengths of its parts overflow")]
    Overflow,
    /// The first section is not the manifest.
    #[error("the first section is not the manifest")]
    NoManifest,
    /// The body is longer or shorter than its sections.
    #[error("its sections end at byte {expected_bytes} of the body, which has {actual_bytes}")]
    BodySize {
        /// Where the last section ends.
        expected_bytes: u64,
        /// Length of the body in the preamble.
        actual_bytes: u64,
    },
}

/// A rule of the signature block that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureBlockError {
    /// The lengths in the block do not add up to its own.
    #[error("its lengths do not add up")]
    Framing,
    /// The digest over preamble, header and signatures differs.
    #[error("the digest of preamble, header and signatures does not match")]
    Digest,
}

/// A rule of the section table that a section breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// The name is outside the grammar.
    #[error("the name is not `word` or `word/number`, or is reserved")]
    Name,
    /// The name belongs to another kind.
    #[error("the name does not go with the kind {kind}")]
    Kind {
        /// The kind, as a number.
        kind: u8,
    },
    /// Another section has this name.
    #[error("the name occurs twice")]
    Duplicate,
    /// The section stands at the wrong place.
    #[error("sections are not in the order of their kinds and numbers")]
    Order,
    /// The section does not begin at the first aligned place after the one before it.
    #[error("it begins at byte {actual} of the body, not at {expected}")]
    Offset {
        /// The first 64-byte aligned place after the section before.
        expected: u64,
        /// The offset in the table.
        actual: u64,
    },
    /// The stored sizes of the chunks do not add up to the section's.
    #[error("its chunks have {actual} stored bytes, not {expected}")]
    StoredBytes {
        /// Stored size of the section.
        expected: u64,
        /// Sum over the chunks.
        actual: u64,
    },
    /// The content sizes of the chunks do not add up to the section's.
    #[error("its chunks have {actual} bytes of content, not {expected}")]
    ContentBytes {
        /// Content size of the section.
        expected: u64,
        /// Sum over the chunks.
        actual: u64,
    },
    /// The content digest differs from the table's.
    #[error("the digest of its content does not match")]
    Digest,
}

/// A rule that a chunk breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The content is empty or too large.
    #[error("it has {content_bytes} bytes of content, which is not 1 to {max}", max = crate::header::CHUNK_CONTENT_BYTES_MAX)]
    ContentBytes {
        /// Content of the chunk in bytes.
        content_bytes: u32,
    },
    /// The number of planes is not 1, 2, 4 or 8, or does not divide the content.
    #[error("{planes} planes do not go with {content_bytes} bytes of content")]
    Planes {
        /// Number of planes.
        planes: usize,
        /// Content of the chunk in bytes.
        content_bytes: u32,
    },
    /// A plane has another stored size than its codec allows.
    #[error("plane {plane} is stored in {stored_bytes} bytes, which does not go with its codec")]
    PlaneBytes {
        /// Index of the plane.
        plane: usize,
        /// Its stored size in bytes.
        stored_bytes: u32,
    },
    /// The stored bytes are others than those the header names.
    #[error("the digest of its stored bytes does not match")]
    Digest,
    /// A compressed plane is not the one frame that the format allows.
    #[error("plane {plane}: {why}")]
    Frame {
        /// Index of the plane.
        plane: usize,
        /// The rule.
        why: FrameError,
    },
}

/// A rule that a zstd frame breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame ends early, or does not start with the magic number of zstd.
    #[error("it is not a zstd frame")]
    Malformed,
    /// A reserved bit is set, or a dictionary or a checksum is asked for.
    #[error("the zstd frame uses an option that this format does not allow")]
    Option,
    /// The frame needs a larger window than the format allows.
    #[error("the zstd frame asks for a window of {window_bytes} bytes")]
    Window {
        /// The window in bytes.
        window_bytes: u64,
    },
    /// The frame's content size is missing or another than the table's.
    #[error("the zstd frame does not say that it holds {expected_bytes} bytes")]
    ContentSize {
        /// The size by the table.
        expected_bytes: u64,
    },
    /// Something follows the frame's last block.
    #[error("something follows the zstd frame")]
    TrailingBytes,
    /// The decoder refuses the content.
    #[error("the zstd frame is corrupt")]
    Content,
}

/// Why a structured section cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Another version than the reader's.
    #[error("it has version {found}; this reader knows version {known}")]
    Version {
        /// The version in the file.
        found: u16,
        /// The version of this reader.
        known: u16,
    },
    /// The bytes end before the structure does.
    #[error("it ends too early")]
    Truncated,
    /// The bytes are no encoding of the structure.
    #[error("its encoding is malformed")]
    Malformed,
    /// Something follows the structure, or the encoding is not the shortest one.
    #[error("its encoding is not the canonical one, or something follows it")]
    NotCanonical,
}

/// A rule of the manifest that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The name is empty, too long or has a character that is not allowed.
    #[error("the name `{name}` is not 1 to 64 of `a-z 0-9 - _ .`, beginning with a letter or digit")]
    Name {
        /// The name.
        name: String,
    },
    /// The version is not a semantic version.
    #[error("the version `{version}` is not a semantic version")]
    Version {
        /// The version.
        version: String,
    },
    /// Two inputs, or two outputs, have the same name, or a name is empty.
    #[error("the port name `{name}` is empty or occurs twice")]
    PortName {
        /// The name.
        name: String,
    },
    /// A shape whose size in bytes overflows.
    #[error("the shape of `{name}` is too large")]
    PortShape {
        /// Name of the input or output.
        name: String,
    },
    /// A state input that names no output of the same type, or a dangling state output.
    #[error("the state input `{name}` has no output to be fed from")]
    State {
        /// Name of the input.
        name: String,
    },
}
