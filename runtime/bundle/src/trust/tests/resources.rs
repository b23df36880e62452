//! Signatures over other things than bundles: the same rules, other names.

use super::fixtures::{HEADER_BYTES, Key, header};
use crate::error::{Error, SignatureBlockError};
use crate::limits::Limits;
use crate::trust::{
    Resources, SignatureFault, Trust, TrustError, decode_signatures, statement_over, statement_payload, verify_over,
};

const MANIFEST: &[u8] = b"the manifest";
const MODULE: &[u8] = b"all of it";

fn resources() -> Resources<'static> {
    Resources::of(&[("manifest", MANIFEST), ("module", MODULE)])
}

/// What a signature by key 1 over `signed` is worth for the resources of these tests.
fn judge(signed: &Resources<'_>) -> Result<(), TrustError> {
    let signature = Key::new(1).sign(&statement_over("magika", signed));
    verify_over(&resources(), &[signature], &Trust::Keys(vec![Key::new(1).public]), None).map(drop)
}

#[test]
fn a_statement_covers_these_resources_and_no_others() {
    let missing = |name: &str| SignatureFault::Missing { name: name.into() };
    let cases: [(&str, Resources<'_>, &str); 5] = [
        ("the same", resources(), "accepted"),
        ("other bytes", Resources::of(&[("manifest", MANIFEST), ("module", b"other")]), "`module` has SHA-256"),
        ("one less", Resources::of(&[("manifest", MANIFEST)]), &missing("module").to_string()),
        (
            "another name",
            Resources::of(&[("manifest", MANIFEST), ("component", MODULE)]),
            &missing("module").to_string(),
        ),
        (
            "one more",
            Resources::of(&[("manifest", MANIFEST), ("module", MODULE), ("more", b"")]),
            "it covers `more`, which is not in the bundle",
        ),
    ];
    for (name, signed, expected) in cases {
        let found = match judge(&signed) {
            Ok(()) => "accepted".to_string(),
            Err(TrustError::Signature { why, .. }) => why.to_string(),
            Err(other) => other.to_string(),
        };
        assert!(found.contains(expected), "{name}: expected {expected}, found {found}");
    }
}

#[test]
fn a_bundles_resources_are_its_sections_and_its_header() {
    let table = header();
    let resources = Resources::of_bundle(HEADER_BYTES, &table);
    assert_eq!(statement_over("magika", &resources), statement_payload("magika", HEADER_BYTES, &table));
}

#[test]
fn two_resources_of_one_name_are_refused() {
    let twice = Resources::of(&[("module", MODULE), ("module", b"other")]);
    let signature = Key::new(1).sign(&statement_over("magika", &twice));
    let found = verify_over(&twice, &[signature], &Trust::Keys(vec![Key::new(1).public]), None);
    assert_eq!(found, Err(TrustError::Signature { index: 0, why: SignatureFault::Ambiguous }));
}

#[test]
fn the_sizes_of_a_block_add_up() {
    let framing = Err(Error::SignatureBlock(SignatureBlockError::Framing));
    let cases: [(&str, &[u8], Result<usize, Error>); 6] = [
        ("none", b"\0\0\0\0", Ok(0)),
        ("one", b"\x01\0\0\0\x02\0\0\0{}", Ok(1)),
        ("no count", b"\0\0\0", framing.clone()),
        ("one is missing", b"\x01\0\0\0", framing.clone()),
        ("cut", b"\x01\0\0\0\x03\0\0\0{}", framing.clone()),
        ("something follows", b"\x01\0\0\0\x02\0\0\0{} ", framing),
    ];
    for (name, block, expected) in cases {
        let found = decode_signatures(block, &Limits::default()).map(|signatures| signatures.len());
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{name}");
    }
    let many = decode_signatures(b"\xff\xff\xff\xff", &Limits::default());
    assert!(matches!(many, Err(Error::Limit { .. })), "{many:?}");
}
