//! What a reader is willing to allocate and to work for, before it knows whether it trusts the bytes.

use crate::error::Error;

/// Upper bounds that a reader enforces before it allocates or computes anything in proportion to them.
///
/// The defaults suit a gateway or a desktop; a small device lowers them. What the *format* bounds for everybody
/// (1 MiB of content per chunk, a 1 MiB zstd window) is in [`crate::header`] and cannot be raised.
///
/// ```
/// use pannier_bundle::Limits;
/// let small = Limits { content_bytes: 64 << 20, ..Limits::default() };
/// assert!(small.header_bytes == Limits::default().header_bytes);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of the encoded header in bytes. It takes up to three times that in memory.
    pub header_bytes: u64,
    /// Size of the signature block in bytes.
    pub signatures_bytes: u64,
    /// Number of signatures.
    pub signatures: u64,
    /// Number of sections.
    pub sections: u64,
    /// Number of chunks, over all sections.
    pub chunks: u64,
    /// Sum of the content of all sections in bytes, as it will lie in memory.
    pub content_bytes: u64,
    /// Content of one section that is not a weights section, in bytes. Such sections are decoded as a whole.
    pub small_section_bytes: u64,
}

impl Limits {
    /// Default of [`Limits::header_bytes`]: the table of some 100,000 chunks.
    pub const HEADER_BYTES: u64 = 8 << 20;
    /// Default of [`Limits::signatures_bytes`]. One signature over a hundred sections takes 30 KiB.
    pub const SIGNATURES_BYTES: u64 = 4 << 20;
    /// Default of [`Limits::signatures`].
    pub const SIGNATURES: u64 = 32;
    /// Default of [`Limits::sections`].
    pub const SECTIONS: u64 = 1024;
    /// Default of [`Limits::chunks`].
    pub const CHUNKS: u64 = 1 << 17;
    /// Default of [`Limits::content_bytes`]: 4 GiB.
    pub const CONTENT_BYTES: u64 = 4 << 30;
    /// Default of [`Limits::small_section_bytes`]: 64 MiB.
    pub const SMALL_SECTION_BYTES: u64 = 64 << 20;

    /// No limits, for bytes that the caller made itself.
    #[cfg(feature = "write")]
    pub(crate) const UNLIMITED: Limits = Limits {
        header_bytes: u64::MAX,
        signatures_bytes: u64::MAX,
        signatures: u64::MAX,
        sections: u64::MAX,
        chunks: u64::MAX,
        content_bytes: u64::MAX,
        small_section_bytes: u64::MAX,
    };

    /// Fails if `value` of the quantity `what` is above `limit`.
    pub(crate) fn check(what: Quantity, value: u64, limit: u64) -> Result<(), Error> {
        if value > limit { Err(Error::Limit { what, value, limit }) } else { Ok(()) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_bytes: Self::HEADER_BYTES,
            signatures_bytes: Self::SIGNATURES_BYTES,
            signatures: Self::SIGNATURES,
            sections: Self::SECTIONS,
            chunks: Self::CHUNKS,
            content_bytes: Self::CONTENT_BYTES,
            small_section_bytes: Self::SMALL_SECTION_BYTES,
        }
    }
}

/// What a limit counts: one per field of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// [`Limits::header_bytes`].
    HeaderBytes,
    /// [`Limits::signatures_bytes`].
    SignaturesBytes,
    /// [`Limits::signatures`].
    Signatures,
    /// [`Limits::sections`].
    Sections,
    /// [`Limits::chunks`].
    Chunks,
    /// [`Limits::content_bytes`].
    ContentBytes,
    /// [`Limits::small_section_bytes`].
    SmallSectionBytes,
}

impl core::fmt::Display for Quantity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Quantity::HeaderBytes => "size of the header in bytes",
            Quantity::SignaturesBytes => "size of the signature block in bytes",
            Quantity::Signatures => "number of signatures",
            Quantity::Sections => "number of sections",
            Quantity::Chunks => "number of chunks",
            Quantity::ContentBytes => "content of all sections in bytes",
            Quantity::SmallSectionBytes => "content of a section other than weights in bytes",
        })
    }
}
