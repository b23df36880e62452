//! Keys, a bundle's header and signatures over it, all from fixed seeds.

use crate::header::{Header, Kind, Section};
use crate::trust::{
    Fingerprint, Policy, PublicKey, Trust, TrustError, Verdict, pae, sigstore_bundle, statement_payload, verify,
};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};

/// The bytes of the header; what they are does not matter here.
pub(super) const HEADER_BYTES: &[u8] = b"the header";

/// A person's key.
pub(super) struct Key {
    signing: SigningKey,
    pub(super) public: PublicKey,
}

impl Key {
    /// The same seed gives the same key.
    pub(super) fn new(seed: u8) -> Key {
        let signing = SigningKey::from_slice(&[seed; 32]).unwrap();
        let pem = signing.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        Key { signing, public: PublicKey::from_pem(&pem).unwrap() }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    pub(super) fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.signing.sign(message);
        signature.as_bytes().to_vec()
    }

    /// A signature document over a payload.
    pub(super) fn sign(&self, payload: &[u8]) -> Vec<u8> {
        sigstore_bundle(payload, &self.sign_der(&pae(payload)), self.fingerprint())
    }

    /// A signature document over the bundle of these tests.
    pub(super) fn sign_bundle(&self) -> Vec<u8> {
        self.sign(&payload())
    }
}

/// The table of the bundle of these tests.
pub(super) fn header() -> Header {
    let section = |kind, name: &str, digest| Section {
        kind,
        name: name.into(),
        critical: true,
        offset: 0,
        stored_bytes: 0,
        content_bytes: 0,
        sha256: [digest; 32],
        chunks: Vec::new(),
    };
    Header {
        sections: vec![
            section(Kind::Manifest, "manifest", 1),
            section(Kind::Graph, "graph", 2),
            section(Kind::Weights, "weights/0", 3),
        ],
    }
}

/// The statement over the bundle of these tests.
pub(super) fn payload() -> Vec<u8> {
    statement_payload("magika", HEADER_BYTES, &header())
}

/// Judges signatures over the bundle of these tests.
pub(super) fn judge(signatures: &[Vec<u8>], trust: &Trust, now: Option<u64>) -> Result<Verdict, TrustError> {
    verify(HEADER_BYTES, &header(), signatures, trust, now)
}

/// A `[[keys]]` entry of a policy.
pub(super) fn entry(name: &str, key: &Key, roles: &str, more: &str) -> String {
    format!("[[keys]]\nname = \"{name}\"\nroles = [{roles}]\npem = \"\"\"\n{}\"\"\"\n{more}\n", key.public.to_pem())
}

pub(super) fn policy(text: &str) -> Policy {
    Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a table of cases found wrong.
pub(super) fn report(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} case(s) failed:\n{}", failures.len(), failures.join("\n"));
}
