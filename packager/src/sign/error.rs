//! Why a private key cannot be used.

use pannier_bundle::Code;
use thiserror::Error;

/// Why a private key could not be read, made or written. No variant holds anything of the key or of the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not PEM.
    #[error("it is not a PEM file")]
    NotPem,
    /// The PEM file holds a public key.
    #[error("it is a public key, a private key is needed")]
    Public,
    /// The PEM file holds a private key in a form older than PKCS#8.
    #[error("it is not in PKCS#8 form")]
    NotPkcs8,
    /// The PEM file holds something else.
    #[error("it is neither a `PRIVATE KEY` nor an `ENCRYPTED PRIVATE KEY`")]
    Label,
    /// The key is encrypted and no passphrase was given.
    #[error("it is encrypted, and no passphrase was given")]
    PassphraseMissing,
    /// The passphrase does not decrypt the key.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// A key cannot be encrypted with nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The key is encrypted in a way that is not supported.
    #[error("it is encrypted with a scheme that is not supported")]
    UnsupportedEncryption,
    /// Deriving the decryption key would take more than any honest key file asks for.
    #[error("its key derivation asks for more than {limit}")]
    DerivationCost {
        /// The limit that it exceeds.
        limit: &'static str,
    },
    /// The content is not a private key.
    #[error("it is not a well-formed private key")]
    Malformed,
    /// A key of another algorithm.
    #[error("it is a key for {found}, expected ECDSA P-256")]
    Algorithm {
        /// The algorithm, where it is a known one.
        found: &'static str,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Entropy(getrandom::Error),
}

impl KeyError {
    /// The stable code of this error.
    pub fn code(&self) -> Code {
        match self {
            KeyError::Entropy(_) => Code::Failed,
            _ => Code::InvalidKey,
        }
    }

    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            KeyError::NotPem | KeyError::Label | KeyError::Malformed => Some(
                "a private key file begins with `-----BEGIN ENCRYPTED PRIVATE KEY-----`; `packager key new` makes one",
            ),
            KeyError::Public => Some("give the file that was made together with it"),
            KeyError::NotPkcs8 => Some("convert it: `openssl pkcs8 -topk8 -scrypt -in OLD.pem -out KEY.pem`"),
            KeyError::UnsupportedEncryption | KeyError::DerivationCost { .. } => {
                Some("encrypt it again: `openssl pkcs8 -topk8 -scrypt -in OLD.pem -out KEY.pem`")
            }
            KeyError::PassphraseMissing => {
                Some("set PACKAGER_KEY_PASSPHRASE, give a passphrase file, or run where it can be asked for")
            }
            KeyError::EmptyPassphrase => Some("give a passphrase, or ask for an unencrypted key in so many words"),
            KeyError::Algorithm { .. } => Some("make a P-256 key: `packager key new`"),
            KeyError::WrongPassphrase | KeyError::Entropy(_) => None,
        }
    }
}
