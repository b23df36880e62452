//! Private keys: made here, made by OpenSSL, and everything that is not one.

use super::*;

const PASSPHRASE: &[u8] = b"hunter2";

/// A key file of `openssl genpkey`, OpenSSL 3.0, as are all below. It is known to everybody: never trust it.
const PLAIN: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHUYcqsooySyYsw1m
c3M5RygIq3xS1axK+uhQJsNJ/6+hRANCAAR/XrD/7bG68n48tJYF3adDdTEVHmkJ
6BbJ0szql2I4Na2bHFIfRmvAM6Hgi/0TJk3YaF6FApSDnhJ27yAw15kD
-----END PRIVATE KEY-----
";
/// The same key after `openssl pkcs8 -topk8 -scrypt`.
const SCRYPT: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAj9zGdS/FPO7QICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBCCU5dNgqm326BjJX1zT869BIGQQUbu26KzeI3W
DiGxB9rZbvgLU1Y0xvSynciI6sn+yuSIqLkjPKYSZl6xWj0zn3loAFYBOShGmEJG
z8eBCGNWT3z3mSWhVogWbPhnt2KpJ3/bp4wqUbuWqnI8gOKd/eHVK5RzmqYN8JPu
JlaWq7gfsh4QH3tgIC8bZceSgw9a+dXMD5dfv84uZ42lZeGGdBPc
-----END ENCRYPTED PRIVATE KEY-----
";
/// The same key after `openssl pkcs8 -topk8`: PBKDF2 with SHA-256.
const PBKDF2: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjOCvUs2k0nNwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEG3UppDI0U+wuW02kiA/U8sEgZAg
olubQVm4ci9q1saf2O5C5P8ye+3AcCy9loh0diTH0cCEJ4SnDnYzj216KRJNJAcg
wxWBiSGXc9ypRtiq2WG/zBxqtV6RtHD8RJBBAmmkX+C1V4uvnRnDCFy5x0XcMHeF
pTj6/OuOvkP99l5ws4RO6QYodqptQ1i4gpi1jYlzCiY22DI0ZAUfCwp8ofB6B98=
-----END ENCRYPTED PRIVATE KEY-----
";
/// The same key after `openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES`.
const PBES1: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGxMBwGCiqGSIb3DQEMAQMwDgQI43dkjxhT7BICAggABIGQJB6g2nP9oBzvl23D
k7FjReGNJb8B9LgPm5oPEyT24Vy8bdERR2bVfQroDlCh1uPCjK8Fx8wWUO2YVpqw
kJSnWQyKbWG+MFrR7YfDDjeZxm1kziH4O5sS6lETOpkW1GIvIbtMUY8oN2po+fbw
AJ3g5+Hz/wiU490dkd4rGbS+9CsXKGCJFPv+VeuOaJSaTweM
-----END ENCRYPTED PRIVATE KEY-----
";
/// The same key after `openssl pkcs8 -topk8 -v2 des3`.
const TRIPLE_DES: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAj2Y7LGoruUswICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIjfI5nc3ti6sEgZC0slRA5EOV87hX
oKkTzgyvZDH1CkLw5kmv+qKVUtBuPvKFXf9x3DTVu9+F+jxetc/WT4V+0ncHCXv9
XhdcBsSxuQCZFxtydlyCnnD52zha6ieMqQL2PbadlEFzegaZsAPwNe3QAZe2GVZ9
Q8UMS6Ohm/4/5RZFfizkoEBBFXhT+fL0Hh7WVXjnkB3KXe8YHKM=
-----END ENCRYPTED PRIVATE KEY-----
";
const P384: &str = "\
-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDA11Un4ga7jbGWChQf/
xyCuJg7qX8WVFqYNUEvTq1RKRpIlu9KRhzNCI+AzJr8iQmehZANiAAStwrWez6lL
1KABY2V24VJnXKGWyO1HpeDsK37fTT0HmBXKxbxPKaSuxQn/Yte1CERG/vQsYIkY
yGayJ3kDd7eCfz0omZpFciXwiu9DjeFX8Xs2CUDkXIn8i/WPKlU5ubo=
-----END PRIVATE KEY-----
";
const P384_ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIIBFDBPBgkqhkiG9w0BBQ0wQjAhBgkrBgEEAdpHBAswFAQISVpfbK7/m7gCAkAA
AgEIAgEBMB0GCWCGSAFlAwQBKgQQdf0kASomiqd65gwgeuIIewSBwCcszvoJMWPi
TEsR0s+Pyw+Br0DMgFbQ3BiVOFl0J5o90CEKK7PVAx4YfBf6jKrqemiEvU9GbaIh
ei6/j+UTFNDay7ZPvozzqUiCCVPs+9NVAgRJRAhaxHk8PHla9/o1lR60CHrC/xef
E/yScFbTlQAY7a/3MG/VFGNHWyTWBFOK60SAPlziDUyelvTUvl5gn61pg8xaLCjY
rPexk41Gt4NR4EOe2iYggtbhjhTyNPWV9fzwoSK1uYVy19ZGD4ObtA==
-----END ENCRYPTED PRIVATE KEY-----
";
const ED25519: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIG5GGle560fcCDeZctXehQTlF8lvSIy6Ov+xj3J+JlmI
-----END PRIVATE KEY-----
";
/// `openssl ecparam -name prime256v1 -genkey`.
const SEC1: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIMv4mIv8wdK2MK+gqRuj3XTXDGBxuUXxsEON8Two3jOxoAoGCCqGSM49
AwEHoUQDQgAELEFFkM8RXi/haQxRu9dZjr9JUk7KLO2iADk2w9jxR+WVnFTS1x1A
khfTTDCEJZfeGplUyvZo9TPzizZ5URa4WQ==
-----END EC PRIVATE KEY-----
";
/// SHA-256 of the file that `openssl pkey -pubout` makes of `PLAIN`.
const FINGERPRINT: &str = "3b3dcbf3cb974b4d18ccdcf12e623c916e5114d5f2497cb8d420e4522210ef0d";

#[test]
fn keys_of_openssl_are_read() {
    for (rule, pem, passphrase) in [
        ("plain", PLAIN, None),
        ("plain, and a passphrase that is not needed", PLAIN, Some(PASSPHRASE)),
        ("scrypt", SCRYPT, Some(PASSPHRASE)),
        ("PBKDF2", PBKDF2, Some(PASSPHRASE)),
    ] {
        let key = PrivateKey::from_pem(pem, passphrase).unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert_eq!(key.public_key().fingerprint().to_string(), FINGERPRINT, "{rule}");
        assert_eq!(key.to_unencrypted_pem().unwrap().as_str(), PLAIN, "{rule}");
    }
}

#[test]
fn what_is_not_a_usable_key_is_named() {
    let public = PrivateKey::from_pem(PLAIN, None).unwrap().public_key().to_pem().to_owned();
    let label = |label: &str| PLAIN.replace("PRIVATE KEY", label);
    // N, r and p of scrypt stand in clear before the encrypted part.
    let costly = encryption::tests::with_scrypt_cost(1 << 30, 8, 1);
    let slow = encryption::tests::with_scrypt_cost(1 << 14, 8, 60_000);
    let limit_memory = KeyError::DerivationCost { limit: "512 MiB of memory" };
    let limit_work = KeyError::DerivationCost { limit: "64 times the work of a new key" };
    let cases: Vec<(&str, &str, Option<&[u8]>, KeyError)> = vec![
        ("empty", "", None, KeyError::NotPem),
        ("prose", "my key", None, KeyError::NotPem),
        ("a public key", &public, None, KeyError::Public),
        ("SEC1", SEC1, None, KeyError::NotPkcs8),
        ("no passphrase", SCRYPT, None, KeyError::PassphraseMissing),
        ("wrong passphrase", SCRYPT, Some(b"hunter3"), KeyError::WrongPassphrase),
        ("wrong passphrase, PBKDF2", PBKDF2, Some(b"hunter3"), KeyError::WrongPassphrase),
        ("empty passphrase", SCRYPT, Some(b""), KeyError::WrongPassphrase),
        ("PBES1", PBES1, Some(PASSPHRASE), KeyError::UnsupportedEncryption),
        ("triple DES", TRIPLE_DES, Some(PASSPHRASE), KeyError::UnsupportedEncryption),
        ("P-384", P384, None, KeyError::Algorithm { found: "ECDSA P-384" }),
        ("encrypted P-384", P384_ENCRYPTED, Some(PASSPHRASE), KeyError::Algorithm { found: "ECDSA P-384" }),
        ("encrypted P-384, wrong passphrase", P384_ENCRYPTED, Some(b"x"), KeyError::WrongPassphrase),
        ("Ed25519", ED25519, None, KeyError::Algorithm { found: "Ed25519" }),
        ("scrypt that wants a terabyte", &costly, Some(PASSPHRASE), limit_memory),
        ("scrypt that takes hours", &slow, Some(PASSPHRASE), limit_work),
    ];
    let other = label("SECRET");
    let mut failures = Vec::new();
    for (rule, pem, passphrase, expected) in
        cases.into_iter().chain([("other label", other.as_str(), None, KeyError::Label)])
    {
        match PrivateKey::from_pem(pem, passphrase) {
            Err(found) if found == expected => {}
            found => failures.push(format!("{rule}: expected {expected:?}, found {found:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A wrong passphrase passes the padding check about once in 256 times. It must not pass for a key or another error.
#[test]
fn every_wrong_passphrase_is_called_wrong() {
    // PBKDF2 with one iteration, so that many attempts are cheap.
    let quick = encryption::tests::quick(PLAIN, PASSPHRASE);
    assert!(PrivateKey::from_pem(&quick, Some(PASSPHRASE)).is_ok());
    for attempt in 0..2_000 {
        let found = PrivateKey::from_pem(&quick, Some(format!("wrong {attempt}").as_bytes())).map(|_| ());
        assert_eq!(found, Err(KeyError::WrongPassphrase), "attempt {attempt}");
    }
}

#[test]
fn a_new_key_survives_its_file() {
    let key = PrivateKey::generate().unwrap();
    let encrypted = key.to_encrypted_pem("pass wörd".as_bytes()).unwrap();
    assert!(is_encrypted(&encrypted) && !is_encrypted(&key.to_unencrypted_pem().unwrap()));
    let read = PrivateKey::from_pem(&encrypted, Some("pass wörd".as_bytes())).unwrap();
    assert_eq!(read.public_key(), key.public_key());
    assert_ne!(PrivateKey::generate().unwrap().public_key(), key.public_key());
    assert_eq!(key.to_encrypted_pem(b"").unwrap_err(), KeyError::EmptyPassphrase);
    // Salt and initialisation vector are new each time.
    assert_ne!(encrypted, key.to_encrypted_pem("pass wörd".as_bytes()).unwrap());
}

/// RFC 6979, appendix A.2.5: the nonce, and so the signature, is a function of key and message.
#[test]
fn signatures_are_those_of_rfc_6979() {
    let scalar = unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let key = PrivateKey::from_secret(&SecretKey::from_slice(&scalar).unwrap()).unwrap();
    let signature: p256::ecdsa::Signature = key.key.sign(b"sample");
    let expected = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                    f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    assert_eq!(signature.to_bytes().as_slice(), unhex(expected));
    assert_eq!(key.sign_statement(b"{}"), key.sign_statement(b"{}"));
    assert_ne!(key.sign_statement(b"{}"), key.sign_statement(b"[]"));
}

#[test]
fn nothing_of_a_key_is_ever_shown() {
    let key = PrivateKey::from_pem(PLAIN, None).unwrap();
    assert_eq!(format!("{key:?}"), format!("PrivateKey({FINGERPRINT})"));
    let error = PrivateKey::from_pem(SCRYPT, Some(b"my secret")).unwrap_err();
    assert!(!format!("{error:?} {error} {:?}", error.hint()).contains("my secret"));
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
