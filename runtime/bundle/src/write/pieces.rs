//! Where sections are cut into chunks.

use alloc::vec::Vec;

use super::{SectionContent, refused};
use crate::error::Error;
use crate::header::{CHUNK_CONTENT_BYTES_MAX, Kind, size};

/// Tensors are put together into one chunk until it has this many bytes: smaller chunks cost more in the table and in
/// tables of the codec than they gain.
pub const MERGE_BYTES: usize = 64 << 10;

/// What becomes one chunk.
pub(super) struct Piece<'a> {
    /// Index of the section in the order of the file.
    pub(super) section: usize,
    /// Name of the section.
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) element_bytes: u8,
}

/// Cuts every section, in order.
pub(super) fn cut<'a>(sections: &'a [(Kind, SectionContent<'_>)]) -> Result<Vec<Piece<'a>>, Error> {
    let mut pieces = Vec::new();
    for (index, (_, section)) in sections.iter().enumerate() {
        if !matches!(section.element_bytes, 1 | 2 | 4 | 8) {
            return Err(refused(section, "the element width is not 1, 2, 4 or 8"));
        }
        let mut rest = &*section.bytes;
        for length in lengths(section)? {
            let (bytes, after) = rest.split_at(length);
            rest = after;
            pieces.push(Piece { section: index, name: &section.name, bytes, element_bytes: section.element_bytes });
        }
    }
    Ok(pieces)
}

/// The lengths of a section's chunks.
fn lengths(section: &SectionContent<'_>) -> Result<Vec<usize>, Error> {
    let max = size(CHUNK_CONTENT_BYTES_MAX);
    let end = section.bytes.len();
    let mut lengths = Vec::new();
    let mut start = 0;
    let mut cuts = Vec::new();
    for cut in &section.cuts {
        let cut = usize::try_from(*cut).unwrap_or(usize::MAX);
        if cut > end || cuts.last().is_some_and(|last| *last > cut) {
            return Err(refused(section, "the cuts are not ascending places in the section"));
        }
        cuts.push(cut);
    }
    cuts.push(end);
    for cut in cuts {
        while cut - start > max {
            lengths.push(max);
            start += max;
        }
        if cut - start >= MERGE_BYTES || (cut == end && cut > start) {
            lengths.push(cut - start);
            start = cut;
        }
    }
    Ok(lengths)
}
