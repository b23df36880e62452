//! Hostile signature documents and statements.

use super::fixtures::{HEADER_BYTES, Key, header, judge, payload, report};
use crate::Code;
use crate::trust::{
    MAX_DOCUMENT_BYTES, SignatureFault, Trust, TrustError, pae, sigstore_bundle, statement_payload, verify,
};
use base64ct::{Base64, Encoding};
use proptest::prelude::*;
use serde_json::{Value, json};

const WRONG_TYPE: &str = "application/vnd.in-toto+yaml";

/// The document of a good signature, changed by hand.
fn document(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(&Key::new(1).sign_bundle()).unwrap();
    change(&mut document);
    document.to_string().into_bytes()
}

/// A validly signed statement that was changed by hand.
fn statement(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut statement: Value = serde_json::from_slice(&payload()).unwrap();
    change(&mut statement);
    Key::new(1).sign(statement.to_string().as_bytes())
}

/// Like [`statement`], with a subject digest that fits the changed resources.
fn consistent(change: impl FnOnce(&mut Vec<Value>)) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    statement(|statement| {
        let resources = statement["predicate"]["resources"].as_array_mut().unwrap();
        change(resources);
        let mut root = Sha256::new();
        for resource in resources {
            root.update(crate::trust::Fingerprint::from_hex(resource["digest"].as_str().unwrap()).unwrap().0);
        }
        let root = crate::trust::Fingerprint(root.finalize().into());
        statement["subject"][0]["digest"]["sha256"] = root.to_string().into();
    })
}

fn fault_of(document: Vec<u8>) -> Result<(), SignatureFault> {
    match judge(&[document], &Trust::Keys(vec![Key::new(1).public, Key::new(2).public]), None) {
        Ok(verdict) if verdict.is_trusted() => Ok(()),
        Err(TrustError::Signature { index: 0, why }) => {
            let error = TrustError::Signature { index: 0, why: why.clone() };
            assert_eq!(error.code(), Code::SignatureMismatch);
            Err(why)
        }
        other => panic!("neither trusted nor refused: {other:?}"),
    }
}

/// The variant of a fault and what it names, as far as the tables compare it.
fn shown(found: &Result<(), SignatureFault>) -> String {
    match found {
        Ok(()) => "accepted".into(),
        Err(SignatureFault::Malformed { what, .. }) => format!("malformed {what}"),
        Err(SignatureFault::Unexpected { field, .. }) => format!("unexpected {field}"),
        Err(SignatureFault::Digest { name, .. }) => format!("digest {name}"),
        Err(SignatureFault::Extra { name }) => format!("extra {name}"),
        Err(SignatureFault::Missing { name }) => format!("missing {name}"),
        Err(SignatureFault::Order { name }) => format!("order {name}"),
        Err(SignatureFault::DigestForm { name }) => format!("digest form {name}"),
        Err(SignatureFault::NotBase64 { field }) => format!("not base64 {field}"),
        Err(SignatureFault::NotSupported { method }) => format!("not supported {method}"),
        Err(other) => format!("{other:?}").split([' ', '{']).next().unwrap().to_owned(),
    }
}

fn check(cases: Vec<(&str, Vec<u8>, &str)>) {
    let mut failures = Vec::new();
    for (rule, document, expected) in cases {
        let found = shown(&fault_of(document));
        if found != expected {
            failures.push(format!("{rule}: expected {expected}, found {found}"));
        }
    }
    report(failures);
}

#[test]
fn a_document_is_read_strictly_where_it_decides_and_leniently_elsewhere() {
    let envelope = |change: fn(&mut Value)| document(|document| change(&mut document["dsseEnvelope"]));
    let material = |value: Value| document(|document| document["verificationMaterial"] = value);
    let twice = |field: &str| {
        let text = String::from_utf8(Key::new(1).sign_bundle()).unwrap();
        let at = text.find(&format!("\"{field}\"")).unwrap();
        let mut twice = text.clone();
        twice.insert_str(at, &format!("\"{field}\":\"\","));
        twice.into_bytes()
    };
    let other = Key::new(2).fingerprint().to_string();
    check(vec![
        ("untouched", document(|_| {}), "accepted"),
        ("unknown fields", document(|document| document["more"] = json!({"x": [1]})), "accepted"),
        ("another key id", envelope(|envelope| envelope["signatures"][0]["keyid"] = "liar".into()), "accepted"),
        (
            "no key id",
            envelope(|envelope| drop(envelope["signatures"][0].as_object_mut().unwrap().remove("keyid"))),
            "accepted",
        ),
        (
            "no log entries",
            document(|document| drop(document["verificationMaterial"].as_object_mut().unwrap().remove("tlogEntries"))),
            "accepted",
        ),
        ("no hint", material(json!({"publicKey": {}})), "accepted"),
        ("empty hint", material(json!({"publicKey": {"hint": ""}})), "accepted"),
        (
            "indented",
            serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&document(|_| {})).unwrap()).unwrap(),
            "accepted",
        ),
        ("the hint names another trusted key", material(json!({"publicKey": {"hint": other}})), "HintMismatch"),
        ("the hint names an unknown key", material(json!({"publicKey": {"hint": "00".repeat(32)}})), "HintMismatch"),
        ("the hint is in capitals", material(json!({"publicKey": {"hint": other.to_uppercase()}})), "HintForm"),
        ("the hint is prose", material(json!({"publicKey": {"hint": "my key"}})), "HintForm"),
        ("a certificate", material(json!({"certificate": {"rawBytes": "AAAA"}})), "not supported certificate"),
        (
            "a chain",
            material(json!({"publicKey": {}, "x509CertificateChain": {"certificates": []}})),
            "not supported certificate",
        ),
        ("no key", material(json!({})), "not supported method other than a key"),
        (
            "a bare message signature",
            document(|document| drop(document.as_object_mut().unwrap().remove("dsseEnvelope"))),
            "not supported signature without envelope",
        ),
        (
            "another media type",
            document(|document| document["mediaType"] = "application/json".into()),
            "unexpected mediaType",
        ),
        (
            "another payload type",
            envelope(|envelope| envelope["payloadType"] = WRONG_TYPE.into()),
            "unexpected payloadType",
        ),
        ("no signature in the envelope", envelope(|envelope| envelope["signatures"] = json!([])), "EnvelopeSignatures"),
        (
            "a second signature placed first",
            envelope(|envelope| {
                let first = Key::new(2).sign_der(&pae(&payload()));
                envelope["signatures"].as_array_mut().unwrap().insert(0, json!({"sig": Base64::encode_string(&first)}));
            }),
            "EnvelopeSignatures",
        ),
        ("payload not base64", envelope(|envelope| envelope["payload"] = "%%%%".into()), "not base64 payload"),
        ("payload without padding", envelope(|envelope| envelope["payload"] = "YQ".into()), "not base64 payload"),
        ("payload with spare bits", envelope(|envelope| envelope["payload"] = "YR==".into()), "not base64 payload"),
        (
            "payload with a line break",
            envelope(|envelope| envelope["payload"] = "YWJj\nYWJj".into()),
            "not base64 payload",
        ),
        ("payload in the URL alphabet", envelope(|envelope| envelope["payload"] = "_-8=".into()), "not base64 payload"),
        ("signature not base64", envelope(|envelope| envelope["signatures"][0]["sig"] = "!".into()), "not base64 sig"),
        ("signature empty", envelope(|envelope| envelope["signatures"][0]["sig"] = "".into()), "NotDer"),
        ("signature not DER", envelope(|envelope| envelope["signatures"][0]["sig"] = "AAAA".into()), "NotDer"),
        (
            "signature with trailing bytes",
            envelope(|envelope| {
                let mut der = Key::new(1).sign_der(&pae(&payload()));
                der.push(0);
                envelope["signatures"][0]["sig"] = Base64::encode_string(&der).into();
            }),
            "NotDer",
        ),
        (
            "signature of zeros",
            envelope(|envelope| {
                envelope["signatures"][0]["sig"] = Base64::encode_string(&[0x30, 6, 2, 1, 0, 2, 1, 0]).into()
            }),
            "False",
        ),
        (
            "signature over the bare payload",
            sigstore_bundle(&payload(), &Key::new(1).sign_der(&payload()), Key::new(1).fingerprint()),
            "False",
        ),
        (
            "signature over another payload",
            sigstore_bundle(&payload(), &Key::new(1).sign_der(&pae(b"{}")), Key::new(1).fingerprint()),
            "False",
        ),
        (
            "a payload type that was signed along",
            sigstore_bundle(&payload(), &Key::new(1).sign_der(&pae_of(WRONG_TYPE)), Key::new(1).fingerprint()),
            "False",
        ),
        (
            "a trusted key is claimed by another signer",
            sigstore_bundle(&payload(), &Key::new(3).sign_der(&pae(&payload())), Key::new(1).fingerprint()),
            "False",
        ),
        (
            "a trusted key is claimed by another trusted signer",
            sigstore_bundle(&payload(), &Key::new(2).sign_der(&pae(&payload())), Key::new(1).fingerprint()),
            "HintMismatch",
        ),
        ("empty", Vec::new(), "malformed document"),
        ("no JSON", b"signature".to_vec(), "malformed document"),
        ("no object", b"[]".to_vec(), "malformed document"),
        ("not UTF-8", vec![b'"', 0xFF, b'"'], "malformed document"),
        ("cut off", document(|_| {})[..200].to_vec(), "malformed document"),
        ("two documents", [document(|_| {}), document(|_| {})].concat(), "malformed document"),
        ("nested a million deep", vec![b'['; 1_000_000], "malformed document"),
        (
            "deep where nothing is read",
            format!("{{\"more\":{}", "[".repeat(1_000_000)).into_bytes(),
            "malformed document",
        ),
        ("a field twice: mediaType", twice("mediaType"), "malformed document"),
        ("a field twice: payload", twice("payload"), "malformed document"),
        ("a field twice: hint", twice("hint"), "malformed document"),
        ("a field twice: sig", twice("sig"), "malformed document"),
        ("payload of the wrong kind", envelope(|envelope| envelope["payload"] = json!(1)), "malformed document"),
        ("one byte over the size limit", vec![b' '; MAX_DOCUMENT_BYTES + 1], "TooLarge"),
    ]);
}

/// The encoding that is signed, for another payload type.
fn pae_of(payload_type: &str) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload().len()).into_bytes();
    bytes.extend(payload());
    bytes
}

#[test]
fn a_statement_must_cover_exactly_this_bundle() {
    let resource = |name: &str| json!({"name": name, "algorithm": "sha256", "digest": "07".repeat(32)});
    let raw = |text: &str| Key::new(1).sign(text.as_bytes());
    let other_header = statement_payload("magika", b"another header", &header());
    let mut table = header();
    table.sections[2].sha256 = [9; 32];
    let other_weights = statement_payload("magika", HEADER_BYTES, &table);
    let twice = String::from_utf8(payload())
        .unwrap()
        .replace("\"predicateType\":", "\"predicateType\":\"x\",\"predicateType\":");
    check(vec![
        ("untouched", statement(|_| {}), "accepted"),
        ("another model name", Key::new(1).sign(&statement_payload("silero", HEADER_BYTES, &header())), "accepted"),
        (
            "unknown predicate fields",
            statement(|statement| statement["predicate"]["card"] = json!({"x": 1})),
            "accepted",
        ),
        (
            "paths to ignore",
            statement(|statement| statement["predicate"]["serialization"]["ignore_paths"] = json!(["model.sig"])),
            "accepted",
        ),
        (
            "links allowed",
            statement(|statement| statement["predicate"]["serialization"]["allow_symlinks"] = true.into()),
            "accepted",
        ),
        (
            "another statement type",
            statement(|statement| statement["_type"] = "https://in-toto.io/Statement/v0.1".into()),
            "unexpected _type",
        ),
        (
            "another predicate",
            statement(|statement| statement["predicateType"] = "https://slsa.dev/provenance/v1".into()),
            "unexpected predicateType",
        ),
        (
            "the resolvable host",
            statement(|statement| statement["predicateType"] = "https://model-signing/signature/v1.0".into()),
            "unexpected predicateType",
        ),
        (
            "shards",
            statement(|statement| statement["predicate"]["serialization"]["method"] = "shards".into()),
            "unexpected serialization.method",
        ),
        (
            "another hash",
            statement(|statement| statement["predicate"]["serialization"]["hash_type"] = "blake2b".into()),
            "unexpected serialization.hash_type",
        ),
        (
            "another hash for one file",
            statement(|statement| statement["predicate"]["resources"][0]["algorithm"] = "sha512".into()),
            "unexpected algorithm",
        ),
        ("no subject", statement(|statement| statement["subject"] = json!([])), "Subjects"),
        (
            "two subjects",
            statement(|statement| {
                let subject = statement["subject"][0].clone();
                statement["subject"].as_array_mut().unwrap().push(subject);
            }),
            "Subjects",
        ),
        (
            "another subject digest",
            statement(|statement| statement["subject"][0]["digest"]["sha256"] = "00".repeat(32).into()),
            "SubjectDigest",
        ),
        (
            "subject digest in capitals",
            statement(|statement| {
                let digest = statement["subject"][0]["digest"]["sha256"].as_str().unwrap().to_uppercase();
                statement["subject"][0]["digest"]["sha256"] = digest.into();
            }),
            "SubjectDigest",
        ),
        (
            "a resource changed, subject not",
            statement(|statement| statement["predicate"]["resources"][0]["digest"] = "07".repeat(32).into()),
            "SubjectDigest",
        ),
        ("another header", Key::new(1).sign(&other_header), "digest header"),
        ("another section", Key::new(1).sign(&other_weights), "digest weights/0"),
        (
            "digests of two sections swapped",
            consistent(|resources| {
                let digest = resources[0]["digest"].take();
                resources[0]["digest"] = resources[1]["digest"].take();
                resources[1]["digest"] = digest;
            }),
            "digest graph",
        ),
        ("an extra resource", consistent(|resources| resources.push(resource("weights/1"))), "extra weights/1"),
        (
            "an extra resource that leaves the folder",
            consistent(|resources| resources.insert(0, resource("../x"))),
            "extra ../x",
        ),
        ("the header not covered", consistent(|resources| drop(resources.remove(1))), "missing header"),
        ("a section not covered", consistent(|resources| drop(resources.pop())), "missing weights/0"),
        ("nothing covered", consistent(Vec::clear), "missing graph"),
        ("a resource twice", consistent(|resources| resources.push(resources[3].clone())), "order weights/0"),
        (
            "a resource twice, digests differ",
            consistent(|resources| resources.insert(0, resource("graph"))),
            "order graph",
        ),
        ("resources out of order", consistent(|resources| resources.swap(0, 1)), "order graph"),
        (
            "a digest in capitals",
            statement(|statement| statement["predicate"]["resources"][0]["digest"] = "AB".repeat(32).into()),
            "digest form graph",
        ),
        (
            "a digest cut off",
            statement(|statement| statement["predicate"]["resources"][0]["digest"] = "0707".into()),
            "digest form graph",
        ),
        ("no JSON", raw("hello"), "malformed statement"),
        ("a field twice", raw(&twice), "malformed statement"),
        (
            "no resources",
            statement(|statement| drop(statement["predicate"].as_object_mut().unwrap().remove("resources"))),
            "malformed statement",
        ),
        ("empty object", raw("{}"), "malformed statement"),
    ]);
}

#[test]
fn two_sections_of_one_name_are_never_covered() {
    for name in ["graph", "header"] {
        let mut table = header();
        table.sections[2].name = name.into();
        let signature = Key::new(1).sign(&statement_payload("magika", HEADER_BYTES, &table));
        let found = verify(HEADER_BYTES, &table, &[signature], &Trust::Keys(vec![Key::new(1).public]), None);
        assert_eq!(found, Err(TrustError::Signature { index: 0, why: SignatureFault::Ambiguous }), "{name}");
    }
}

#[test]
fn what_is_written_is_the_reference_form() {
    let expected = concat!(
        r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a \"b\"","digest":{"sha256":"#,
        r#""14feada9a0ceaea0f3e1ebf15da65ed925b1962af3953eee8e110a37127e4b23"}}],"#,
        r#""predicateType":"https://model_signing/signature/v1.0","predicate":{"serialization":"#,
        r#"{"method":"files","hash_type":"sha256","allow_symlinks":false},"resources":["#,
        r#"{"name":"graph","algorithm":"sha256","digest":"0202020202020202020202020202020202020202020202020202020202020202"},"#,
        r#"{"name":"header","algorithm":"sha256","digest":"ea0d8b25bff350e5a393addab83777d39284b243cf8500870b1e6c30140cd6cc"},"#,
        r#"{"name":"manifest","algorithm":"sha256","digest":"0101010101010101010101010101010101010101010101010101010101010101"},"#,
        r#"{"name":"weights/0","algorithm":"sha256","digest":"0303030303030303030303030303030303030303030303030303030303030303"}]}}"#,
    );
    let written = statement_payload("a \"b\"", HEADER_BYTES, &header());
    assert_eq!(String::from_utf8(written).unwrap(), expected);
    assert_eq!(pae(b"{}"), b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
    assert_eq!(payload(), payload());
    assert_eq!(Key::new(1).sign_bundle(), Key::new(1).sign_bundle());
}

/// Whatever is flipped, either the same signer is found over the same bundle, or the document is refused.
#[test]
fn no_flipped_bit_of_a_document_changes_what_is_trusted() {
    let key = Key::new(1);
    let good = key.sign_bundle();
    let trust = Trust::Keys(vec![key.public.clone()]);
    let verdict = judge(std::slice::from_ref(&good), &trust, None).unwrap();
    let mut accepted = 0;
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        match judge(&[flipped], &trust, None) {
            Ok(found) => {
                assert_eq!(found, verdict, "byte {at}");
                accepted += 1;
            }
            Err(TrustError::Signature { .. }) => {}
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    // The names of the fields that decide nothing.
    assert!(accepted <= "tlogEntries".len() + "keyid".len() + "hint".len(), "{accepted} flips were accepted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(document in proptest::collection::vec(any::<u8>(), 0..300)) {
        let refused = matches!(
            judge(&[document], &Trust::Keys(vec![Key::new(1).public]), None),
            Err(TrustError::Signature { why: SignatureFault::Malformed { .. }, .. })
        );
        prop_assert!(refused);
    }

    #[test]
    fn no_signed_payload_makes_it_panic(payload in ".{0,300}") {
        let signed = Key::new(1).sign(payload.as_bytes());
        prop_assert!(judge(&[signed], &Trust::Keys(vec![Key::new(1).public]), None).is_err());
    }
}
