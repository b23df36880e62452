//! Public keys and fingerprints.

use super::fixtures::report;
use crate::Code;
use crate::trust::{Fingerprint, KeyFault, PublicKey, TrustError};

// All keys were made with OpenSSL 3.0; the fingerprint is `sha256sum` of the file.
const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf16w/+2xuvJ+PLSWBd2nQ3UxFR5p\n\
    CegWydLM6pdiODWtmxxSH0ZrwDOh4Iv9EyZN2GhehQKUg54Sdu8gMNeZAw==";
const P256_FINGERPRINT: &str = "3b3dcbf3cb974b4d18ccdcf12e623c916e5114d5f2497cb8d420e4522210ef0d";
const P256_COMPRESSED: &str = "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADf16w/+2xuvJ+PLSWBd2nQ3UxFR5p\n\
    CegWydLM6pdiODU=";
const P384: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAErcK1ns+pS9SgAWNlduFSZ1yhlsjtR6Xg\n\
    7Ct+3009B5gVysW8TymkrsUJ/2LXtQhERv70LGCJGMhmsid5A3e3gn89KJmaRXIl\n\
    8IrvQ43hV/F7NglA5FyJ/Iv1jypVObm6";
const SECP256K1: &str = "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEwY37Ur2cgQzw0mPiK8zPaIM0qHi5hcnd\n\
    6qNDpo6fpddt/fuEbUWH5qWsOJA2v9UwF+cCbIGhVCo+3EYHregOhw==";
const ED25519: &str = "MCowBQYDK2VwAyEAeCU/H5+7uZamQoxD7zhyh6zAbo1LgpVHbyjGrH9sp00=";
const RSA: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzId+jGqEvik+f9JnNA5m\n\
    pTgNWREP0n+XU9tRHM1PSGdUrG9sJkyrgl1m2PvfQQm4bmnKF3Ldfhx8T+VGa/pd\n\
    DJUJiToNOZYVFQjhCkiPqu7izAx+f+pANvYDpiqsuNiNCDhW1VJxXd9kxT15X6Ch\n\
    yvEFNMb4VCNnWz8asrtM/dttF+SAVqPLGdGUxt10P6jmX8e4biabVkNLpOo7UmNz\n\
    vVH/zPB54I+AQOWgFaAogFNG+JqHfm01oatGYm/RStgzMoIp8GDEAfo6tTS9n5EE\n\
    TEEzv1X8O7mFw4bShARRZmcQ8QZuF/1ehbCihagVsf5Q9/IfjNOuwoKsaj8tQgca\n\
    EwIDAQAB";
const EXPLICIT_CURVE: &str = "MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA\n\
    AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////\n\
    ///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd\n\
    NgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5\n\
    RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA\n\
    //////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABMOtzf5LhWVqfOA/At4qLtXc\n\
    7wFXYhIjylOkLBQsLYMrgBpJjNzHo2t6CUHAznzTWPInFB41VUFIjVJJXPbiTX4=";

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn a_key_as_openssl_writes_it_has_the_fingerprint_of_its_file() {
    let file = pem("PUBLIC KEY", P256);
    let key = PublicKey::from_pem(&file).unwrap();
    assert_eq!(key.to_pem(), file);
    assert_eq!(key.fingerprint().to_string(), P256_FINGERPRINT);
}

#[test]
fn the_fingerprint_does_not_depend_on_how_the_file_is_written() {
    let file = pem("PUBLIC KEY", P256);
    let variants = [
        ("Windows line ends", file.replace('\n', "\r\n")),
        ("no line end at the end", file.trim_end().to_owned()),
        ("blank lines around it", format!("\n\n{file}\n\n")),
        ("compressed point", pem("PUBLIC KEY", P256_COMPRESSED)),
    ];
    for (rule, text) in variants {
        assert_eq!(
            PublicKey::from_pem(&text).map(|key| key.fingerprint().to_string()),
            Ok(P256_FINGERPRINT.into()),
            "{rule}"
        );
    }
}

#[test]
fn what_is_not_a_p256_public_key_is_named() {
    let mut off_curve = P256.to_owned();
    off_curve.replace_range(P256.len() - 6..P256.len() - 4, "AA");
    let algorithm = |found| KeyFault::Algorithm { found };
    let cases = [
        ("empty", String::new(), KeyFault::NotPem),
        ("prose", "not a key at all".into(), KeyFault::NotPem),
        ("broken base64", pem("PUBLIC KEY", "####"), KeyFault::NotPem),
        ("no end line", pem("PUBLIC KEY", P256).replace("-----END PUBLIC KEY-----", ""), KeyFault::NotPem),
        ("private key", pem("PRIVATE KEY", "AAAA"), KeyFault::Private),
        ("encrypted private key", pem("ENCRYPTED PRIVATE KEY", "AAAA"), KeyFault::Private),
        ("EC private key", pem("EC PRIVATE KEY", "AAAA"), KeyFault::Private),
        ("certificate", pem("CERTIFICATE", P256), KeyFault::Label),
        ("garbage in PEM", pem("PUBLIC KEY", "AAAA"), KeyFault::Malformed),
        ("P-384", pem("PUBLIC KEY", P384), algorithm("ECDSA P-384")),
        ("secp256k1", pem("PUBLIC KEY", SECP256K1), algorithm("ECDSA secp256k1")),
        ("explicit curve parameters", pem("PUBLIC KEY", EXPLICIT_CURVE), algorithm("another elliptic curve")),
        ("Ed25519", pem("PUBLIC KEY", ED25519), algorithm("Ed25519")),
        ("RSA", pem("PUBLIC KEY", RSA), algorithm("RSA")),
        ("a point off the curve", pem("PUBLIC KEY", &off_curve), KeyFault::Point),
    ];
    let mut failures = Vec::new();
    for (rule, text, expected) in cases {
        let found = PublicKey::from_pem(&text);
        if found != Err(TrustError::InvalidKey(expected)) {
            failures.push(format!("{rule}: expected {expected:?}, found {found:?}"));
        }
    }
    report(failures);
    assert_eq!(TrustError::InvalidKey(KeyFault::NotPem).code(), Code::InvalidKey);
}

#[test]
fn a_fingerprint_is_64_lowercase_hex_digits() {
    let good = "00".repeat(31) + "9f";
    assert_eq!(Fingerprint::from_hex(&good).map(|fingerprint| fingerprint.to_string()), Some(good.clone()));
    let bad = [
        String::new(),
        good[1..].to_owned(),
        format!("{good}0"),
        format!("{good}00"),
        good.to_uppercase(),
        good.replace('9', "g"),
        good.replace('9', " "),
    ];
    for text in bad {
        assert_eq!(Fingerprint::from_hex(&text), None, "{text}");
    }
}
