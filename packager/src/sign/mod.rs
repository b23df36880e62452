//! Private keys, and signatures made with them.
//!
//! A key is an ECDSA P-256 key in PKCS#8 PEM, encrypted with a passphrase unless somebody asks otherwise; `openssl`
//! reads and writes the same files. Signatures are deterministic (RFC 6979): signing the same statement twice gives the
//! same bytes, and no entropy is needed but for a new key.
//!
//! Where a passphrase comes from, and where a key is written, is the caller's business.

mod encryption;
mod error;
mod key;

pub use error::KeyError;
pub use key::{PrivateKey, is_encrypted};
