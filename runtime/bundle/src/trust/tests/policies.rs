//! Trust policies: what they say, and what they demand.

use super::fixtures::{Key, entry, judge, policy, report};
use crate::Code;
use crate::manifest::{Envelope, Manifest, Reproducibility, Source};
use crate::trust::{Expiry, Policy, PolicyFault, Trust, TrustError, check_version};

/// 2027-01-01T00:00:00Z.
const NOW: u64 = 1_798_761_600;

const PUBLISHER: &str = "\"publisher\"";
const APPROVER: &str = "\"approver\"";
const BOTH: &str = "\"publisher\", \"approver\"";

/// One publisher (key 1) and two of three approvers (keys 2 to 4).
fn two_of_three() -> String {
    ["[roles]\npublisher = 1\napprover = 2\n".to_owned(), entry("alice", &Key::new(1), PUBLISHER, "")]
        .into_iter()
        .chain([("bob", 2), ("carol", 3), ("dave", 4)].map(|(name, seed)| entry(name, &Key::new(seed), APPROVER, "")))
        .collect()
}

#[test]
fn roles_and_thresholds() {
    let simple = two_of_three();
    // Alice may publish and approve, Bob may approve.
    let shared = [
        "[roles]\npublisher = 1\napprover = 1\n".into(),
        entry("alice", &Key::new(1), BOTH, ""),
        entry("bob", &Key::new(2), APPROVER, ""),
    ]
    .concat();
    // Everybody may do everything.
    let anybody = ["[roles]\npublisher = 1\napprover = 2\n".to_owned()]
        .into_iter()
        .chain([("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, seed)| entry(name, &Key::new(seed), BOTH, "")))
        .collect::<String>();
    // Bob has two keys.
    let two_keys = [
        "[roles]\napprover = 2\n".into(),
        entry("bob", &Key::new(2), APPROVER, ""),
        entry("bob", &Key::new(3), APPROVER, ""),
        entry("carol", &Key::new(4), APPROVER, ""),
    ]
    .concat();
    // Bob has one key per role.
    let split = [
        "[roles]\npublisher = 1\napprover = 1\n".into(),
        entry("bob", &Key::new(1), PUBLISHER, ""),
        entry("bob", &Key::new(2), APPROVER, ""),
        entry("carol", &Key::new(3), APPROVER, ""),
    ]
    .concat();

    type Case<'a> = (&'static str, &'a str, &'a [u8], Result<(), Code>);
    let cases: &[Case<'_>] = &[
        ("publisher and two approvers", &simple, &[1, 2, 3], Ok(())),
        ("in any order", &simple, &[4, 3, 1], Ok(())),
        ("more than enough", &simple, &[1, 2, 3, 4], Ok(())),
        ("strangers do not matter", &simple, &[9, 1, 8, 2, 3], Ok(())),
        ("one approver is missing", &simple, &[1, 2], Err(Code::Policy)),
        ("the publisher is missing", &simple, &[2, 3, 4], Err(Code::Policy)),
        ("one approver twice", &simple, &[1, 2, 2], Err(Code::Policy)),
        ("a stranger does not approve", &simple, &[1, 2, 9], Err(Code::Policy)),
        ("strangers only", &simple, &[8, 9], Err(Code::UntrustedKey)),
        ("nobody", &simple, &[], Err(Code::Unsigned)),
        ("a person with two roles fills one", &shared, &[1], Err(Code::Policy)),
        ("and somebody else the other", &shared, &[1, 2], Ok(())),
        ("the roles are shared out so that all are filled", &anybody, &[1, 2, 3], Ok(())),
        ("three places want three people", &anybody, &[1, 2], Err(Code::Policy)),
        ("two keys of one person count once", &two_keys, &[2, 3], Err(Code::Policy)),
        ("either key of a person counts", &two_keys, &[3, 4], Ok(())),
        ("two keys of one person fill one role", &split, &[1, 2], Err(Code::Policy)),
        ("unless somebody else fills the other", &split, &[1, 3], Ok(())),
    ];
    let mut failures = Vec::new();
    for (rule, text, seeds, expected) in cases {
        let signatures: Vec<Vec<u8>> = seeds.iter().map(|seed| Key::new(*seed).sign_bundle()).collect();
        let found = judge(&signatures, &Trust::Policy(policy(text)), None);
        if found.as_ref().map(|_| ()).map_err(TrustError::code) != *expected {
            failures.push(format!("{rule}: expected {expected:?}, found {found:?}"));
        }
    }
    report(failures);
}

#[test]
fn a_shortage_names_the_role_and_the_numbers() {
    let found =
        judge(&[Key::new(1).sign_bundle(), Key::new(2).sign_bundle()], &Trust::Policy(policy(&two_of_three())), None);
    assert_eq!(found, Err(TrustError::Policy { roles: vec!["approver".into()], needed: 2, found: 1 }));
}

#[test]
fn a_verdict_names_the_people_and_their_roles() {
    let signatures = [1, 2, 3, 9].map(|seed| Key::new(seed).sign_bundle());
    let verdict = judge(&signatures, &Trust::Policy(policy(&two_of_three())), None).unwrap();
    let people: Vec<_> =
        verdict.signers.iter().map(|signer| (signer.name.as_deref(), signer.roles.join(","), signer.trusted)).collect();
    assert_eq!(
        people,
        [
            (Some("alice"), "publisher".into(), true),
            (Some("bob"), "approver".into(), true),
            (Some("carol"), "approver".into(), true),
            (None, String::new(), false),
        ]
    );
}

#[test]
fn expiry() {
    let with = |policy_expiry: &str, key_expiry: &str| {
        [
            policy_expiry,
            "\n[roles]\npublisher = 1\n",
            &entry("alice", &Key::new(1), PUBLISHER, key_expiry),
            &entry("bob", &Key::new(2), PUBLISHER, ""),
        ]
        .concat()
    };
    let (past, future) = ("2026-12-31", "2027-01-01");
    let policy_past = with(&format!("expires = {past}"), "");
    let policy_future = with(&format!("expires = {future}"), "");
    let policy_text = with("expires = \"2027-01-01T00:00:00Z\"", "");
    let key_past = with("", &format!("not_after = {past}"));
    let key_future = with("", &format!("not_after = {future}"));
    let never = with("", "");

    type Case<'a> = (&'static str, &'a str, &'a [u8], Option<u64>, Result<(), &'static str>);
    let cases: &[Case<'_>] = &[
        ("no expiry, no clock", &never, &[1], None, Ok(())),
        ("no expiry, clock", &never, &[1], Some(NOW), Ok(())),
        ("policy not expired", &policy_future, &[1], Some(NOW), Ok(())),
        ("policy expired a second ago", &policy_past, &[1], Some(NOW), Err("policy")),
        ("policy in its last second", &policy_past, &[1], Some(NOW - 1), Ok(())),
        ("an expiry as a text, in its last second", &policy_text, &[1], Some(NOW), Ok(())),
        ("an expiry as a text, a second later", &policy_text, &[1], Some(NOW + 1), Err("policy")),
        ("policy with expiry, no clock", &policy_future, &[1], None, Err("no clock")),
        ("key not expired", &key_future, &[1], Some(NOW), Ok(())),
        ("key expired", &key_past, &[1], Some(NOW), Err("key")),
        ("key expired, another suffices", &key_past, &[1, 2], Some(NOW), Ok(())),
        ("key with expiry, no clock", &key_future, &[1], None, Err("no clock")),
        ("key with expiry, no clock, another signed", &key_future, &[2], None, Err("no clock")),
        ("the clock stands at 1970", &policy_past, &[1], Some(0), Ok(())),
    ];
    let mut failures = Vec::new();
    for (rule, text, seeds, now, expected) in cases {
        let signatures: Vec<Vec<u8>> = seeds.iter().map(|seed| Key::new(*seed).sign_bundle()).collect();
        let found = judge(&signatures, &Trust::Policy(policy(text)), *now);
        let kind = match &found {
            Ok(_) => Ok(()),
            Err(TrustError::Expired(Expiry::Policy(_))) => Err("policy"),
            Err(TrustError::Expired(Expiry::Key { .. })) => Err("key"),
            Err(TrustError::Expired(Expiry::NoClock)) => Err("no clock"),
            Err(_) => Err("another error"),
        };
        if kind != *expected || found.as_ref().is_err_and(|error| error.code() != Code::Expired) {
            failures.push(format!("{rule}: expected {expected:?}, found {found:?}"));
        }
    }
    report(failures);

    // A signer whose key has expired is listed, and does not count.
    let verdict =
        judge(&[Key::new(1).sign_bundle(), Key::new(2).sign_bundle()], &Trust::Policy(policy(&key_past)), Some(NOW))
            .unwrap();
    assert_eq!(verdict.signers.iter().map(|signer| signer.trusted).collect::<Vec<_>>(), [false, true]);
    // Its signature is checked all the same.
    let error =
        judge(&[Key::new(1).sign(b"{}"), Key::new(2).sign_bundle()], &Trust::Policy(policy(&key_past)), Some(NOW))
            .unwrap_err();
    assert_eq!(error.code(), Code::SignatureMismatch);
    // Where numbers are missing even with it, numbers are the reason.
    let two = key_past.replace("publisher = 1", "publisher = 2");
    let error = judge(&[Key::new(1).sign_bundle()], &Trust::Policy(policy(&two)), Some(NOW)).unwrap_err();
    assert_eq!(error, TrustError::Policy { roles: vec!["publisher".into()], needed: 2, found: 0 });
}

#[test]
fn minimum_versions() {
    let rules = "[minimum_version]\nmagika = \"1.2.0\"\n\"*\" = \"0.5.0\"\n";
    let only = "[minimum_version]\nmagika = \"1.2.0\"\n";
    type Case<'a> = (&'static str, &'a str, &'static str, &'static str, Result<(), Code>);
    let cases: &[Case<'_>] = &[
        ("the minimum itself", rules, "magika", "1.2.0", Ok(())),
        ("newer", rules, "magika", "1.10.0", Ok(())),
        ("older", rules, "magika", "1.1.9", Err(Code::Downgrade)),
        ("a pre-release of the minimum is older", rules, "magika", "1.2.0-rc.1", Err(Code::Downgrade)),
        ("build metadata does not matter", rules, "magika", "1.2.0+a", Ok(())),
        ("the default for others", rules, "silero", "0.5.0", Ok(())),
        ("older than the default", rules, "silero", "0.4.9", Err(Code::Downgrade)),
        ("the name decides, not the default", rules, "magika", "0.6.0", Err(Code::Downgrade)),
        ("no version to compare", rules, "magika", "latest", Err(Code::Downgrade)),
        ("no version to compare, none wanted", only, "silero", "latest", Ok(())),
        ("no rule for this model", only, "silero", "0.0.1", Ok(())),
        ("no rules", "", "magika", "0.0.1", Ok(())),
    ];
    let mut failures = Vec::new();
    for (rule, text, name, version, expected) in cases {
        let policy = policy(&["[roles]\npublisher = 1\n", text, &entry("alice", &Key::new(1), PUBLISHER, "")].concat());
        let found = check_version(&Trust::Policy(policy), &manifest(name, version));
        if found.as_ref().map_err(TrustError::code).copied() != *expected {
            failures.push(format!("{rule}: expected {expected:?}, found {found:?}"));
        }
    }
    report(failures);
    for trust in [Trust::AllowUnsigned, Trust::Keys(vec![])] {
        assert_eq!(check_version(&trust, &manifest("magika", "0.0.1")), Ok(()));
    }
}

fn manifest(name: &str, version: &str) -> Manifest {
    Manifest {
        name: name.into(),
        version: version.into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [0; 32],
        opset: 21,
        inputs: Vec::new(),
        outputs: Vec::new(),
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::BitExact,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 21, options: Vec::new() },
    }
}

#[test]
fn a_policy_file_with_a_mistake_names_the_line_and_the_mistake() {
    let key = |more: &str| entry("alice", &Key::new(1), PUBLISHER, more);
    let roles = "[roles]\npublisher = 1\n";
    let good = [roles, &key("")].concat();
    let fingerprint = Key::new(1).fingerprint();
    let many_roles: String = (0..9).map(|role| format!("r{role} = 1\n")).collect();
    let many_keys: String = (1..=65).map(|seed| entry("alice", &Key::new(seed), PUBLISHER, "")).collect();
    let without = |field: &str| {
        good.lines().filter(|line| !line.starts_with(field)).map(|line| format!("{line}\n")).collect::<String>()
    };

    // The text, the line, and the words of the message.
    let cases: Vec<(&str, String, Option<usize>, String)> = vec![
        ("not TOML", "[roles".into(), Some(1), "unclosed table".into()),
        (
            "unknown field",
            format!("expire = 2027-01-01\n{good}"),
            Some(1),
            "unknown field `expire`; did you mean `expires`?".into(),
        ),
        ("unknown field far from all", format!("threshold = 1\n{good}"), Some(1), "unknown field `threshold`".into()),
        ("unknown field of a key", format!("{good}expires = 2027-01-01\n"), Some(13), "unknown field `expires`".into()),
        (
            "misspelt field of a key",
            format!("{good}not-after = 2027-01-01\n"),
            Some(13),
            "unknown field `not-after`; did you mean `not_after`?".into(),
        ),
        ("no roles", key(""), None, "`roles` is missing".into()),
        ("empty roles", format!("[roles]\n{}", key("")), Some(1), "`roles` is empty".into()),
        (
            "threshold 0",
            good.replace("publisher = 1", "publisher = 0"),
            Some(2),
            "the threshold of `publisher` must be a number from 1 to 64".into(),
        ),
        (
            "threshold 65",
            good.replace("publisher = 1", "publisher = 65"),
            Some(2),
            "the threshold of `publisher` must be a number from 1 to 64".into(),
        ),
        (
            "threshold -1",
            good.replace("publisher = 1", "publisher = -1"),
            Some(2),
            "the threshold of `publisher` must be a number from 1 to 64".into(),
        ),
        (
            "threshold as a text",
            good.replace("publisher = 1", "publisher = \"1\""),
            Some(2),
            "the threshold of `publisher` must be a number from 1 to 64".into(),
        ),
        ("no keys", roles.into(), None, "`keys` is missing".into()),
        ("keys of the wrong kind", format!("keys = 1\n{roles}"), Some(1), "`keys` must be an array of tables".into()),
        ("no name", without("name"), Some(3), "`name` is missing".into()),
        ("empty name", good.replace("\"alice\"", "\"\""), Some(3), "`name` is empty".into()),
        ("no roles of a key", without("roles ="), Some(3), "`roles` is missing".into()),
        ("empty roles of a key", good.replace("[\"publisher\"]", "[]"), Some(5), "`roles` is empty".into()),
        (
            "misspelt role",
            good.replace("[\"publisher\"]", "[\"publisher\", \"publishers\"]"),
            Some(5),
            "`publishers` is not one of the roles; did you mean `publisher`?".into(),
        ),
        (
            "unlisted role",
            good.replace("[\"publisher\"]", "[\"auditor\"]"),
            Some(5),
            "`auditor` is not one of the roles".into(),
        ),
        (
            "no PEM",
            format!("{roles}[[keys]]\nname = \"a\"\nroles = [\"publisher\"]\nfingerprint = \"{fingerprint}\"\n"),
            Some(3),
            "`pem` is missing".into(),
        ),
        (
            "bad PEM",
            format!("{roles}[[keys]]\nname = \"a\"\nroles = [\"publisher\"]\npem = \"x\"\n"),
            Some(6),
            "the key of `a`: it is not a PEM file".into(),
        ),
        (
            "fingerprint of another key",
            [roles, &key(&format!("fingerprint = \"{}\"", "00".repeat(32)))].concat(),
            Some(12),
            format!("the key of `alice` has the fingerprint {fingerprint}, the policy says {}", "00".repeat(32)),
        ),
        (
            "a key listed twice",
            format!("{good}{}", key("")),
            Some(13),
            format!("the key {fingerprint} is listed for `alice` and again for `alice`"),
        ),
        (
            "a key under two names",
            format!("{good}{}", entry("bob", &Key::new(1), PUBLISHER, "")),
            Some(13),
            format!("the key {fingerprint} is listed for `alice` and again for `bob`"),
        ),
        (
            "more approvers than there are people",
            good.replace("publisher = 1", "publisher = 2"),
            None,
            "2 signer(s) are wanted in the role `publisher`, and there are keys of 1 people for that".into(),
        ),
        (
            "one person for two roles",
            ["[roles]\npublisher = 1\napprover = 1\n", &entry("alice", &Key::new(1), BOTH, "")].concat(),
            None,
            "2 signer(s) are wanted in the roles `approver`, `publisher`, and there are keys of 1 people for that"
                .into(),
        ),
        (
            "a date that is none",
            format!("expires = \"soon\"\n{good}"),
            Some(1),
            "`soon` is neither a date nor a time with its offset from UTC".into(),
        ),
        (
            "a time without offset",
            format!("expires = 2027-01-01T00:00:00\n{good}"),
            Some(1),
            "`2027-01-01T00:00:00` is neither a date nor a time with its offset from UTC".into(),
        ),
        (
            "an expiry of the wrong kind",
            format!("expires = 2027\n{good}"),
            Some(1),
            "`expires` must be a date or a time".into(),
        ),
        (
            "a bad key expiry",
            [roles, &key("not_after = \"x\"")].concat(),
            Some(12),
            "`x` is neither a date nor a time with its offset from UTC".into(),
        ),
        (
            "a version that is none",
            format!("[minimum_version]\nmagika = \"1.2\"\n{good}"),
            Some(2),
            "`1.2` is not a semantic version".into(),
        ),
        (
            "a version of the wrong kind",
            format!("[minimum_version]\nmagika = 1\n{good}"),
            Some(2),
            "`minimum_version` must be a text".into(),
        ),
        ("too many roles", format!("[roles]\n{many_roles}"), None, "there are 9 roles, at most 8 are allowed".into()),
        ("too many keys", format!("{roles}{many_keys}"), None, "there are 65 keys, at most 64 are allowed".into()),
        ("too large", " ".repeat((1 << 20) + 1), None, "there are 1048577 bytes, at most 1048576 are allowed".into()),
    ];
    let mut failures = Vec::new();
    for (rule, text, line, words) in cases {
        match Policy::from_toml(&text) {
            Err(TrustError::InvalidPolicy { line: found, why })
                if found == line && why.to_string().contains(&words) => {}
            other => failures.push(format!("{rule}: expected line {line:?}: {words}\n  found {other:?}")),
        }
    }
    report(failures);
    assert_eq!(TrustError::InvalidPolicy { line: None, why: PolicyFault::Empty("x") }.code(), Code::InvalidPolicy);
}

/// The example in the documentation of [`Policy`], with real keys.
#[test]
fn every_field_is_read() {
    let text = [
        "expires = 2027-06-30\n[roles]\npublisher = 1\napprover = 2\n[minimum_version]\nmagika = \"1.2.0\"\n\"*\" = \"0.1.0\"\n",
        &entry("alice", &Key::new(1), PUBLISHER, &format!("not_after = 2026-12-31T12:00:00+02:00\nfingerprint = \"{}\"", Key::new(1).fingerprint())),
        &entry("bob", &Key::new(2), APPROVER, ""),
        &entry("carol", &Key::new(3), APPROVER, ""),
    ].concat();
    let policy = policy(&text);
    assert_eq!(
        policy.roles().iter().map(|role| (role.name.as_str(), role.threshold)).collect::<Vec<_>>(),
        [("approver", 2), ("publisher", 1)]
    );
    assert_eq!(
        policy.keys().iter().map(|key| (key.name.as_str(), key.roles.join(","))).collect::<Vec<_>>(),
        [("alice", "publisher".to_owned()), ("bob", "approver".into()), ("carol", "approver".into()),]
    );
    assert_eq!(policy.minimum_version("magika").as_deref(), Some("1.2.0"));
    assert_eq!(policy.minimum_version("other").as_deref(), Some("0.1.0"));
}
