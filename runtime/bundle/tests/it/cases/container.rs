//! Files whose preamble, table, signature block or padding breaks a rule.

use pannier_bundle::header::{Chunk, Codec, Header, Kind, Plane};
use pannier_bundle::{Code, Section, encode_versioned};

use super::{Case, unsigned};
use crate::support::{content, file, file_with_block, lay_out, manifest, parts, sealed_with, section, sha256};

pub fn cases() -> Vec<Case> {
    let corrupt = |name: &str, why, bytes| unsigned(&format!("invalid/{name}"), Code::Corrupt, why, bytes);
    let limit = |name: &str, why, bytes| unsigned(&format!("invalid/{name}"), Code::Limit, why, bytes);
    let truncated = |name: &str, why, bytes| unsigned(&format!("invalid/{name}"), Code::Truncated, why, bytes);
    let version = |name: &str, why, bytes| unsigned(&format!("invalid/{name}"), Code::UnsupportedVersion, why, bytes);
    let table = |name: &str, why, change: fn(&mut Header)| corrupt(name, why, with_table(change));
    let start = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut file = whole();
        file[range].copy_from_slice(bytes);
        file
    };
    vec![
        // Preamble.
        truncated("empty-file", "a file without a byte", Vec::new()),
        truncated("short-preamble", "the file ends within the preamble", whole()[..20].to_vec()),
        truncated("short-header", "the file ends within the header", whole()[..60].to_vec()),
        truncated("short-body", "the last byte is missing", whole()[..whole().len() - 1].to_vec()),
        corrupt("magic", "another magic", start(0..8, b"PANNIES\x01")),
        version("format-version", "the magic of another format version", start(0..8, b"PANNIER\x02")),
        corrupt("trailing-byte", "a byte after the end", [whole(), vec![0]].concat()),
        limit("header-length", "a header of 4 GiB is claimed", start(8..12, &[0xff; 4])),
        limit("signatures-length", "a signature block of 4 GiB is claimed", start(12..16, &[0xff; 4])),
        corrupt("length-overflow", "the lengths add up to more than 64 bits", start(16..24, &[0xff; 8])),
        // Signature block.
        corrupt("block-digest", "the digest of the block differs", {
            let mut file = whole();
            let end = file.len() - parts(&sealed()).1.len();
            file[end - 1] ^= 1;
            file
        }),
        corrupt("block-empty", "the signature block is too short for its digest", {
            let (header, body) = parts(&sealed());
            let mut file = file(&header.encode(), &body, &[]);
            let offset = 24 + header.encode().len();
            file.drain(offset..offset + 36);
            file[12..16].copy_from_slice(&[0; 4]);
            file
        }),
        corrupt("block-count", "more signatures are claimed than there are", {
            let (header, body) = parts(&sealed());
            file_with_block(&header.encode(), &body, &1_u32.to_le_bytes())
        }),
        corrupt("block-rest", "something follows the last signature", {
            let (header, body) = parts(&sealed());
            file_with_block(&header.encode(), &body, &[0; 5])
        }),
        corrupt("block-length", "a signature is longer than the block", {
            let (header, body) = parts(&sealed());
            file_with_block(&header.encode(), &body, &[[1, 0, 0, 0], [0xff; 4]].concat())
        }),
        limit("block-billion", "a billion signatures are claimed", {
            let (header, body) = parts(&sealed());
            file_with_block(&header.encode(), &body, &1_000_000_000_u32.to_le_bytes())
        }),
        // Encoding of the table.
        version("header-version", "another version of the header", {
            let (header, body) = parts(&sealed());
            file(&encode_versioned(2, &header), &body, &[])
        }),
        corrupt("header-trailing", "a byte after the table", {
            let (header, body) = parts(&sealed());
            file(&[header.encode(), vec![0]].concat(), &body, &[])
        }),
        corrupt("header-short", "the table ends early", {
            let (header, body) = parts(&sealed());
            let bytes = header.encode();
            file(&bytes[..bytes.len() - 1], &body, &[])
        }),
        corrupt("header-varint", "a number of the table is longer than it needs to be", {
            let (header, body) = parts(&sealed());
            let mut bytes = header.encode();
            assert_eq!(bytes[2], 2, "the number of sections");
            bytes.splice(2..3, [0x82, 0x00]);
            file(&bytes, &body, &[])
        }),
        corrupt("header-bool", "a flag that is neither 0 nor 1", {
            let (header, body) = parts(&sealed());
            let mut bytes = header.encode();
            let flag = 2 + 1 + 1 + 1 + "manifest".len();
            assert_eq!(bytes[flag], 1, "the manifest is critical");
            bytes[flag] = 2;
            file(&bytes, &body, &[])
        }),
        corrupt("header-codec", "a codec that does not exist", {
            let (header, body) = parts(&sealed());
            let mut bytes = header.encode();
            let end = bytes.len() - 2;
            assert_eq!(bytes[end], 0, "the last plane is raw");
            bytes[end] = 2;
            file(&bytes, &body, &[])
        }),
        limit("sections-billion", "a table of a billion sections in a few bytes", {
            let (_, body) = parts(&sealed());
            file(&encode_versioned(Header::VERSION, &1_000_000_000_u64), &body, &[])
        }),
        corrupt("chunks-billion", "a section of a billion chunks in a few bytes", {
            let (header, body) = parts(&sealed());
            let mut bytes = header.encode();
            let last = Header { sections: vec![Section { chunks: Vec::new(), ..header.sections[1].clone() }] }.encode();
            bytes.truncate(bytes.len() - (header_of(&header.sections[1]) - (last.len() - 3)));
            bytes.pop();
            bytes.extend(&encode_versioned(0, &1_000_000_000_u64)[2..]);
            file(&bytes, &body, &[])
        }),
        corrupt(
            "nine-planes",
            "more planes than a chunk can have",
            with_table(|header| {
                header.sections[1].chunks[0].planes = vec![Plane { codec: Codec::Raw, stored_bytes: 1 }; 9];
            }),
        ),
        // Names.
        table("duplicate-name", "two sections of one name", |header| {
            let copy = header.sections[1].clone();
            header.sections.push(copy);
        }),
        table("name-parent", "a name that leaves the folder", |header| header.sections[1].name = "../card".into()),
        table("name-absolute", "an absolute path as a name", |header| header.sections[1].name = "/card".into()),
        table("name-backslash", "a path of Windows as a name", |header| header.sections[1].name = "..\\card".into()),
        table("name-drive", "a drive letter in a name", |header| header.sections[1].name = "c:card".into()),
        table("name-nul", "a NUL in a name", |header| header.sections[1].name = "card\0".into()),
        table("name-case", "an upper case letter in a name", |header| header.sections[1].name = "Card".into()),
        table("name-empty", "an empty name", |header| header.sections[1].name = String::new()),
        table("name-deep", "a name of three parts", |header| header.sections[1].name = "card/0/0".into()),
        table("name-dot", "a name that is a folder", |header| header.sections[1].name = ".".into()),
        table("name-unicode", "a letter outside ASCII", |header| header.sections[1].name = "cárd".into()),
        table("name-long", "a name over the maximum length", |header| header.sections[1].name = "c".repeat(49)),
        table("name-device", "a device of Windows as a name", |header| unknown(header, "con")),
        table("name-header", "the name that signatures use for the table", |header| unknown(header, "header")),
        table("number-leading-zero", "a number with a leading zero", |header| numbered(header, "weights/00")),
        table("number-sign", "a number with a sign", |header| numbered(header, "weights/+0")),
        table("number-gap", "numbers that do not count from zero", |header| numbered(header, "weights/1")),
        // Kinds and order.
        table("kind-zero", "the kind 0", |header| header.sections[1].kind = Kind::Unknown(0)),
        table("kind-mismatch", "a name of one kind under the number of another", |header| {
            header.sections[1].kind = Kind::Bom
        }),
        table("kind-unnumbered", "weights without a number", |header| numbered(header, "weights")),
        table("kind-stolen-name", "a known name under an unknown kind", |header| {
            header.sections[1].kind = Kind::Unknown(99);
        }),
        table("no-sections", "an empty table", |header| header.sections.clear()),
        corrupt("no-manifest", "a bundle without a manifest", {
            let (mut header, body) = parts(&sealed());
            header.sections.remove(0);
            header.sections[0].offset = 0;
            file(&header.encode(), &body[128..], &[])
        }),
        corrupt("order", "sections out of order", out_of_order()),
        corrupt("word-shared", "one word as a section's name and as a folder", {
            let first = section(Kind::Unknown(20), "notes", Codec::Raw, b"a", b"a");
            let second = section(Kind::Unknown(21), "notes/0", Codec::Raw, b"b", b"b");
            let (header, body) = lay_out(vec![(first, b"a".into()), (second, b"b".into())]);
            file(&header.encode(), &body, &[])
        }),
        version(
            "critical-unknown",
            "a critical section of an unknown kind",
            with_table(|header| {
                unknown(header, "encrypted");
                header.sections[1].critical = true;
            }),
        ),
        // Places and sizes.
        table("overlap", "a section that begins in the one before it", |header| header.sections[1].offset = 64),
        table("hole", "more padding than needed", |header| header.sections[1].offset += 64),
        table("misaligned", "a section that is not aligned", |header| header.sections[1].offset += 1),
        table("offset-overflow", "an offset near 2^64", |header| header.sections[1].offset = u64::MAX - 63),
        table("stored-mismatch", "a section longer than its chunks", |header| header.sections[1].stored_bytes += 1),
        table("stored-overflow", "a stored length of 2^64 - 1", |header| header.sections[1].stored_bytes = u64::MAX),
        table("content-mismatch", "content longer than its chunks", |header| header.sections[1].content_bytes += 1),
        limit(
            "content-huge",
            "2^40 bytes of content in a small file",
            with_table(|header| {
                header.sections[1].content_bytes = 1 << 40;
            }),
        ),
        corrupt(
            "content-overflow",
            "content sizes that add up to more than 64 bits",
            with_table(|header| {
                header.sections[1].content_bytes = u64::MAX;
            }),
        ),
        corrupt("body-longer", "a body that is longer than its sections", {
            let (header, body) = parts(&sealed());
            file(&header.encode(), &[body, vec![0; 64]].concat(), &[])
        }),
        corrupt("body-shorter", "a body that is shorter than its sections", {
            let (header, body) = parts(&sealed());
            file(&header.encode(), &body[..body.len() - 1], &[])
        }),
        corrupt("padding", "padding that is not zero", {
            let (header, mut body) = parts(&sealed());
            body[header.sections[1].offset as usize - 1] = 1;
            file(&header.encode(), &body, &[])
        }),
        // Chunks.
        table("chunk-empty", "a chunk without content", |header| {
            let empty = Chunk {
                content_bytes: 0,
                sha256: sha256(b""),
                planes: vec![Plane { codec: Codec::Raw, stored_bytes: 0 }],
            };
            header.sections[1].chunks.push(empty);
        }),
        table("chunk-large", "a chunk of more than 1 MiB of content", |header| {
            let section = &mut header.sections[1];
            section.chunks[0].content_bytes = (1 << 20) + 1;
            section.content_bytes = (1 << 20) + 1;
        }),
        table("planes-none", "a chunk without planes", |header| header.sections[1].chunks[0].planes.clear()),
        table("planes-three", "three planes", |header| {
            let section = &mut header.sections[1];
            section.chunks[0].planes = vec![Plane { codec: Codec::Raw, stored_bytes: 4 }; 3];
            section.chunks[0].content_bytes = 12;
            section.content_bytes = 12;
            section.stored_bytes = 12;
        }),
        table("planes-uneven", "two planes of an odd number of bytes", |header| {
            header.sections[1].chunks[0].planes = vec![Plane { codec: Codec::Raw, stored_bytes: 6 }; 2];
        }),
        table("plane-raw-short", "a raw plane that is shorter than the content", |header| {
            header.sections[1].chunks[0].planes[0].stored_bytes -= 1;
            header.sections[1].stored_bytes -= 1;
        }),
        table("plane-not-smaller", "a compressed plane as long as the content", |header| {
            header.sections[1].chunks[0].planes[0].codec = Codec::Zstd;
        }),
        corrupt("chunk-digest", "a stored byte differs", {
            let (header, mut body) = parts(&sealed());
            *body.last_mut().unwrap() ^= 1;
            file(&header.encode(), &body, &[])
        }),
        corrupt("chunk-order", "two chunks changed places", {
            let mut card = section(Kind::Card, "card", Codec::Raw, b"12", b"12");
            card.chunks =
                [b"2", b"1"].map(|bytes| section(Kind::Card, "", Codec::Raw, bytes, bytes).chunks.remove(0)).into();
            let (header, body) = lay_out(vec![(card, b"12".into())]);
            file(&header.encode(), &body, &[])
        }),
        table("content-digest", "the digest of the content differs, those of the chunks do not", |header| {
            // The bundle id is over content digests: one section without influence on it is the manifest itself.
            header.sections[0].sha256[0] ^= 1;
        }),
    ]
}

/// A manifest and a card of 13 bytes, stored as they are.
fn sealed() -> pannier_bundle::write::Sealed {
    let mut manifest = manifest("container", "1.0.0");
    manifest.description = "the smallest bundle that a table's rules can be broken in".into();
    sealed_with(manifest, vec![content("card", "thirteen byte", 1)])
}

fn whole() -> Vec<u8> {
    sealed().assemble(&[]).unwrap()
}

fn with_table(change: fn(&mut Header)) -> Vec<u8> {
    let (mut header, body) = parts(&sealed());
    change(&mut header);
    file(&header.encode(), &body, &[])
}

fn unknown(header: &mut Header, name: &str) {
    header.sections[1].kind = Kind::Unknown(99);
    header.sections[1].name = name.into();
}

fn numbered(header: &mut Header, name: &str) {
    header.sections[1].kind = Kind::Weights;
    header.sections[1].name = name.into();
}

/// Size of a section's entry in the table.
fn header_of(section: &Section) -> usize {
    Header { sections: vec![section.clone()] }.encode().len() - 3
}

fn out_of_order() -> Vec<u8> {
    let card = section(Kind::Card, "card", Codec::Raw, b"a", b"a");
    let graph = section(Kind::Graph, "graph", Codec::Raw, b"b", b"b");
    let (header, body) = lay_out(vec![(card, b"a".into()), (graph, b"b".into())]);
    file(&header.encode(), &body, &[])
}
