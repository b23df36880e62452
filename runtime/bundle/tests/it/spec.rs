//! SPEC.md and the code say the same.

use std::collections::BTreeMap;

use pannier_bundle::header::{
    ALIGNMENT_BYTES, CHUNK_CONTENT_BYTES_MAX, Kind, MAGIC, NAME_BYTES_MAX, PLANES_MAX, PREAMBLE_BYTES, WINDOW_BYTES_MAX,
};
use pannier_bundle::{Code, Header, Limits, MODEL_NAME_BYTES_MAX, Manifest, trust};

use crate::cases;

const SPEC: &str = include_str!("../../SPEC.md");

/// The rows of the tables under a heading, cells trimmed and without back-quotes.
///
/// What sections 6.2 to 6.10 say of programs is for the tests of what reads programs.
fn rows(heading: &str) -> impl Iterator<Item = Vec<String>> {
    let (_, after) = SPEC.split_once(&format!("\n{heading}")).unwrap();
    rows_of(after.split("\n#").next().unwrap())
}

fn rows_of(text: &str) -> impl Iterator<Item = Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    text.lines().filter(|line| line.starts_with('|')).map(cells)
}

#[test]
fn constants_and_limits_are_those_of_the_code() {
    let in_code: [(&str, u64); 16] = [
        ("PREAMBLE_BYTES", PREAMBLE_BYTES as u64),
        ("HEADER_VERSION", Header::VERSION.into()),
        ("MANIFEST_VERSION", Manifest::VERSION.into()),
        ("ALIGNMENT_BYTES", ALIGNMENT_BYTES as u64),
        ("CHUNK_CONTENT_BYTES_MAX", CHUNK_CONTENT_BYTES_MAX.into()),
        ("PLANES_MAX", PLANES_MAX as u64),
        ("WINDOW_BYTES_MAX", WINDOW_BYTES_MAX),
        ("NAME_BYTES_MAX", NAME_BYTES_MAX as u64),
        ("MODEL_NAME_BYTES_MAX", MODEL_NAME_BYTES_MAX as u64),
        ("HEADER_BYTES", Limits::HEADER_BYTES),
        ("SIGNATURES_BYTES", Limits::SIGNATURES_BYTES),
        ("SIGNATURES", Limits::SIGNATURES),
        ("SECTIONS", Limits::SECTIONS),
        ("CHUNKS", Limits::CHUNKS),
        ("CONTENT_BYTES", Limits::CONTENT_BYTES),
        ("SMALL_SECTION_BYTES", Limits::SMALL_SECTION_BYTES),
    ];
    let is_constant = |name: &str| name.len() > 3 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let in_spec: BTreeMap<String, u64> = rows("### 1.3")
        .chain(rows("## 10."))
        .filter(|row| is_constant(&row[0]))
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect();
    let in_code: BTreeMap<String, u64> = in_code.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    assert_eq!(in_spec, in_code);
    assert_eq!(Limits::SIGNATURES, trust::MAX_SIGNATURES as u64);
}

#[test]
fn kinds_are_those_of_the_code() {
    let in_spec: Vec<(u8, String, bool)> = rows("## 6.")
        .filter(|row| row.len() == 4 && matches!(row[2].as_str(), "yes" | "no"))
        .map(|row| (row[0].parse().unwrap(), row[1].clone(), row[2] == "yes"))
        .collect();
    let in_code: Vec<(u8, String, bool)> =
        Kind::ALL.iter().map(|(_, number, word, numbered)| (*number, word.to_string(), *numbered)).collect();
    assert_eq!(in_spec, in_code);
}

#[test]
fn error_codes_are_those_of_the_vectors() {
    let in_spec: Vec<String> = rows("## 9.").map(|row| row[0].clone()).filter(|cell| cell.starts_with("E_")).collect();
    for name in &in_spec {
        assert!(Code::from_name(name).is_some(), "{name} is no code");
    }
    let vectors = cases::all();
    for name in &in_spec {
        assert!(vectors.iter().any(|case| case.code.map(Code::name) == Some(name)), "no vector gives {name}");
    }
    for code in vectors.iter().filter_map(|case| case.code) {
        assert!(in_spec.iter().any(|name| name == code.name()), "{code} is not in SPEC.md");
    }
}

#[test]
fn fixed_texts_are_those_of_the_code() {
    let magic: Vec<String> = MAGIC.iter().map(|byte| format!("{byte:02x}")).collect();
    let texts = [
        magic.join(" "),
        trust::PAYLOAD_TYPE.to_string(),
        trust::PREDICATE_TYPE.to_string(),
        format!("as a file `{}`", trust::HEADER_NAME),
        format!("DSSEv1 {} {}", trust::PAYLOAD_TYPE.len(), trust::PAYLOAD_TYPE),
    ];
    for text in texts {
        assert!(SPEC.contains(&text), "{text}");
    }
}

#[test]
fn the_worked_example_is_the_vector() {
    let path = crate::vectors::folder().join("valid/minimal.pannier");
    let (_, example) = SPEC.split_once("### 13.1").unwrap();
    let (dump, explained) = example.split("```text").nth(1).unwrap().split_once("```").unwrap();
    let (explained, _) = explained.split_once("\n#").unwrap();
    let bytes = dump.lines().flat_map(|line| line.split_whitespace().skip(1));
    let bytes: Vec<u8> = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert_eq!(bytes, std::fs::read(path).unwrap());
    // The ranges that are explained follow each other from the first byte to the last.
    let mut next = 0;
    for row in rows_of(explained).skip(2) {
        let (from, to) = row[0].split_once('-').unwrap_or((&row[0], &row[0]));
        let [from, to] = [from, to].map(|place| usize::from_str_radix(place, 16).unwrap());
        assert_eq!(from, next, "{row:?}");
        next = to + 1;
    }
    assert_eq!(next, bytes.len());
}
