//! Public keys and their fingerprints.

use super::{KeyFault, TrustError};
use alloc::string::{String, ToString};
use core::fmt;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::der::pem::decode_vec;
use p256::pkcs8::spki::SubjectPublicKeyInfoRef;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use sha2::{Digest, Sha256};

/// SHA-256 of the canonical PEM text of a public key: the key hint of OpenSSF Model Signing.
///
/// Shown and serialised as 64 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Reads exactly 64 lowercase hex digits. Never panics.
    pub fn from_hex(text: &str) -> Option<Fingerprint> {
        fn nibble(digit: u8) -> Option<u8> {
            match digit {
                b'0'..=b'9' => digit.checked_sub(b'0'),
                b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
                _ => None,
            }
        }
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)?.checked_shl(4)? | nibble(*low)?;
        }
        Some(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An ECDSA P-256 key that verifies signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    pem: String,
    fingerprint: Fingerprint,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in PEM (`-----BEGIN PUBLIC KEY-----`), as `openssl` writes it.
    ///
    /// # Errors
    /// [`TrustError::InvalidKey`]: not PEM, not a public key, or a key of another algorithm or curve.
    pub fn from_pem(pem: &str) -> Result<PublicKey, TrustError> {
        Ok(Self::parse(pem)?)
    }

    pub(super) fn parse(pem: &str) -> Result<PublicKey, KeyFault> {
        const LABEL: &str = "PUBLIC KEY";
        let (label, document) = decode_vec(pem.trim().as_bytes()).map_err(|_| KeyFault::NotPem)?;
        if label.ends_with("PRIVATE KEY") {
            return Err(KeyFault::Private);
        }
        if label != LABEL {
            return Err(KeyFault::Label);
        }
        let info = SubjectPublicKeyInfoRef::try_from(document.as_slice()).map_err(|_| KeyFault::Malformed)?;
        let curve = info.algorithm.parameters_oid().ok().map(|oid| oid.to_string());
        let algorithm = algorithm_name(&info.algorithm.oid.to_string(), curve.as_deref());
        if algorithm != ALGORITHM {
            return Err(KeyFault::Algorithm { found: algorithm });
        }
        let key = VerifyingKey::try_from(info).map_err(|_| KeyFault::Point)?;
        Self::from_verifying_key(key)
    }

    fn from_verifying_key(key: VerifyingKey) -> Result<PublicKey, KeyFault> {
        // The fingerprint is over our own encoding, so that no reformatting of the file changes it.
        let pem = key.to_public_key_pem(LineEnding::LF).map_err(|_| KeyFault::Malformed)?;
        let fingerprint = Fingerprint(Sha256::digest(pem.as_bytes()).into());
        Ok(PublicKey { key, pem, fingerprint })
    }

    /// The key as canonical PEM: 64 columns, line feeds, one at the end.
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of [`to_pem`](Self::to_pem).
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether this key made `signature` over `message` (ECDSA with SHA-256).
    pub(super) fn verifies(&self, message: &[u8], signature: &DerSignature) -> bool {
        self.key.verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint)
    }
}

/// The one algorithm of this format.
pub const ALGORITHM: &str = "ECDSA P-256";

/// Name of the algorithm that a key is for: from its object identifier, and from that of its curve, in dotted decimals.
pub fn algorithm_name(algorithm: &str, curve: Option<&str>) -> &'static str {
    match (algorithm, curve) {
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => ALGORITHM,
        ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => "ECDSA P-384",
        ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => "ECDSA P-521",
        ("1.2.840.10045.2.1", Some("1.3.132.0.10")) => "ECDSA secp256k1",
        ("1.2.840.10045.2.1", _) => "another elliptic curve",
        ("1.3.101.112", _) => "Ed25519",
        ("1.3.101.113", _) => "Ed448",
        ("1.3.101.110" | "1.3.101.111", _) => "X25519 or X448",
        ("1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10", _) => "RSA",
        _ => "another algorithm",
    }
}
