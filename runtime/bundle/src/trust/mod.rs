//! Who vouches for a bundle, and whether that is enough.
//!
//! A signature is an [OpenSSF Model Signing](https://github.com/ossf/model-signing-spec) v1.0 document: a Sigstore
//! bundle (JSON) that holds a DSSE envelope with an in-toto [statement](statement_payload) over every section of the
//! bundle and over its header. Nothing of a statement is looked at before a trusted key has verified it, and the bytes
//! that were verified are the bytes that are parsed. Key hints order the attempts; they never decide trust.
//!
//! The evaluation needs no network, no file and no clock: keys, policy and time are arguments.
//!
//! What this module deliberately does not do: X.509 chains, transparency logs, key servers, revocation lists.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod block;
mod clock;
mod dsse;
mod error;
mod key;
mod policy;
mod policy_file;
mod resources;
mod statement;
mod suggest;
mod verify;

pub use block::decode_signatures;
#[cfg(feature = "write")]
pub use block::encode_signatures;
pub use dsse::{MAX_DOCUMENT_BYTES, PAYLOAD_TYPE, pae, sigstore_bundle};
pub use error::{Expiry, KeyFault, PolicyFault, SignatureFault, TrustError};
pub use key::{ALGORITHM, Fingerprint, PublicKey, algorithm_name};
pub use policy::{Policy, PolicyKey, Role};
pub use resources::Resources;
pub use statement::{HEADER_NAME, PREDICATE_TYPE, statement_over, statement_payload};
pub use verify::{MAX_SIGNATURES, check_version, verify, verify_over};

use alloc::string::String;
use alloc::vec::Vec;

/// Whom the caller trusts. There is no default: a caller decides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// A valid signature by any one of these keys suffices.
    Keys(Vec<PublicKey>),
    /// The signatures must satisfy this policy.
    Policy(Policy),
    /// Anything goes, signed or not. The content digests still protect against accidents, but against no attacker.
    AllowUnsigned,
}

/// What the signatures were found to be worth.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// One entry per key, in the order of the signatures.
    pub signers: Vec<Signer>,
}

impl Verdict {
    /// The signers whose signatures were verified and counted.
    pub fn trusted(&self) -> impl Iterator<Item = &Signer> {
        self.signers.iter().filter(|signer| signer.trusted)
    }

    /// Whether a trusted signer vouches for the bundle. False after [`Trust::AllowUnsigned`].
    pub fn is_trusted(&self) -> bool {
        self.trusted().next().is_some()
    }
}

/// A key that signed, or claims to have signed, the bundle.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Signer {
    /// Fingerprint of the key. Of a signer that is not trusted it is only what the document claims, or `None` where it
    /// claims nothing.
    pub fingerprint: Option<Fingerprint>,
    /// The name that the policy gives to the holder of the key.
    pub name: Option<String>,
    /// The roles that the policy gives to the key.
    pub roles: Vec<String>,
    /// The signature was verified with a trusted key that has not expired. Otherwise nothing about it was checked but
    /// its form, or its key has expired, and it does not count.
    pub trusted: bool,
}

/// Refuses a field whose value is not the one that the format prescribes.
fn require(field: &'static str, found: &str, expected: &'static str) -> Result<(), SignatureFault> {
    if found == expected {
        return Ok(());
    }
    Err(SignatureFault::Unexpected { field, found: shorten(found), expected })
}

/// A hostile text, short enough for a message.
fn shorten(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => text.get(..end).into_iter().chain(["..."]).collect(),
        None => text.into(),
    }
}

/// JSON without white space, fields in the order of their declaration.
fn to_json(document: &impl serde::Serialize) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "texts, arrays and structs always have a JSON form, and memory takes it all"
    )]
    serde_json::to_vec(document).expect("a document of texts has a JSON form")
}

#[cfg(test)]
mod tests;
