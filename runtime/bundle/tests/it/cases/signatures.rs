//! Bundles that are well-formed and must not be trusted.

use pannier_bundle::{Code, Header};

use super::{APPROVER, Case, PUBLISHER, STRANGER, TrustMode};
use crate::support::{content, file, key, manifest, parts, sample, sealed_with, sign, signed};

pub fn cases() -> Vec<Case> {
    let case = |name: &str, trust, code, why, bytes| Case {
        file: format!("invalid/{name}.pannier"),
        bytes,
        trust,
        code: Some(code),
        why,
    };
    let [publisher, approver, stranger] = [PUBLISHER, APPROVER, STRANGER].map(key);
    let other = sealed_with(manifest("sample", "1.2.0"), vec![content("card", "# Another model\n", 1)]);
    let old = sealed_with(manifest("sample", "1.1.9"), vec![content("card", "# A model\n", 1)]);
    let sealed = sample();
    let with_signature = |signature: Vec<u8>| sealed.assemble(&[signature]).unwrap();
    let text = |signature: &[u8]| String::from_utf8(signature.to_vec()).unwrap();
    let own = sign(&publisher, sealed.header_bytes(), sealed.header());
    use TrustMode::{ExpiredPolicy, Policy, Publisher};
    vec![
        case("unsigned", Publisher, Code::Unsigned, "nobody signed", sealed.assemble(&[]).unwrap()),
        case("stranger", Publisher, Code::UntrustedKey, "a stranger signed", signed(&sealed, &[&stranger])),
        case("other-bundle", Publisher, Code::SignatureMismatch, "the publisher's signature over another bundle", {
            with_signature(sign(&publisher, other.header_bytes(), other.header()))
        }),
        case(
            "borrowed-hint",
            Publisher,
            Code::SignatureMismatch,
            "a stranger's signature that claims the publisher's key",
            {
                let hints =
                    [&stranger, &publisher].map(|key| crate::support::public_key(key).fingerprint().to_string());
                let signature = text(&sign(&stranger, sealed.header_bytes(), sealed.header()));
                with_signature(signature.replace(&hints[0], &hints[1]).into_bytes())
            },
        ),
        case("payload-type", Publisher, Code::SignatureMismatch, "an envelope of another payload type", {
            with_signature(text(&own).replace("vnd.in-toto+json", "vnd.in-toto.json").into_bytes())
        }),
        case(
            "not-json",
            Publisher,
            Code::SignatureMismatch,
            "a signature that is no JSON",
            with_signature(b"{".to_vec()),
        ),
        case(
            "other-table",
            Publisher,
            Code::SignatureMismatch,
            "content is as signed, the table is not",
            other_table(),
        ),
        case("policy-short", Policy, Code::Policy, "the approver did not sign", signed(&sealed, &[&publisher])),
        case(
            "policy-twice",
            Policy,
            Code::Policy,
            "the publisher signed twice",
            signed(&sealed, &[&publisher, &publisher]),
        ),
        case("policy-expired", ExpiredPolicy, Code::Expired, "the policy has expired", {
            signed(&sealed, &[&publisher, &approver])
        }),
        case(
            "downgrade",
            Policy,
            Code::Downgrade,
            "an old version, validly signed",
            signed(&old, &[&publisher, &approver]),
        ),
    ]
}

/// The table says of a section that it is not critical; the signed one says that it is.
fn other_table() -> Vec<u8> {
    let sealed = sample();
    let signature = sign(&key(PUBLISHER), sealed.header_bytes(), sealed.header());
    let (mut header, body): (Header, _) = parts(&sealed);
    header.sections[1].critical = false;
    file(&header.encode(), &body, &[signature])
}
