//! The table of vectors: what each signature is, and what becomes of it.

use base64ct::{Base64, Encoding};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, Signature, SigningKey};
use pannier_bundle::trust::{Fingerprint, pae, sigstore_bundle, statement_payload};
use pannier_bundle::{Bundle, Code, Limits};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::trust::fixture::key;

/// Who signs and who else there is: key files by name, with the seeds of the keys.
pub const KEYS: [(&str, u8); 3] = [("publisher", PUBLISHER), ("approver", APPROVER), ("stranger", STRANGER)];
const PUBLISHER: u8 = 1;
const APPROVER: u8 = 2;
const STRANGER: u8 = 3;

const UNKNOWN_FIELDS: &str = "its decoder refuses unknown fields; nothing that decides is in them";
const FIRST_ONLY: &str = "it reads the first signature of an envelope and ignores the rest; we want exactly one";
const LAST_FIELD: &str = "its JSON decoder takes the last of two fields of one name; we refuse both";
const LAST_RESOURCE: &str = "it keeps the last of two resources of one name; we refuse both";
const ANY_ORDER: &str = "it hashes the resources in the order of the list; the specification wants them sorted";
const ANY_CASE: &str = "it decodes hex digits of either case; the specification wants lowercase";

/// One signature, and the answers to it for somebody who trusts the publisher's key alone.
pub struct Vector {
    /// Folder and name of the file.
    pub file: &'static str,
    /// Its content.
    pub document: Vec<u8>,
    /// Our answer.
    pub ours: Result<(), Code>,
    /// Why the reference tool answers otherwise, if it does.
    pub why_not_reference: Option<&'static str>,
}

fn accepted(file: &'static str, document: Vec<u8>) -> Vector {
    Vector { file, document, ours: Ok(()), why_not_reference: None }
}

fn refused(file: &'static str, document: Vec<u8>) -> Vector {
    Vector { file, document, ours: Err(Code::SignatureMismatch), why_not_reference: None }
}

impl Vector {
    /// The reference tool answers otherwise.
    fn differs(self, why: &'static str) -> Vector {
        Vector { why_not_reference: Some(why), ..self }
    }
}

/// What the vectors are made of.
pub struct Maker {
    /// The bundle, without signatures.
    pub bundle: Vec<u8>,
    /// The statement over it.
    payload: Vec<u8>,
}

impl Maker {
    pub fn new(bundle: Vec<u8>) -> Maker {
        let opened = Bundle::open(bundle.as_slice(), &Limits::default()).expect("a bundle");
        let payload = statement_payload("small", opened.header_bytes(), opened.header());
        Maker { bundle, payload }
    }

    /// A signature over the statement, as it should be made.
    fn der(&self, seed: u8) -> Vec<u8> {
        sign(seed, &pae(&self.payload)).to_der().as_bytes().to_vec()
    }

    /// A document over the statement with this signature and the hint of the publisher.
    fn with_signature(&self, der: &[u8]) -> Vec<u8> {
        sigstore_bundle(&self.payload, der, fingerprint(PUBLISHER))
    }

    /// The publisher's document with other verification material.
    fn material(&self, material: Value) -> Vec<u8> {
        self.document(|document| document["verificationMaterial"] = material)
    }

    /// The publisher's document with another envelope.
    fn envelope(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        self.document(|document| change(&mut document["dsseEnvelope"]))
    }

    /// An envelope with two valid signatures.
    fn two_signatures(&self, first: u8, second: u8) -> Vec<u8> {
        let signature = |seed| json!({"sig": Base64::encode_string(&self.der(seed)), "keyid": ""});
        self.envelope(|envelope| envelope["signatures"] = json!([signature(first), signature(second)]))
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

    /// All vectors, the good ones first.
    pub fn vectors(&self) -> Vec<Vector> {
        [self.valid(), self.invalid(), self.invalid_payload()].into_iter().flatten().collect()
    }

    /// Documents that say the same in other words.
    fn valid(&self) -> Vec<Vector> {
        let hint = fingerprint(PUBLISHER).to_string();
        let no_key_id = self.envelope(|envelope| remove(&mut envelope["signatures"][0], "keyid"));
        let other_key_id = self.envelope(|envelope| envelope["signatures"][0]["keyid"] = "somebody".into());
        let document: Value = serde_json::from_slice(&self.document(|_| {})).expect("JSON");
        let indented = serde_json::to_vec_pretty(&document).expect("JSON");
        let (r, s) = sign(PUBLISHER, &pae(&self.payload)).split_scalars();
        let high_s = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).expect("a signature");
        let more = self.statement(|statement| statement["predicate"]["card"] = json!({"language": "en"}));
        let ignore = json!(["model.sig"]);
        let ignore = self.statement(|statement| statement["predicate"]["serialization"]["ignore_paths"] = ignore);
        let renamed = self.statement(|statement| statement["subject"][0]["name"] = "large".into());
        let unknown = self.document(|document| document["more"] = json!([1]));
        vec![
            accepted("valid/plain", key(PUBLISHER).sign_statement(&self.payload)),
            accepted("valid/fields-in-another-order", self.document(|_| {})),
            accepted("valid/no-log-entries", self.material(json!({"publicKey": {"hint": hint}}))),
            accepted("valid/no-hint", self.material(json!({"publicKey": {}, "tlogEntries": []}))),
            accepted("valid/no-key-id", no_key_id),
            accepted("valid/other-key-id", other_key_id),
            accepted("valid/indented", indented),
            accepted("valid/high-s", self.with_signature(high_s.to_der().as_bytes())),
            accepted("valid/more-in-the-predicate", more),
            accepted("valid/paths-to-ignore", ignore),
            accepted("valid/other-model-name", renamed),
            accepted("valid/unknown-fields", unknown).differs(UNKNOWN_FIELDS),
        ]
    }

    /// Documents that are wrong, whatever they are about.
    fn invalid(&self) -> Vec<Vector> {
        let good = String::from_utf8(self.document(|_| {})).expect("JSON");
        let stranger = key(STRANGER).sign_statement(&self.payload);
        let by_stranger = Vector { ours: Err(Code::UntrustedKey), ..refused("invalid/by-a-stranger", stranger) };
        let der = self.der(PUBLISHER);
        let other_hint = sigstore_bundle(&self.payload, &der, fingerprint(APPROVER));
        let capitals = json!({"publicKey": {"hint": fingerprint(PUBLISHER).to_string().to_uppercase()}});
        let bare: DerSignature = sign(PUBLISHER, &self.payload).to_der();
        let smell = String::from_utf8_lossy(&self.payload).replace("\"small\"", "\"smell\"").into_bytes();
        let media_type = "application/vnd.dev.sigstore.bundle.v0.1+json";
        let cut_off = &der[..der.len() - 10];
        let longer = [&der[..], &[0]].concat();
        let hint_twice = good.replace("\"hint\":", "\"hint\":\"\",\"hint\":").into_bytes();
        let set = |field: &'static str, value: Value| self.envelope(move |envelope| envelope[field] = value);
        vec![
            by_stranger,
            refused("invalid/by-a-stranger-who-claims-the-publisher", self.with_signature(&self.der(STRANGER))),
            refused("invalid/hint-of-another-key", other_hint),
            refused("invalid/hint-in-capitals", self.material(capitals)),
            refused("invalid/hint-twice", hint_twice).differs(LAST_FIELD),
            refused("invalid/over-the-bare-payload", self.with_signature(bare.as_bytes())),
            refused("invalid/payload-changed-after-signing", sigstore_bundle(&smell, &der, fingerprint(PUBLISHER))),
            refused("invalid/cosigner-first", self.two_signatures(APPROVER, PUBLISHER)),
            refused("invalid/cosigner-second", self.two_signatures(PUBLISHER, APPROVER)).differs(FIRST_ONLY),
            refused("invalid/no-signature", set("signatures", json!([]))),
            refused("invalid/payload-type-changed", set("payloadType", "application/json".into())),
            refused("invalid/media-type-changed", self.document(|document| document["mediaType"] = media_type.into())),
            refused("invalid/signature-cut-off", self.with_signature(cut_off)),
            refused("invalid/signature-with-trailing-byte", self.with_signature(&longer)),
            refused("invalid/signature-not-base64", set("signatures", json!([{"sig": "%%%"}]))),
            refused("invalid/payload-not-base64", set("payload", "%%%".into())),
            refused("invalid/certificate", self.material(json!({"certificate": {"rawBytes": "AAAA"}}))),
            refused("invalid/no-envelope", self.document(|document| remove(document, "dsseEnvelope"))),
            refused("invalid/cut-off", good.as_bytes()[..good.len() / 2].to_vec()),
            refused("invalid/empty", Vec::new()),
        ]
    }

    /// Well-made signatures of the publisher over something else.
    fn invalid_payload(&self) -> Vec<Vector> {
        let extra = |name: &str| json!({"name": name, "algorithm": "sha256", "digest": "07".repeat(32)});
        let set = |field: &'static str, value: Value| self.statement(move |statement| statement[field] = value);
        let serialization = |value: Value| self.statement(|it| it["predicate"]["serialization"] = value);
        let two_subjects = self.statement(|statement| {
            let subject = statement["subject"][0].clone();
            statement["subject"] = json!([subject, subject]);
        });
        let root = self.statement(|it| it["subject"][0]["digest"]["sha256"] = "00".repeat(32).into());
        let shards = json!({"method": "shards", "hash_type": "sha256", "shard_size": 1_000_000});
        let exchanged = self.resources(|resources| {
            let digest = resources[0]["digest"].take();
            resources[0]["digest"] = resources[1]["digest"].take();
            resources[1]["digest"] = digest;
        });
        let twice = self.resources(|resources| resources.extend(resources.last().cloned()));
        let capitals = self.resources(|resources| {
            let digest = resources[0]["digest"].as_str().expect("hex").to_uppercase();
            resources[0]["digest"] = digest.into();
        });
        let without_header = self.resources(|resources| resources.retain(|resource| resource["name"] != "header"));
        let changed = self.resources(|resources| resources[0]["digest"] = "07".repeat(32).into());
        let sha512 = self.resources(|resources| resources[0]["algorithm"] = "sha512".into());
        let hash = json!({"method": "files", "hash_type": "blake2b"});
        vec![
            refused("invalid-payload/no-json", key(PUBLISHER).sign_statement(b"statement")),
            refused("invalid-payload/another-type", set("_type", "https://in-toto.io/Statement/v0.1".into())),
            refused("invalid-payload/another-predicate", set("predicateType", "https://slsa.dev/provenance/v1".into())),
            refused("invalid-payload/no-subject", set("subject", json!([]))),
            refused("invalid-payload/two-subjects", two_subjects),
            refused("invalid-payload/subject-digest-differs", root),
            refused("invalid-payload/shards", serialization(shards)),
            refused("invalid-payload/another-hash", serialization(hash)),
            refused("invalid-payload/another-hash-for-a-file", sha512),
            refused("invalid-payload/a-file-changed", changed),
            refused("invalid-payload/digests-exchanged", exchanged),
            refused("invalid-payload/a-file-missing", self.resources(|resources| drop(resources.pop()))),
            refused("invalid-payload/the-header-missing", without_header),
            refused("invalid-payload/nothing-covered", self.resources(Vec::clear)),
            refused("invalid-payload/a-file-too-many", self.resources(|all| all.push(extra("weights/1")))),
            refused("invalid-payload/a-file-outside", self.resources(|all| all.insert(0, extra("../outside")))),
            refused("invalid-payload/a-file-twice", twice).differs(LAST_RESOURCE),
            refused("invalid-payload/out-of-order", self.resources(|all| all.swap(0, 1))).differs(ANY_ORDER),
            refused("invalid-payload/digest-in-capitals", capitals).differs(ANY_CASE),
        ]
    }
}

fn sign(seed: u8, message: &[u8]) -> Signature {
    SigningKey::from_slice(&[seed; 32]).expect("a scalar below the order").sign(message)
}

fn fingerprint(seed: u8) -> Fingerprint {
    key(seed).public_key().fingerprint()
}

fn remove(value: &mut Value, field: &str) {
    drop(value.as_object_mut().expect("an object").remove(field));
}
