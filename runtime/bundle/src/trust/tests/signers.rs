//! Which signatures count, without a policy.

use super::fixtures::{Key, judge, payload, report};
use crate::Code;
use crate::trust::{MAX_SIGNATURES, Trust, TrustError, sigstore_bundle};

fn keys(seeds: &[u8]) -> Trust {
    Trust::Keys(seeds.iter().map(|seed| Key::new(*seed).public).collect())
}

/// A document that claims the key of `seed` and holds somebody else's signature.
fn forged(seed: u8) -> Vec<u8> {
    let payload = payload();
    sigstore_bundle(&payload, &Key::new(99).sign_der(&crate::trust::pae(&payload)), Key::new(seed).fingerprint())
}

#[test]
fn one_valid_signature_by_a_trusted_key_suffices_and_a_false_one_never_passes() {
    let by = |seed| Key::new(seed).sign_bundle();
    let over_another_bundle = Key::new(1).sign(br#"{"_type":"x"}"#);
    // Signatures, trusted keys, and the trusted signers of the verdict or the error.
    type Case = (&'static str, Vec<Vec<u8>>, Trust, Result<Vec<u8>, Code>);
    let cases: Vec<Case> = vec![
        ("by the trusted key", vec![by(1)], keys(&[1]), Ok(vec![1])),
        ("by one of two trusted keys", vec![by(2)], keys(&[1, 2]), Ok(vec![2])),
        ("by both", vec![by(2), by(1)], keys(&[1, 2]), Ok(vec![2, 1])),
        ("the same signature twice", vec![by(1), by(1)], keys(&[1]), Ok(vec![1])),
        ("a stranger's placed first", vec![by(9), by(1)], keys(&[1]), Ok(vec![1])),
        ("a stranger's placed second", vec![by(1), by(9)], keys(&[1]), Ok(vec![1])),
        ("a stranger's over another bundle", vec![Key::new(9).sign(b"{}"), by(1)], keys(&[1]), Ok(vec![1])),
        ("unsigned", vec![], keys(&[1]), Err(Code::Unsigned)),
        ("unsigned, and nobody is trusted", vec![], keys(&[]), Err(Code::Unsigned)),
        ("by a stranger", vec![by(9)], keys(&[1]), Err(Code::UntrustedKey)),
        ("nobody is trusted", vec![by(1)], keys(&[]), Err(Code::UntrustedKey)),
        ("a forged claim of a trusted key", vec![forged(1)], keys(&[1]), Err(Code::SignatureMismatch)),
        ("a forged claim beside a good signature", vec![by(2), forged(1)], keys(&[1, 2]), Err(Code::SignatureMismatch)),
        ("a forged claim placed first", vec![forged(1), by(1)], keys(&[1]), Err(Code::SignatureMismatch)),
        ("over another bundle", vec![over_another_bundle.clone()], keys(&[1]), Err(Code::SignatureMismatch)),
        (
            "over another bundle beside a good one",
            vec![by(1), over_another_bundle],
            keys(&[1]),
            Err(Code::SignatureMismatch),
        ),
        ("a malformed one beside a good one", vec![by(1), b"{}".to_vec()], keys(&[1]), Err(Code::SignatureMismatch)),
        ("as many as allowed", vec![by(1); MAX_SIGNATURES], keys(&[1]), Ok(vec![1])),
        ("one more than allowed", vec![by(1); MAX_SIGNATURES + 1], keys(&[1]), Err(Code::Limit)),
    ];
    let mut failures = Vec::new();
    for (rule, signatures, trust, expected) in cases {
        let found = judge(&signatures, &trust, None);
        let trusted = found
            .as_ref()
            .map_err(TrustError::code)
            .map(|verdict| verdict.trusted().map(|signer| signer.fingerprint.unwrap()).collect::<Vec<_>>());
        let expected = expected.map(|seeds| seeds.iter().map(|seed| Key::new(*seed).fingerprint()).collect::<Vec<_>>());
        if trusted != expected {
            failures.push(format!("{rule}: expected {expected:?}, found {found:?}"));
        }
    }
    report(failures);
}

#[test]
fn strangers_are_listed_and_not_trusted() {
    let signatures = [Key::new(9).sign_bundle(), Key::new(1).sign_bundle(), Key::new(9).sign_bundle()];
    let verdict = judge(&signatures, &keys(&[1]), None).unwrap();
    let listed: Vec<_> = verdict.signers.iter().map(|signer| (signer.fingerprint.unwrap(), signer.trusted)).collect();
    assert_eq!(listed, [(Key::new(9).fingerprint(), false), (Key::new(1).fingerprint(), true)]);
}

#[test]
fn an_untrusted_bundle_names_the_keys_that_it_claims() {
    let error = judge(&[Key::new(9).sign_bundle()], &keys(&[1]), None).unwrap_err();
    assert_eq!(error, TrustError::UntrustedKey { claimed: vec![Key::new(9).fingerprint()] });
    assert!(error.to_string().contains(&Key::new(9).fingerprint().to_string()));
}

#[test]
fn allowing_unsigned_judges_nobody_and_still_refuses_malformed_documents() {
    let verdict = judge(&[], &Trust::AllowUnsigned, None).unwrap();
    assert!(verdict.signers.is_empty() && !verdict.is_trusted());

    let verdict = judge(&[Key::new(1).sign_bundle()], &Trust::AllowUnsigned, None).unwrap();
    let [signer] = verdict.signers.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((signer.fingerprint, signer.trusted), (Some(Key::new(1).fingerprint()), false));

    let error = judge(&[b"{}".to_vec()], &Trust::AllowUnsigned, None).unwrap_err();
    assert_eq!(error.code(), Code::SignatureMismatch);
}
