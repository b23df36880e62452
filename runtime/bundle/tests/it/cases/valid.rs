//! Files that every reader must accept.

use pannier_bundle::header::{Codec, Kind};

use super::{APPROVER, Case, PUBLISHER, STRANGER, TrustMode, unsigned};
use crate::support::{content, file, floats, key, lay_out, manifest, sample, sealed_with, section, signed};

pub fn cases() -> Vec<Case> {
    let with_trust = |trust, case: Case| Case { trust, ..case };
    let [publisher, approver, stranger] = [PUBLISHER, APPROVER, STRANGER].map(key);
    vec![
        unsigned("valid/minimal", None, "a manifest is enough", {
            sealed_with(manifest("tiny", "0.1.0"), Vec::new()).assemble(&[]).unwrap()
        }),
        unsigned("valid/every-kind", None, "one section of every kind, in the order of the file", every_kind()),
        unsigned("valid/planes", None, "1, 2, 4 and 8 planes, raw and compressed", planes()),
        unsigned("valid/empty-section", None, "a section without content has no chunks", {
            sealed_with(manifest("empty", "1.0.0"), vec![content("card", "", 1), content("bom", "{}", 1)])
                .assemble(&[])
                .unwrap()
        }),
        unsigned("valid/unknown-optional", None, "an unknown section that is not critical is of no concern", {
            let (header, body) =
                lay_out(vec![(section(Kind::Unknown(40), "licences/0", Codec::Raw, b"text", b"text"), b"text".into())]);
            file(&header.encode(), &body, &[])
        }),
        unsigned("valid/window-descriptor", None, "a zstd frame may state its window instead of being one segment", {
            // Magic, descriptor (2-byte content size), window of 1 KiB, 300 bytes: a repeated byte.
            let frame =
                [0x28, 0xb5, 0x2f, 0xfd, 0x40, 0x00, 44, 0, 0b11 | (300_u16 << 3) as u8, (300_u16 >> 5) as u8, 0, 7];
            let section = section(Kind::Card, "card", Codec::Zstd, &frame, &[7; 300]);
            let (header, body) = lay_out(vec![(section, frame.to_vec())]);
            file(&header.encode(), &body, &[])
        }),
        with_trust(
            TrustMode::Publisher,
            unsigned("valid/signed", None, "the publisher signed", signed(&sample(), &[&publisher])),
        ),
        with_trust(
            TrustMode::Publisher,
            unsigned(
                "valid/signed-second",
                None,
                "a signature by a stranger before the publisher's changes nothing",
                signed(&sample(), &[&stranger, &publisher]),
            ),
        ),
        with_trust(
            TrustMode::Policy,
            unsigned(
                "valid/policy",
                None,
                "publisher and approver signed, and the version is the lowest that is allowed",
                signed(&sample(), &[&publisher, &approver]),
            ),
        ),
    ]
}

fn every_kind() -> Vec<u8> {
    let names = [
        "graph",
        "golden",
        "labels",
        "baseline",
        "card",
        "bom",
        "attestation/0",
        "attestation/1",
        "quantization",
        "weights/0",
        "weights/1",
    ];
    // The writer sorts.
    let sections = names.iter().rev().map(|name| content(name, format!("the content of {name}"), 1)).collect();
    sealed_with(manifest("every-kind", "1.0.0"), sections).assemble(&[]).unwrap()
}

fn planes() -> Vec<u8> {
    let halves: Vec<u8> = (0..600_u32).flat_map(|i| [(i.wrapping_mul(2_654_435_761) >> 13) as u8, 0x3c]).collect();
    let mut singles = content("weights/2", floats(600), 4);
    singles.cuts = vec![0, 800];
    let doubles: Vec<u8> = floats(300)
        .chunks(4)
        .flat_map(|f| f64::from(f32::from_le_bytes(f.try_into().unwrap())).to_le_bytes())
        .collect();
    let sections = vec![
        content("weights/0", [1, 0, 0, 1].repeat(100), 1),
        content("weights/1", halves, 2),
        singles,
        content("weights/3", doubles, 8),
    ];
    sealed_with(manifest("planes", "1.0.0"), sections).assemble(&[]).unwrap()
}
