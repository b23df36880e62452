//! The signed statement: which files, with which digests.

use super::{Fingerprint, Resources, SignatureFault};
use crate::header::Header;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Type of the predicate: OpenSSF Model Signing v1.0. The host is part of the name; it does not resolve.
pub const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

/// Name under which the bundle's header stands in the statement, beside the sections.
pub const HEADER_NAME: &str = "header";

const METHOD: &str = "files";
const HASH: &str = "sha256";

/// Writes the statement over a bundle: the payload that is signed. The same arguments give the same bytes.
///
/// `name` is the model's name, for people. `header_bytes` are the bytes of the header as they stand in the file, and
/// `header` is what they mean.
pub fn statement_payload(name: &str, header_bytes: &[u8], header: &Header) -> Vec<u8> {
    statement_over(name, &Resources::of_bundle(header_bytes, header))
}

/// Writes the statement over other resources than a bundle's. The same arguments give the same bytes.
pub fn statement_over(name: &str, resources: &Resources<'_>) -> Vec<u8> {
    let covered = resources.digests();
    let resources: Vec<WrittenResource<'_>> =
        covered.iter().map(|(name, digest)| WrittenResource { name, algorithm: HASH, digest: *digest }).collect();
    super::to_json(&Written {
        kind: STATEMENT_TYPE,
        subject: [WrittenSubject { name, digest: WrittenDigest { sha256: root_digest(covered.values()) } }],
        predicate_type: PREDICATE_TYPE,
        predicate: WrittenPredicate {
            serialization: Serialization { method: METHOD, hash_type: HASH, allow_symlinks: false },
            resources,
        },
    })
}

/// Checks that a verified payload is a statement over exactly these resources.
pub(super) fn check(payload: &[u8], resources: &Resources<'_>) -> Result<(), SignatureFault> {
    let statement: Read = serde_json::from_slice(payload)
        .map_err(|error| SignatureFault::Malformed { what: "statement", detail: error.to_string() })?;
    super::require("_type", &statement.kind, STATEMENT_TYPE)?;
    super::require("predicateType", &statement.predicate_type, PREDICATE_TYPE)?;
    super::require("serialization.method", &statement.predicate.serialization.method, METHOD)?;
    super::require("serialization.hash_type", &statement.predicate.serialization.hash_type, HASH)?;

    let signed = signed_digests(&statement.predicate.resources)?;
    let [subject] = statement.subject.as_slice() else {
        return Err(SignatureFault::Subjects { found: statement.subject.len() });
    };
    if Fingerprint::from_hex(&subject.digest.sha256) != Some(root_digest(signed.values())) {
        return Err(SignatureFault::SubjectDigest);
    }

    let covered = resources.digests();
    if resources.are_ambiguous() {
        return Err(SignatureFault::Ambiguous);
    }
    for (name, found) in covered {
        match signed.get(name) {
            None => return Err(SignatureFault::Missing { name: (*name).to_owned() }),
            Some(signed) if signed != found => {
                return Err(SignatureFault::Digest { name: (*name).to_owned(), signed: *signed, found: *found });
            }
            Some(_) => {}
        }
    }
    match signed.keys().find(|name| !covered.contains_key(*name)) {
        Some(name) => Err(SignatureFault::Extra { name: super::shorten(name) }),
        None => Ok(()),
    }
}

/// The resources of a statement, which must be in strictly ascending order: that also rules out duplicates.
fn signed_digests(resources: &[ReadResource]) -> Result<BTreeMap<&str, Fingerprint>, SignatureFault> {
    let mut signed = BTreeMap::new();
    let mut before: Option<&str> = None;
    for resource in resources {
        let name = resource.name.as_str();
        super::require("algorithm", &resource.algorithm, HASH)?;
        if before.is_some_and(|before| before >= name) {
            return Err(SignatureFault::Order { name: super::shorten(name) });
        }
        let digest = Fingerprint::from_hex(&resource.digest)
            .ok_or_else(|| SignatureFault::DigestForm { name: super::shorten(name) })?;
        signed.insert(name, digest);
        before = Some(name);
    }
    Ok(signed)
}

/// SHA-256 over the concatenated raw digests, in the order of the names.
fn root_digest<'a>(digests: impl Iterator<Item = &'a Fingerprint>) -> Fingerprint {
    let mut hasher = Sha256::new();
    digests.for_each(|digest| hasher.update(digest.0));
    Fingerprint(hasher.finalize().into())
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [WrittenSubject<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: WrittenPredicate<'a>,
}

#[derive(Serialize)]
struct WrittenSubject<'a> {
    name: &'a str,
    digest: WrittenDigest,
}

#[derive(Serialize)]
struct WrittenDigest {
    sha256: Fingerprint,
}

#[derive(Serialize)]
struct WrittenPredicate<'a> {
    serialization: Serialization,
    resources: Vec<WrittenResource<'a>>,
}

#[derive(Serialize)]
struct Serialization {
    method: &'static str,
    hash_type: &'static str,
    allow_symlinks: bool,
}

#[derive(Serialize)]
struct WrittenResource<'a> {
    name: &'a str,
    algorithm: &'static str,
    digest: Fingerprint,
}

// Unknown fields are skipped on every level: the specification allows additions to the predicate. A field that is
// named here must be there, once.

#[derive(Deserialize)]
struct Read {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<ReadSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: ReadPredicate,
}

#[derive(Deserialize)]
struct ReadSubject {
    digest: ReadDigest,
}

#[derive(Deserialize)]
struct ReadDigest {
    sha256: String,
}

#[derive(Deserialize)]
struct ReadPredicate {
    serialization: ReadSerialization,
    resources: Vec<ReadResource>,
}

#[derive(Deserialize)]
struct ReadSerialization {
    method: String,
    hash_type: String,
}

#[derive(Deserialize)]
struct ReadResource {
    name: String,
    algorithm: String,
    digest: String,
}
