//! The vectors in `tests/vectors/oms`: signatures over one small bundle, good ones and bad ones of every kind.
//!
//! They are made here, from keys that everybody knows. `PANNIER_BLESS=1` writes them anew; otherwise the files must be
//! what would be written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, Signature, SigningKey};
use pannier_bundle::trust::{Fingerprint, PublicKey, Trust, pae, sigstore_bundle};
use pannier_bundle::write::with_signatures;
use pannier_bundle::{Bundle, Code, Limits};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Failures, project_root, python, temp_dir};
use crate::trust::fixture::{key, sealed, unpack};

/// Who signs and who else there is: key files by name, with the seeds of the keys.
const KEYS: [(&str, u8); 3] = [("publisher", 1), ("approver", 2), ("stranger", 3)];
const PUBLISHER: u8 = 1;
const APPROVER: u8 = 2;
const STRANGER: u8 = 3;

/// One signature, and the answers to it for somebody who trusts the publisher's key alone.
struct Vector {
    /// Folder and name of the file.
    file: &'static str,
    document: Vec<u8>,
    /// Our answer.
    ours: Result<(), Code>,
    /// Whether the reference tool accepts it.
    reference: bool,
    /// Why the two answers differ.
    why: &'static str,
}

/// What the vectors are made of.
struct Maker {
    /// The bundle, without signatures.
    bundle: Vec<u8>,
    /// The statement over it.
    payload: Vec<u8>,
}

impl Maker {
    fn new(bundle: Vec<u8>) -> Maker {
        let opened = Bundle::open(bundle.as_slice(), &Limits::default()).expect("a bundle");
        let payload = pannier_bundle::trust::statement_payload("small", opened.header_bytes(), opened.header());
        Maker { bundle, payload }
    }

    fn signature(&self, seed: u8) -> Signature {
        SigningKey::from_slice(&[seed; 32]).expect("a scalar").sign(&pae(&self.payload))
    }

    /// The publisher's document, changed by hand after it was signed.
    fn document(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut document = serde_json::from_slice(&key(PUBLISHER).sign_statement(&self.payload)).expect("JSON");
        change(&mut document);
        document.to_string().into_bytes()
    }

    /// A statement that was changed by hand and then signed by the publisher.
    fn statement(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut statement = serde_json::from_slice(&self.payload).expect("JSON");
        change(&mut statement);
        key(PUBLISHER).sign_statement(statement.to_string().as_bytes())
    }

    /// Like [`Maker::statement`], for the resources, with a subject digest that fits them afterwards.
    fn resources(&self, change: impl FnOnce(&mut Vec<Value>)) -> Vec<u8> {
        self.statement(|statement| {
            let resources = statement["predicate"]["resources"].as_array_mut().expect("resources");
            change(resources);
            let mut root = Sha256::new();
            for resource in resources {
                let digest = resource["digest"].as_str().expect("hex").to_lowercase();
                root.update(Fingerprint::from_hex(&digest).expect("hex").0);
            }
            let root: [u8; 32] = root.finalize().into();
            statement["subject"][0]["digest"]["sha256"] = Fingerprint(root).to_string().into();
        })
    }

    fn vectors(&self) -> Vec<Vector> {
        let mismatch = Err(Code::SignatureMismatch);
        let fingerprint = |seed: u8| key(seed).public_key().fingerprint();
        let der = |seed: u8| self.signature(seed).to_der().as_bytes().to_vec();
        let same =
            |file, document, ours: Result<(), Code>| Vector { file, document, ours, reference: ours.is_ok(), why: "" };
        let differs = |file, document, ours: Result<(), Code>, why| Vector {
            file,
            document,
            ours,
            reference: ours.is_err(),
            why,
        };
        let material = |value: Value| self.document(|document| document["verificationMaterial"] = value);
        let envelope = |change: fn(&mut Value)| self.document(|document| change(&mut document["dsseEnvelope"]));
        let remove = |value: &mut Value, field: &str| drop(value.as_object_mut().expect("an object").remove(field));
        let bare: DerSignature = SigningKey::from_slice(&[PUBLISHER; 32]).expect("a scalar").sign(&self.payload);
        let high_s = {
            let (r, s) = self.signature(PUBLISHER).split_scalars();
            let flipped = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).expect("a signature");
            flipped.to_der().as_bytes().to_vec()
        };
        let two = |first: u8, second: u8| {
            self.document(|document| {
                let sig = |seed: u8| json!({"sig": Base64::encode_string(&der(seed)), "keyid": ""});
                document["dsseEnvelope"]["signatures"] = json!([sig(first), sig(second)]);
            })
        };
        let resource = |name: &str| json!({"name": name, "algorithm": "sha256", "digest": "07".repeat(32)});
        let good = String::from_utf8(self.document(|_| {})).expect("JSON");

        vec![
            same("valid/plain", key(PUBLISHER).sign_statement(&self.payload), Ok(())),
            same("valid/fields-in-another-order", good.clone().into_bytes(), Ok(())),
            same("valid/no-log-entries", material(json!({"publicKey": {"hint": fingerprint(PUBLISHER).to_string()}})), Ok(())),
            same("valid/no-hint", material(json!({"publicKey": {}, "tlogEntries": []})), Ok(())),
            same("valid/no-key-id", self.document(|document| remove(&mut document["dsseEnvelope"]["signatures"][0], "keyid")), Ok(())),
            same("valid/other-key-id", envelope(|envelope| envelope["signatures"][0]["keyid"] = "somebody".into()), Ok(())),
            same("valid/indented", serde_json::to_vec_pretty(&serde_json::from_str::<Value>(&good).expect("JSON")).expect("JSON"), Ok(())),
            same("valid/high-s", sigstore_bundle(&self.payload, &high_s, fingerprint(PUBLISHER)), Ok(())),
            same("valid/more-in-the-predicate", self.statement(|statement| statement["predicate"]["card"] = json!({"language": "en"})), Ok(())),
            same("valid/paths-to-ignore", self.statement(|statement| statement["predicate"]["serialization"]["ignore_paths"] = json!(["model.sig"])), Ok(())),
            same("valid/other-model-name", self.statement(|statement| statement["subject"][0]["name"] = "large".into()), Ok(())),
            differs("valid/unknown-fields", self.document(|document| document["more"] = json!([1])), Ok(()), "its decoder refuses unknown fields; nothing that decides is in them"),

            same("invalid/by-a-stranger", key(STRANGER).sign_statement(&self.payload), Err(Code::UntrustedKey)),
            same("invalid/by-a-stranger-who-claims-the-publisher", sigstore_bundle(&self.payload, &der(STRANGER), fingerprint(PUBLISHER)), mismatch),
            same("invalid/hint-of-another-key", sigstore_bundle(&self.payload, &der(PUBLISHER), fingerprint(APPROVER)), mismatch),
            same("invalid/hint-in-capitals", material(json!({"publicKey": {"hint": fingerprint(PUBLISHER).to_string().to_uppercase()}, "tlogEntries": []})), mismatch),
            same("invalid/over-the-bare-payload", sigstore_bundle(&self.payload, bare.as_bytes(), fingerprint(PUBLISHER)), mismatch),
            same("invalid/payload-changed-after-signing", sigstore_bundle(&renamed(&self.payload), &der(PUBLISHER), fingerprint(PUBLISHER)), mismatch),
            same("invalid/cosigner-first", two(APPROVER, PUBLISHER), mismatch),
            differs("invalid/cosigner-second", two(PUBLISHER, APPROVER), mismatch, "it reads the first signature of an envelope and ignores the rest; we want exactly one"),
            same("invalid/no-signature", envelope(|envelope| envelope["signatures"] = json!([])), mismatch),
            same("invalid/payload-type-changed", envelope(|envelope| envelope["payloadType"] = "application/json".into()), mismatch),
            same("invalid/media-type-changed", self.document(|document| document["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.1+json".into()), mismatch),
            same("invalid/signature-cut-off", sigstore_bundle(&self.payload, &der(PUBLISHER)[..60], fingerprint(PUBLISHER)), mismatch),
            same("invalid/signature-with-trailing-byte", sigstore_bundle(&self.payload, &[der(PUBLISHER), vec![0]].concat(), fingerprint(PUBLISHER)), mismatch),
            same("invalid/signature-not-base64", envelope(|envelope| envelope["signatures"][0]["sig"] = "%%%".into()), mismatch),
            same("invalid/payload-not-base64", envelope(|envelope| envelope["payload"] = "%%%".into()), mismatch),
            same("invalid/certificate", material(json!({"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []})), mismatch),
            same("invalid/no-envelope", self.document(|document| remove(document, "dsseEnvelope")), mismatch),
            same("invalid/cut-off", good.as_bytes()[..good.len() / 2].to_vec(), mismatch),
            same("invalid/empty", Vec::new(), mismatch),
            differs("invalid/hint-twice", good.replace("\"hint\":", "\"hint\":\"\",\"hint\":").into_bytes(), mismatch, "its JSON decoder takes the last of two fields of one name; we refuse both"),

            same("invalid-payload/no-json", key(PUBLISHER).sign_statement(b"statement"), mismatch),
            same("invalid-payload/another-statement-type", self.statement(|statement| statement["_type"] = "https://in-toto.io/Statement/v0.1".into()), mismatch),
            same("invalid-payload/another-predicate-type", self.statement(|statement| statement["predicateType"] = "https://slsa.dev/provenance/v1".into()), mismatch),
            same("invalid-payload/no-subject", self.statement(|statement| statement["subject"] = json!([])), mismatch),
            same("invalid-payload/two-subjects", self.statement(|statement| {
                let subject = statement["subject"][0].clone();
                statement["subject"] = json!([subject, subject]);
            }), mismatch),
            same("invalid-payload/subject-digest-differs", self.statement(|statement| statement["subject"][0]["digest"]["sha256"] = "00".repeat(32).into()), mismatch),
            same("invalid-payload/shards", self.statement(|statement| {
                statement["predicate"]["serialization"] = json!({"method": "shards", "hash_type": "sha256", "shard_size": 1_000_000, "allow_symlinks": false});
            }), mismatch),
            same("invalid-payload/another-hash", self.statement(|statement| statement["predicate"]["serialization"]["hash_type"] = "blake2b".into()), mismatch),
            same("invalid-payload/a-file-changed", self.resources(|resources| resources[0]["digest"] = "07".repeat(32).into()), mismatch),
            same("invalid-payload/a-file-missing", self.resources(|resources| drop(resources.pop())), mismatch),
            same("invalid-payload/the-header-missing", self.resources(|resources| resources.retain(|resource| resource["name"] != "header")), mismatch),
            same("invalid-payload/nothing-covered", self.resources(Vec::clear), mismatch),
            same("invalid-payload/a-file-too-many", self.resources(|resources| resources.push(resource("weights/1"))), mismatch),
            same("invalid-payload/a-file-outside", self.resources(|resources| resources.insert(0, resource("../outside"))), mismatch),
            same("invalid-payload/digests-exchanged", self.resources(|resources| {
                let digest = resources[0]["digest"].take();
                resources[0]["digest"] = resources[1]["digest"].take();
                resources[1]["digest"] = digest;
            }), mismatch),
            differs("invalid-payload/a-file-twice", self.resources(|resources| {
                let last = resources.last().expect("resources").clone();
                resources.push(last);
            }), mismatch, "it keeps the last of two resources of one name; we refuse both"),
            differs("invalid-payload/out-of-order", self.resources(|resources| resources.swap(0, 1)), mismatch, "it hashes the resources in the order in which they are listed; the specification wants them sorted"),
            differs("invalid-payload/digest-in-capitals", self.resources(|resources| {
                let digest = resources[0]["digest"].as_str().expect("hex").to_uppercase();
                resources[0]["digest"] = digest.into();
            }), mismatch, "it decodes hex of either case; the specification wants lowercase"),
            same("invalid-payload/another-algorithm", self.resources(|resources| resources[0]["algorithm"] = "sha512".into()), mismatch),
        ]
    }
}

/// The same statement about a model of another name.
fn renamed(payload: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(payload).replace("\"small\"", "\"smell\"").into_bytes()
}

fn folder() -> PathBuf {
    project_root().join("tests/vectors/oms")
}

/// Every file of the folder, as it should be.
fn files(maker: &Maker, vectors: &[Vector]) -> Vec<(String, Vec<u8>)> {
    let answer = |accepted: bool| if accepted { "valid" } else { "invalid" };
    let rows: Vec<Value> = vectors
        .iter()
        .map(|vector| {
            let ours = vector.ours.err().map_or("valid", Code::name);
            let mut row = json!({"file": format!("{}.json", vector.file), "expected": ours, "model-signing": answer(vector.reference)});
            if !vector.why.is_empty() {
                row["why"] = vector.why.into();
            }
            row
        })
        .collect();
    let manifest = json!({"bundle": "small.pannier", "public_key": "publisher.pub", "vectors": rows});
    let manifest = serde_json::to_string_pretty(&manifest).expect("JSON") + "\n";
    let mut files =
        vec![("small.pannier".to_owned(), maker.bundle.clone()), ("manifest.json".into(), manifest.into_bytes())];
    files.extend(KEYS.map(|(name, seed)| (format!("{name}.pub"), key(seed).public_key().to_pem().into())));
    files.extend(vectors.iter().map(|vector| (format!("{}.json", vector.file), vector.document.clone())));
    files
}

/// The files are what this module makes. `PANNIER_BLESS=1` writes them.
#[test]
fn the_vectors_are_up_to_date() {
    let maker = Maker::new(sealed("1.0.0").assemble(&[]).expect("a bundle"));
    let mut failures = Failures::default();
    for (name, bytes) in files(&maker, &maker.vectors()) {
        let path = folder().join(&name);
        if std::env::var_os("PANNIER_BLESS").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &bytes).expect("a file");
        }
        failures.check(&name, || match fs::read(&path) {
            Ok(found) if found == bytes => Ok(()),
            Ok(_) => Err("differs; PANNIER_BLESS=1 writes it anew".into()),
            Err(error) => Err(error.to_string()),
        });
    }
    failures.assert_none();
}

/// What is in the folder, read as a stranger would read it: the manifest names the files and the answers.
fn manifest() -> Value {
    serde_json::from_slice(&fs::read(folder().join("manifest.json")).expect("a file")).expect("JSON")
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn every_vector_gets_our_answer() {
    let manifest = manifest();
    let bundle = fs::read(folder().join(field(&manifest, "bundle"))).expect("a file");
    let public = fs::read_to_string(folder().join(field(&manifest, "public_key"))).expect("a file");
    let trust = Trust::Keys(vec![PublicKey::from_pem(&public).expect("a key")]);
    let mut failures = Failures::default();
    for row in manifest["vectors"].as_array().expect("rows") {
        failures.check(field(row, "file"), || {
            let document = fs::read(folder().join(field(row, "file"))).map_err(|error| error.to_string())?;
            let signed = with_signatures(&bundle, &[document]).map_err(|error| error.to_string())?;
            let opened = Bundle::open(signed, &Limits::default()).map_err(|error| error.to_string())?;
            let found =
                opened.verify(&trust, None).map(|_| ()).map_err(|error| (error.code().name(), error.to_string()));
            let answer = found.as_ref().err().map_or("valid", |(code, _)| code);
            if answer == field(row, "expected") { Ok(()) } else { Err(format!("expected {row}, found {found:?}")) }
        });
    }
    failures.assert_none();
}

#[test]
fn every_vector_gets_the_answer_of_the_reference_tool() {
    let manifest = manifest();
    let root = temp_dir();
    let model = root.path().join("small");
    unpack(&fs::read(folder().join(field(&manifest, "bundle"))).expect("a file"), &model);
    let public = folder().join(field(&manifest, "public_key"));
    let rows = manifest["vectors"].as_array().expect("rows");
    let cases: Vec<Value> = rows
        .iter()
        .map(|row| json!({"model": model, "signature": folder().join(field(row, "file")), "public_key": public}))
        .collect();

    let answers = ask_reference(&json!(cases));
    assert_eq!(answers.len(), rows.len());
    let mut failures = Failures::default();
    for (row, answer) in rows.iter().zip(answers) {
        failures.check(field(row, "file"), || {
            let found = if answer.is_null() { "valid" } else { "invalid" };
            if found == field(row, "model-signing") { Ok(()) } else { Err(format!("expected {row}, found {answer}")) }
        });
    }
    failures.assert_none();
}

/// The answers of the reference implementation: null where it accepts, else its words.
fn ask_reference(cases: &Value) -> Vec<Value> {
    let script: &Path = &project_root().join("tests/it/oms/reference.py");
    let mut child =
        Command::new(python()).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    child.stdin.take().expect("piped").write_all(cases.to_string().as_bytes()).expect("Python listens");
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "the reference tool failed; `cargo xtask setup` installs it");
    serde_json::from_slice(&output.stdout).expect("an array")
}
