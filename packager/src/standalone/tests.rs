//! Small files of the real form: an empty module with the real sections. Every byte of them is tried.

use super::file::resources;
use super::write::finish;
use super::*;
use crate::error::Error;
use crate::sign::PrivateKey;
use pannier_bundle::manifest::{Envelope, Manifest, Reproducibility, Source};
use pannier_bundle::trust::{Policy, Trust, statement_over};
use pannier_bundle::{Code, encode_versioned};
use pannier_wasm_module::append_section;

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn manifest() -> Vec<u8> {
    let manifest = Manifest {
        name: "notes".to_owned(),
        version: "1.2.0".to_owned(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [0; 32],
        opset: pannier_graph::OPSET,
        inputs: Vec::new(),
        outputs: Vec::new(),
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".to_owned(), sha256: [0; 32], opset: 17, options: Vec::new() },
    };
    encode_versioned(Manifest::VERSION, &manifest)
}

fn runtime() -> Vec<u8> {
    let text = |text: &str| text.to_owned();
    Runtime { schema: text(Runtime::SCHEMA), abi: 1, engine: text("tract"), flavour: text("simd128") }.to_json()
}

/// Everything but the signature section.
fn unsigned(start: &[u8], sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = start.to_vec();
    sections.iter().for_each(|(name, contents)| append_section(&mut file, name, contents));
    file
}

fn whole(start: &[u8]) -> Vec<u8> {
    unsigned(start, &[(MANIFEST, &manifest()), (RUNTIME, &runtime())])
}

fn signature(key: &PrivateKey, unsigned: &[u8]) -> Vec<u8> {
    key.sign_statement(&statement_over("notes", &resources(&manifest(), unsigned)))
}

fn key() -> PrivateKey {
    PrivateKey::generate().expect("the system gives random numbers")
}

fn trust(key: &PrivateKey) -> Trust {
    Trust::Keys(vec![key.public_key().clone()])
}

fn signed(key: &PrivateKey) -> Vec<u8> {
    let unsigned = whole(MODULE);
    finish(&unsigned, &[signature(key, &unsigned)]).expect("it is small")
}

fn verify(file: &[u8], trust: &Trust) -> Result<bool, Code> {
    let verify = || Ok(Standalone::read(file)?.verify(trust, Some(0))?.is_trusted());
    verify().map_err(|error: Error| error.code())
}

#[test]
fn whom_a_file_is_from() {
    let (publisher, stranger) = (key(), key());
    let file = signed(&publisher);
    let nobodys = finish(&whole(MODULE), &[]).expect("it is small");
    let others = {
        let unsigned = whole(COMPONENT);
        finish(&unsigned, &[signature(&publisher, &whole(MODULE))]).expect("it is small")
    };
    let policy = |minimum: &str| {
        let pem = publisher.public_key().to_pem();
        let text = format!(
            "[roles]\npublisher = 1\n[[keys]]\nname = \"alice\"\nroles = [\"publisher\"]\npem = \"\"\"\n{pem}\"\"\"\n\
             [minimum_version]\nnotes = \"{minimum}\"\n"
        );
        Trust::Policy(Policy::from_toml(&text).expect("a policy"))
    };
    type Case<'a> = (&'a str, &'a [u8], Trust, Result<bool, Code>);
    let cases: [Case<'_>; 9] = [
        ("the publisher's", &file, trust(&publisher), Ok(true)),
        ("a stranger's key", &file, trust(&stranger), Err(Code::UntrustedKey)),
        ("anything goes", &file, Trust::AllowUnsigned, Ok(false)),
        ("not signed", &nobodys, trust(&publisher), Err(Code::Unsigned)),
        ("not signed, anything goes", &nobodys, Trust::AllowUnsigned, Ok(false)),
        ("a signature from another file", &others, trust(&publisher), Err(Code::SignatureMismatch)),
        ("a policy", &file, policy("1.2.0"), Ok(true)),
        ("a policy that wants a newer one", &file, policy("1.3.0"), Err(Code::Downgrade)),
        ("a policy, not signed", &nobodys, policy("1.2.0"), Err(Code::Unsigned)),
    ];
    for (name, file, trust, expected) in cases {
        assert_eq!(verify(file, &trust), expected, "{name}");
    }
}

#[test]
fn a_second_signature_leaves_the_first_one_valid() {
    let (publisher, approver) = (key(), key());
    let file = signed(&publisher);
    let read = Standalone::read(&file).expect("it is whole");
    let mut signatures = read.signatures().to_vec();
    signatures.push(signature(&approver, &whole(MODULE)));
    let both = read.with_signatures(&signatures).expect("it is small");
    assert_eq!(verify(&both, &trust(&publisher)), Ok(true));
    assert_eq!(verify(&both, &trust(&approver)), Ok(true));
}

/// Whoever changes a byte is found out, whether somebody signed the file or nobody did.
#[test]
fn every_flipped_byte_is_noticed() {
    let publisher = key();
    let nobodys = finish(&whole(MODULE), &[]).expect("it is small");
    for (file, trust) in [(signed(&publisher), trust(&publisher)), (nobodys, Trust::AllowUnsigned)] {
        assert!(verify(&file, &trust).is_ok());
        for index in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[index] ^= flip;
                assert!(verify(&damaged, &trust).is_err(), "byte {index} ^ {flip:#x}");
            }
        }
    }
}

/// The digest helps against accidents only: with it made anew, the signature is what tells.
#[test]
fn a_changed_file_with_the_right_digest_is_noticed_by_its_signature() {
    let publisher = key();
    let unsigned = whole(MODULE);
    let signature = signature(&publisher, &unsigned);
    let more = super::tests::unsigned(&unsigned, &[("something", b"more")]);
    let other =
        super::tests::unsigned(MODULE, &[("something", b"more"), (MANIFEST, &manifest()), (RUNTIME, &runtime())]);
    for changed in [more, other, whole(COMPONENT)] {
        let file = finish(&changed, std::slice::from_ref(&signature)).expect("it is small");
        assert_eq!(verify(&file, &trust(&publisher)), Err(Code::SignatureMismatch));
        assert_eq!(verify(&file, &Trust::AllowUnsigned), Ok(false));
    }
}

#[test]
fn every_cut_is_noticed() {
    let publisher = key();
    let file = signed(&publisher);
    for size in 0..file.len() {
        let code = verify(&file[..size], &trust(&publisher)).expect_err("it is cut");
        assert!(matches!(code, Code::Truncated | Code::Corrupt), "{size} bytes: {code}");
    }
}

#[test]
fn what_is_not_one_of_ours() {
    let manifest = manifest();
    let runtime = runtime();
    let ended = |sections: &[(&str, &[u8])]| finish(&unsigned(MODULE, sections), &[]).expect("it is small");
    let followed = unsigned(&ended(&[(MANIFEST, &manifest), (RUNTIME, &runtime)]), &[("more", b"")]);
    let cases: [(&str, Vec<u8>, Code, &str); 9] = [
        ("another module", MODULE.to_vec(), Code::Corrupt, "no section `pannier.signature`"),
        ("another component", COMPONENT.to_vec(), Code::Corrupt, "no section `pannier.signature`"),
        ("no WebAssembly", b"\0asm\x02\0\0\0".to_vec(), Code::Corrupt, "not WebAssembly"),
        ("no manifest", ended(&[(RUNTIME, &runtime)]), Code::Corrupt, "no section `pannier.manifest`"),
        ("no runtime", ended(&[(MANIFEST, &manifest)]), Code::Corrupt, "no section `pannier.runtime`"),
        (
            "two manifests",
            ended(&[(MANIFEST, &manifest), (MANIFEST, &manifest), (RUNTIME, &runtime)]),
            Code::Corrupt,
            "more than once",
        ),
        ("no manifest in it", ended(&[(MANIFEST, b"\x01\0"), (RUNTIME, &runtime)]), Code::Corrupt, "manifest"),
        (
            "another form of runtime",
            ended(&[(MANIFEST, &manifest), (RUNTIME, br#"{"schema":"x","abi":1,"engine":"","flavour":""}"#)]),
            Code::Corrupt,
            "expected pannier.dev/runtime/v1",
        ),
        ("something follows the signatures", followed, Code::Corrupt, "not the last one"),
    ];
    for (name, file, code, text) in cases {
        let error = Standalone::read(&file).expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
}

#[test]
fn the_parts_are_the_whole() {
    for start in [MODULE, COMPONENT] {
        let file = finish(&whole(start), &[]).expect("it is small");
        let sum: u64 = parts(&file).expect("it is whole").iter().map(|part| part.size_bytes).sum();
        assert_eq!(sum, file.len() as u64);
    }
}
