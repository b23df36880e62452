//! The private key itself.

use super::{KeyError, encryption};
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use pannier_bundle::trust::{ALGORITHM, PublicKey, algorithm_name, pae, sigstore_bundle};
use pkcs8::der::SecretDocument;
use pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding, PrivateKeyInfoRef};
use std::fmt;
use zeroize::Zeroizing;

const PLAIN_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Whether a private key file has to be decrypted. Says nothing about whether it is a usable key.
pub fn is_encrypted(pem: &str) -> bool {
    pem.contains(&format!("-----BEGIN {ENCRYPTED_LABEL}-----"))
}

/// An ECDSA P-256 key that makes signatures. It is wiped from memory when dropped, and its `Debug` form shows only the
/// fingerprint of its public half.
pub struct PrivateKey {
    key: SigningKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a new key from the system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::Entropy`].
    pub fn generate() -> Result<PrivateKey, KeyError> {
        let mut scalar = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(scalar.as_mut_slice()).map_err(KeyError::Entropy)?;
            // 0 and what is not below the order of the curve are no keys: fewer than 1 in 2^32 draws.
            if let Ok(secret) = SecretKey::from_slice(scalar.as_slice()) {
                return PrivateKey::from_secret(&secret);
            }
        }
    }

    /// Reads a PKCS#8 key in PEM. The passphrase is used only if the key [is encrypted](is_encrypted).
    ///
    /// # Errors
    /// [`KeyError::PassphraseMissing`], [`KeyError::WrongPassphrase`]; [`KeyError::Algorithm`] for a key of another
    /// algorithm or curve; the other variants for a file that is not such a key.
    pub fn from_pem(pem: &str, passphrase: Option<&[u8]>) -> Result<PrivateKey, KeyError> {
        if pem.contains("-----BEGIN EC PRIVATE KEY-----") || pem.contains("-----BEGIN RSA PRIVATE KEY-----") {
            return Err(KeyError::NotPkcs8);
        }
        let (label, document) = SecretDocument::from_pem(pem.trim()).map_err(|_| KeyError::NotPem)?;
        match label {
            PLAIN_LABEL => Self::from_der(&document),
            ENCRYPTED_LABEL => {
                let passphrase = passphrase.ok_or(KeyError::PassphraseMissing)?;
                Self::from_der(&encryption::decrypt(document.as_bytes(), passphrase)?)
            }
            "PUBLIC KEY" => Err(KeyError::Public),
            _ => Err(KeyError::Label),
        }
    }

    fn from_der(document: &SecretDocument) -> Result<PrivateKey, KeyError> {
        let info: PrivateKeyInfoRef<'_> = document.decode_msg().map_err(|_| KeyError::Malformed)?;
        let curve = info.algorithm.parameters_oid().ok().map(|oid| oid.to_string());
        let algorithm = algorithm_name(&info.algorithm.oid.to_string(), curve.as_deref());
        if algorithm != ALGORITHM {
            return Err(KeyError::Algorithm { found: algorithm });
        }
        PrivateKey::from_secret(&SecretKey::try_from(info).map_err(|_| KeyError::Malformed)?)
    }

    fn from_secret(secret: &SecretKey) -> Result<PrivateKey, KeyError> {
        let pem = secret.public_key().to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Malformed)?;
        let public = PublicKey::from_pem(&pem).map_err(|_| KeyError::Malformed)?;
        Ok(PrivateKey { key: SigningKey::from(secret), public })
    }

    /// The key in PKCS#8 PEM, encrypted with a passphrase (scrypt and AES-256-CBC, readable by `openssl`).
    ///
    /// # Errors
    /// [`KeyError::EmptyPassphrase`], [`KeyError::Entropy`].
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let encrypted = encryption::encrypt(&self.to_der()?, passphrase)?;
        encrypted.to_pem(ENCRYPTED_LABEL, LineEnding::LF).map_err(|_| KeyError::Malformed)
    }

    /// The key in PKCS#8 PEM, for everybody to read who can read the file.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub fn to_unencrypted_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.to_der()?.to_pem(PLAIN_LABEL, LineEnding::LF).map_err(|_| KeyError::Malformed)
    }

    fn to_der(&self) -> Result<SecretDocument, KeyError> {
        SecretKey::from(&self.key).to_pkcs8_der().map_err(|_| KeyError::Malformed)
    }

    /// The half that everybody may have.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a statement (see [`statement_payload`](pannier_bundle::trust::statement_payload)) and gives the document
    /// that goes into the bundle. The same key and payload give the same bytes.
    pub fn sign_statement(&self, payload: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(&pae(payload));
        sigstore_bundle(payload, signature.as_bytes(), self.public.fingerprint())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public.fingerprint())
    }
}

#[cfg(test)]
mod tests;
