//! The test vectors: files that every reader of format version 1 must judge alike.
//!
//! Each case is made by code, so that what is wrong with a file can be read here; `examples/vectors.rs` writes them.

use pannier_bundle::{Code, Decoder, Limits, Policy, PublicKey, Trust};
use serde::Serialize;

use crate::support::{Way, key, public_key, read_all};

mod container;
mod frames;
mod manifests;
mod signatures;
mod valid;

/// One file of the vectors.
pub struct Case {
    /// Path below `tests/vectors/v1`.
    pub file: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Whom the reader is to trust.
    pub trust: TrustMode,
    /// The code that the reader must give; none for a valid file.
    pub code: Option<Code>,
    /// The rule that the case is about.
    pub why: &'static str,
}

/// Whom a reader trusts while it reads a vector. The files lie beside the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustMode {
    /// Anybody.
    AllowUnsigned,
    /// The key in `publisher.pub`.
    Publisher,
    /// The policy in `policy.toml`.
    Policy,
    /// The policy in `expired.toml`.
    ExpiredPolicy,
}

impl TrustMode {
    pub fn trust(self) -> Trust {
        match self {
            TrustMode::AllowUnsigned => Trust::AllowUnsigned,
            TrustMode::Publisher => Trust::Keys(vec![publisher()]),
            TrustMode::Policy => Trust::Policy(Policy::from_toml(&policy()).unwrap()),
            TrustMode::ExpiredPolicy => Trust::Policy(Policy::from_toml(&expired_policy()).unwrap()),
        }
    }
}

/// Number of the publisher's key, see [`key`].
pub const PUBLISHER: u8 = 1;
/// Number of the approver's key.
pub const APPROVER: u8 = 2;
/// Number of a key that nobody trusts.
pub const STRANGER: u8 = 3;

fn publisher() -> PublicKey {
    public_key(&key(PUBLISHER))
}

/// One publisher, one approver, and no version below 1.2.0.
fn policy() -> String {
    let [publisher, approver] = [PUBLISHER, APPROVER].map(|number| public_key(&key(number)).to_pem().to_string());
    format!(
        "[roles]\npublisher = 1\napprover = 1\n\n[minimum_version]\nsample = \"1.2.0\"\n\n\
         [[keys]]\nname = \"ada\"\nroles = [\"publisher\"]\npem = \"\"\"\n{publisher}\"\"\"\n\n\
         [[keys]]\nname = \"grace\"\nroles = [\"approver\"]\npem = \"\"\"\n{approver}\"\"\"\n"
    )
}

fn expired_policy() -> String {
    format!("expires = 2025-06-30\n\n{}", policy())
}

/// The files beside the vectors: keys and policies.
pub fn companions() -> Vec<(&'static str, String)> {
    vec![
        ("publisher.pub", publisher().to_pem().to_string()),
        ("policy.toml", policy()),
        ("expired.toml", expired_policy()),
    ]
}

/// Every case, sorted by file.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(valid::cases());
    cases.extend(container::cases());
    cases.extend(frames::cases());
    cases.extend(signatures::cases());
    cases.extend(manifests::cases());
    cases.sort_by(|a, b| a.file.cmp(&b.file));
    cases
}

/// What `manifest.json` says of a case.
#[derive(Serialize)]
struct Entry<'a> {
    file: &'a str,
    trust: TrustMode,
    /// The expected code, or null.
    code: Option<&'static str>,
    why: &'a str,
    /// What this project's reader says.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Of a valid file: the SHA-256 of each section's content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sections: Vec<(String, String)>,
}

/// The text of `manifest.json`.
pub fn manifest_json(cases: &[Case]) -> String {
    let entries: Vec<Entry<'_>> = cases
        .iter()
        .map(|case| Entry {
            file: &case.file,
            trust: case.trust,
            code: case.code.map(Code::name),
            why: case.why,
            message: message(case),
            sections: if case.code.is_none() { content_digests(case) } else { Vec::new() },
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&entries).unwrap();
    text.push('\n');
    text
}

/// So that a reader that refuses a file for another reason than the one meant shows in the index. (The codes of trust
/// say enough.)
fn message(case: &Case) -> Option<String> {
    if case.trust != TrustMode::AllowUnsigned {
        return None;
    }
    let (limits, decoder) = (Limits::default(), Decoder::default());
    let outcome = read_all(&case.bytes, &case.trust.trust(), &limits, decoder, Way::RandomAccess);
    outcome.err().map(|error| error.to_string())
}

fn content_digests(case: &Case) -> Vec<(String, String)> {
    let bundle = pannier_bundle::Bundle::open(&*case.bytes, &Limits::default()).unwrap();
    let hex = |digest: &[u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    bundle.header().sections.iter().map(|section| (section.name.clone(), hex(&section.sha256))).collect()
}

/// A case that needs no signature.
fn unsigned(file: &str, code: impl Into<Option<Code>>, why: &'static str, bytes: Vec<u8>) -> Case {
    let file = format!("{file}.pannier");
    Case { file, bytes, trust: TrustMode::AllowUnsigned, code: code.into(), why }
}
