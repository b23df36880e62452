//! Passphrases: PKCS#8 encryption with PBES2.

use super::KeyError;
use pkcs8::der::SecretDocument;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};

/// scrypt with N = 2^14, r = 8, p = 5: one of the settings that OWASP's Password Storage Cheat Sheet lists as equal in
/// strength, and the largest N with which `openssl` stays inside its limit of 32 MiB.
const SCRYPT_N: u64 = 1 << 14;
const SCRYPT_R: u16 = 8;
const SCRYPT_P: u16 = 5;
/// Most work that a key file may ask for before its passphrase is known to be right: N * r * p, 64 times our own. With
/// 128 bytes each, 5 GiB pass through memory, which is some ten seconds.
const MAX_SCRYPT_WORK: u64 = 64 * 5 * 8 * (1 << 14);
/// Most memory that a key file may ask for: N * r * 128 bytes.
const MAX_SCRYPT_BYTES: u64 = 512 << 20;
/// Most PBKDF2 iterations that a key file may ask for.
const MAX_PBKDF2_ITERATIONS: u32 = 20_000_000;

/// Encrypts a PKCS#8 document.
pub(super) fn encrypt(document: &SecretDocument, passphrase: &[u8]) -> Result<SecretDocument, KeyError> {
    if passphrase.is_empty() {
        return Err(KeyError::EmptyPassphrase);
    }
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    getrandom::fill(&mut salt).map_err(KeyError::Entropy)?;
    getrandom::fill(&mut iv).map_err(KeyError::Entropy)?;
    let scrypt = ScryptParams {
        salt: Salt::new(salt).map_err(|_| KeyError::Malformed)?,
        cost_parameter: SCRYPT_N,
        block_size: SCRYPT_R,
        parallelization: SCRYPT_P,
        key_length: None,
    };
    let parameters = Parameters { kdf: Kdf::Scrypt(scrypt), encryption: EncryptionScheme::Aes256Cbc { iv } };
    let info: PrivateKeyInfoRef<'_> = document.decode_msg().map_err(|_| KeyError::Malformed)?;
    info.encrypt_with_params(parameters, passphrase).map_err(|_| KeyError::Malformed)
}

/// Decrypts a PKCS#8 document.
pub(super) fn decrypt(document: &[u8], passphrase: &[u8]) -> Result<SecretDocument, KeyError> {
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document).map_err(|_| KeyError::UnsupportedEncryption)?;
    let scheme = encrypted.encryption_algorithm.pbes2().ok_or(KeyError::UnsupportedEncryption)?;
    check_cost(&scheme.kdf)?;
    let decrypted = encrypted.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. },
        ) => KeyError::UnsupportedEncryption,
        _ => KeyError::WrongPassphrase,
    })?;
    // A wrong passphrase passes the padding of CBC once in 256 times and then gives noise.
    match decrypted.decode_msg::<PrivateKeyInfoRef<'_>>() {
        Ok(_) => Ok(decrypted),
        Err(_) => Err(KeyError::WrongPassphrase),
    }
}

fn check_cost(kdf: &Kdf) -> Result<(), KeyError> {
    if let Some(scrypt) = kdf.scrypt() {
        let blocks = scrypt.cost_parameter.saturating_mul(scrypt.block_size.into());
        if blocks.saturating_mul(128) > MAX_SCRYPT_BYTES {
            return Err(KeyError::DerivationCost { limit: "512 MiB of memory" });
        }
        if blocks.saturating_mul(scrypt.parallelization.into()) > MAX_SCRYPT_WORK {
            return Err(KeyError::DerivationCost { limit: "64 times the work of a new key" });
        }
    }
    match kdf.pbkdf2() {
        Some(pbkdf2) if pbkdf2.iteration_count > MAX_PBKDF2_ITERATIONS => {
            Err(KeyError::DerivationCost { limit: "20,000,000 iterations" })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use pkcs8::LineEnding;
    use pkcs8::der::asn1::OctetStringRef;

    /// An encrypted key file that asks for this much work. What it encrypts is noise.
    pub(in super::super) fn with_scrypt_cost(n: u64, r: u16, p: u16) -> String {
        let scrypt = ScryptParams {
            salt: Salt::new([0; 16]).unwrap(),
            cost_parameter: n,
            block_size: r,
            parallelization: p,
            key_length: None,
        };
        let encryption = EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: Parameters { kdf: Kdf::Scrypt(scrypt), encryption }.into(),
            encrypted_data: OctetStringRef::new(&[0; 160]).unwrap(),
        };
        let document = SecretDocument::try_from(info).unwrap();
        document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
    }

    /// A key file encrypted so that it is decrypted, and guessed, in no time.
    pub(in super::super) fn quick(plain: &str, passphrase: &[u8]) -> String {
        let (_, document) = SecretDocument::from_pem(plain).unwrap();
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(1, &[0; 16], [0; 16]).unwrap();
        let info: PrivateKeyInfoRef<'_> = document.decode_msg().unwrap();
        let encrypted = info.encrypt_with_params(parameters, passphrase).unwrap();
        encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
    }
}
