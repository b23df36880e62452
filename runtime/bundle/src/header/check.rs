//! The rules of the section table.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserializer;
use serde::de::{Error as _, SeqAccess, Visitor};

use super::{
    ALIGNMENT_BYTES, CHUNK_CONTENT_BYTES_MAX, Chunk, Codec, Header, Kind, NAME_BYTES_MAX, PLANES_MAX, Plane, Section,
    bytes, size,
};
use crate::error::{ChunkError, Error, HeaderError, SectionError};
use crate::limits::{Limits, Quantity};

/// Names that an unpacked bundle cannot hold as files: the section table's own, and Windows' devices.
const RESERVED_WORDS: &[&str] = &["header", "con", "prn", "aux", "nul"];

pub(super) fn table(header: &Header, body_bytes: u64, limits: &Limits) -> Result<(), Error> {
    let sections = &header.sections;
    Limits::check(Quantity::Sections, bytes(sections.len()), limits.sections)?;
    let chunks = sections.iter().map(|section| bytes(section.chunks.len())).sum();
    Limits::check(Quantity::Chunks, chunks, limits.chunks)?;

    let mut end = 0_u64;
    let mut content = 0_u64;
    let mut before: Option<&Section> = None;
    let mut names = BTreeSet::new();
    let mut words = BTreeSet::new();
    for section in sections {
        // A word of two kinds would be a file and a folder of one name in an unpacked bundle.
        let word = section.name.split('/').next();
        let other_kind = before.is_none_or(|before| before.kind != section.kind);
        if !names.insert(section.name.as_str()) || (!words.insert(word) && other_kind) {
            return Err(wrong(section, SectionError::Duplicate));
        }
        content = content.checked_add(section.content_bytes).ok_or(HeaderError::Overflow)?;
        Limits::check(Quantity::ContentBytes, content, limits.content_bytes)?;
        if section.kind != Kind::Weights {
            Limits::check(Quantity::SmallSectionBytes, section.content_bytes, limits.small_section_bytes)?;
        }
        check_name_and_kind(section)?;
        check_order(before, section)?;
        check_chunks(section)?;
        let expected = end.checked_next_multiple_of(bytes(ALIGNMENT_BYTES)).ok_or(HeaderError::Overflow)?;
        if section.offset != expected {
            return Err(wrong(section, SectionError::Offset { expected, actual: section.offset }));
        }
        end = expected.checked_add(section.stored_bytes).ok_or(HeaderError::Overflow)?;
        before = Some(section);
    }
    if sections.first().is_none_or(|section| section.kind != Kind::Manifest) {
        return Err(HeaderError::NoManifest.into());
    }
    if end != body_bytes {
        return Err(HeaderError::BodySize { expected_bytes: end, actual_bytes: body_bytes }.into());
    }
    // Last, so that damage is called damage even where it happens to make a section look new.
    let unknown = |section: &&Section| section.critical && matches!(section.kind, Kind::Unknown(_));
    if let Some(section) = sections.iter().find(unknown) {
        return Err(Error::UnknownCritical { name: section.name.clone(), kind: section.kind.into() });
    }
    Ok(())
}

/// `word` or `word/number`: a word is `a-z` and then `a-z 0-9 _ -`; a number has no leading zero.
pub(super) fn parse_name(name: &str) -> Option<(&str, Option<u32>)> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let (word, number) = match name.split_once('/') {
        Some((word, digits)) => {
            let number: u32 = digits.parse().ok()?;
            let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            (word, canonical.then_some(Some(number))?)
        }
        None => (name, None),
    };
    let mut letters = word.bytes();
    let starts = letters.next().is_some_and(|b| b.is_ascii_lowercase());
    let continues = letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    let device = word.len() == 4 && (word.starts_with("com") || word.starts_with("lpt"));
    (starts && continues && !device && !RESERVED_WORDS.contains(&word)).then_some((word, number))
}

fn check_name_and_kind(section: &Section) -> Result<(), Error> {
    let (word, number) = parse_name(&section.name).ok_or_else(|| wrong(section, SectionError::Name))?;
    let known = Kind::ALL.iter().find(|(kind, _, known, _)| *kind == section.kind || *known == word);
    let fits = match (section.kind, known) {
        (Kind::Unknown(0), _) => false,
        (kind, Some((wants, _, known, numbered))) => kind == *wants && word == *known && number.is_some() == *numbered,
        (kind, None) => matches!(kind, Kind::Unknown(_)),
    };
    if fits { Ok(()) } else { Err(wrong(section, SectionError::Kind { kind: section.kind.into() })) }
}

/// Kinds ascend; within a kind the word is one and the numbers count from zero.
fn check_order(before: Option<&Section>, section: &Section) -> Result<(), Error> {
    let order = || wrong(section, SectionError::Order);
    let (word, number) = parse_name(&section.name).ok_or_else(order)?;
    let same_kind = before.filter(|before| before.kind == section.kind);
    let expected = match same_kind.map(|before| parse_name(&before.name)) {
        None => {
            let rises = before.is_none_or(|before| u8::from(before.kind) < u8::from(section.kind));
            rises.then_some(0)
        }
        Some(Some((before, Some(last)))) if before == word => last.checked_add(1),
        Some(_) => None,
    };
    match (expected, number) {
        (Some(expected), Some(number)) if number == expected => Ok(()),
        (Some(0), None) => Ok(()),
        _ => Err(order()),
    }
}

fn check_chunks(section: &Section) -> Result<(), Error> {
    let mut stored = 0_u64;
    let mut content = 0_u64;
    for (index, chunk) in section.chunks.iter().enumerate() {
        check_chunk(chunk).map_err(|why| Error::Chunk { section: section.name.clone(), chunk: index, why })?;
        stored = stored.checked_add(bytes(chunk.stored_bytes())).ok_or(HeaderError::Overflow)?;
        content = content.checked_add(chunk.content_bytes.into()).ok_or(HeaderError::Overflow)?;
    }
    if stored != section.stored_bytes {
        return Err(wrong(section, SectionError::StoredBytes { expected: section.stored_bytes, actual: stored }));
    }
    if content != section.content_bytes {
        return Err(wrong(section, SectionError::ContentBytes { expected: section.content_bytes, actual: content }));
    }
    Ok(())
}

fn check_chunk(chunk: &Chunk) -> Result<(), ChunkError> {
    let content_bytes = chunk.content_bytes;
    if content_bytes == 0 || content_bytes > CHUNK_CONTENT_BYTES_MAX {
        return Err(ChunkError::ContentBytes { content_bytes });
    }
    let planes = chunk.planes.len();
    if !matches!(planes, 1 | 2 | 4 | 8) || !size(content_bytes).is_multiple_of(planes) {
        return Err(ChunkError::Planes { planes, content_bytes });
    }
    let plane_bytes = chunk.plane_bytes();
    for (index, plane) in chunk.planes.iter().enumerate() {
        let stored = size(plane.stored_bytes);
        let fits = match plane.codec {
            Codec::Raw => stored == plane_bytes,
            Codec::Zstd => stored > 0 && stored < plane_bytes,
        };
        if !fits {
            return Err(ChunkError::PlaneBytes { plane: index, stored_bytes: plane.stored_bytes });
        }
    }
    Ok(())
}

/// Planes as they are on the wire, but never more than a chunk can have: a plane takes four times as much memory as it
/// takes bytes.
pub(super) fn at_most_eight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Plane>, D::Error> {
    struct Planes;
    impl<'de> Visitor<'de> for Planes {
        type Value = Vec<Plane>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("at most 8 planes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Plane>, A::Error> {
            let mut planes = Vec::new();
            while let Some(plane) = sequence.next_element()? {
                if planes.len() == PLANES_MAX {
                    return Err(A::Error::custom("more than 8 planes"));
                }
                planes.push(plane);
            }
            Ok(planes)
        }
    }
    deserializer.deserialize_seq(Planes)
}

fn wrong(section: &Section, why: SectionError) -> Error {
    Error::Section { section: section.name.clone(), why }
}
