//! Every test vector gives its code, whichever way it is read, and the files are what the generator writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use pannier_bundle::{Decoder, Limits};

use crate::cases::{self, Case};
use crate::support::{WAYS, read_all};

/// Asked at run time: two checkouts that share a target folder may share this program, too.
pub fn folder() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).join("../../tests/vectors/v1")
}

#[test]
fn every_vector_gives_its_code() {
    let mut wrong = Vec::new();
    for case in cases::all() {
        let mut messages = BTreeSet::new();
        for decoder in [Decoder::native(), Decoder::portable()] {
            for way in WAYS {
                let outcome = read_all(&case.bytes, &case.trust.trust(), &Limits::default(), decoder, *way);
                let code = outcome.as_ref().err().map(|error| error.code());
                messages.extend(outcome.as_ref().err().map(ToString::to_string));
                if code != case.code {
                    let Case { file, code: expected, why, .. } = &case;
                    wrong.push(format!("{file} ({why}), {decoder:?}, {way:?}: {outcome:?}, expected {expected:?}"));
                }
            }
        }
        if messages.len() > 1 {
            wrong.push(format!("{}: {messages:?}", case.file));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_invalid_vector_breaks_one_rule_that_a_valid_one_keeps() {
    // The same trust that refuses an invalid vector accepts a valid one.
    let cases = cases::all();
    for case in &cases {
        let accepted = cases.iter().any(|other| other.code.is_none() && other.trust == case.trust);
        assert!(accepted || case.file.contains("expired"), "{}: nothing is accepted with this trust", case.file);
    }
}

#[test]
fn the_committed_vectors_are_what_the_generator_writes() {
    let mut expected: BTreeSet<String> = BTreeSet::new();
    let mut wrong = Vec::new();
    let all = cases::all();
    let files = all.iter().map(|case| (case.file.clone(), case.bytes.clone()));
    let texts = cases::companions().into_iter().map(|(name, text)| (name.to_string(), text.into_bytes()));
    let index = [("manifest.json".to_string(), cases::manifest_json(&all).into_bytes())];
    for (name, bytes) in files.chain(texts).chain(index) {
        if fs::read(folder().join(&name)).ok().as_ref() != Some(&bytes) {
            wrong.push(name.clone());
        }
        assert!(expected.insert(name.clone()), "{name} occurs twice");
    }
    for part in ["valid", "invalid", "invalid-semantics"] {
        for entry in fs::read_dir(folder().join(part)).into_iter().flatten() {
            let name = format!("{part}/{}", entry.unwrap().file_name().to_string_lossy());
            if !expected.contains(&name) {
                wrong.push(format!("{name}, which nothing writes"));
            }
        }
    }
    assert!(wrong.is_empty(), "run `cargo run -p pannier-bundle --example vectors`: {}", wrong.join(", "));
}
