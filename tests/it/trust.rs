//! Trust from end to end: keys, signatures and policies on a real bundle.

pub mod fixture;

use std::process::Command;

use pannier_bundle::trust::{Policy, PublicKey, Trust, pae};
use pannier_bundle::write::with_signatures;
use pannier_bundle::{Bundle, Code, Error, Limits};
use pannier_packager::sign::PrivateKey;

use crate::support::{Failures, temp_dir};
use fixture::{key, sealed, secret_pem, signed};

/// 2027-01-01T00:00:00Z.
const NOW: Option<u64> = Some(1_798_761_600);

fn verify(bundle: &[u8], trust: &Trust, now: Option<u64>) -> Result<(), Code> {
    let opened = Bundle::open(bundle, &Limits::default()).map_err(|error| error.code())?;
    opened.verify(trust, now).map(|_| ()).map_err(|error: Error| error.code())
}

/// One publisher (key 1), two of three approvers (keys 2 to 4), at least version 1.2.0, until the end of June 2027.
fn policy() -> Trust {
    let mut text =
        "expires = 2027-06-30\n[roles]\npublisher = 1\napprover = 2\n[minimum_version]\nsmall = \"1.2.0\"\n".to_owned();
    for (name, role, seed) in
        [("alice", "publisher", 1), ("bob", "approver", 2), ("carol", "approver", 3), ("dave", "approver", 4)]
    {
        text += &format!(
            "[[keys]]\nname = \"{name}\"\nroles = [\"{role}\"]\npem = \"\"\"\n{}\"\"\"\n",
            key(seed).public_key().to_pem()
        );
    }
    Trust::Policy(Policy::from_toml(&text).expect("a policy"))
}

#[test]
fn a_policy_decides_on_a_bundle() {
    let (current, old) = (sealed("1.2.0"), sealed("1.1.9"));
    let other_bundle = key(2).sign_statement(&old.statement("small"));
    let with = |last: Vec<u8>| {
        let statement = current.statement("small");
        let signatures =
            [1, 2].map(|seed| key(seed).sign_statement(&statement)).into_iter().chain([last]).collect::<Vec<_>>();
        current.assemble(&signatures).expect("a bundle")
    };
    let cases = [
        ("published and approved", signed(&current, &[1, 2, 3]), NOW, Ok(())),
        ("approved by the others", signed(&current, &[4, 2, 1]), NOW, Ok(())),
        ("a stranger signed too, first", signed(&current, &[9, 1, 2, 3]), NOW, Ok(())),
        ("unsigned", signed(&current, &[]), NOW, Err(Code::Unsigned)),
        ("signed by strangers", signed(&current, &[8, 9]), NOW, Err(Code::UntrustedKey)),
        ("not approved enough", signed(&current, &[1, 2]), NOW, Err(Code::Policy)),
        ("approved twice by one", signed(&current, &[1, 2, 2]), NOW, Err(Code::Policy)),
        ("approved, not published", signed(&current, &[2, 3, 4]), NOW, Err(Code::Policy)),
        ("an approval of another bundle", with(other_bundle), NOW, Err(Code::SignatureMismatch)),
        ("an old version, signed by all", signed(&old, &[1, 2, 3]), NOW, Err(Code::Downgrade)),
        ("after the end of the policy", signed(&current, &[1, 2, 3]), Some(1_814_400_000), Err(Code::Expired)),
        ("no clock", signed(&current, &[1, 2, 3]), None, Err(Code::Expired)),
    ];
    let mut failures = Failures::default();
    for (rule, bundle, now, expected) in cases {
        failures.check(rule, || {
            let found = verify(&bundle, &policy(), now);
            if found == expected { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}")) }
        });
    }
    failures.assert_none();
}

#[test]
fn signatures_can_be_added_and_removed_without_touching_what_they_cover() {
    let sealed = sealed("1.2.0");
    let statement = sealed.statement("small");
    let (first, second) = (key(1).sign_statement(&statement), key(2).sign_statement(&statement));
    let unsigned = sealed.assemble(&[]).expect("a bundle");
    let both = with_signatures(&unsigned, &[first.clone(), second.clone()]).expect("a bundle");
    assert_eq!(both, sealed.assemble(&[first, second.clone()]).expect("a bundle"));
    for seed in [1, 2] {
        assert_eq!(verify(&both, &Trust::Keys(vec![key(seed).public_key().clone()]), None), Ok(()));
    }
    let one = with_signatures(&both, &[second]).expect("a bundle");
    assert_eq!(verify(&one, &Trust::Keys(vec![key(1).public_key().clone()]), None), Err(Code::UntrustedKey));
    assert_eq!(with_signatures(&one, &[]).expect("a bundle"), unsigned);
}

/// Swapping the header for that of another bundle of the same shape, body and signature kept.
#[test]
fn a_signature_does_not_pass_to_another_bundle() {
    let (mine, theirs) = (sealed("1.2.0"), sealed("1.2.1"));
    let signature = key(1).sign_statement(&mine.statement("small"));
    let trust = Trust::Keys(vec![key(1).public_key().clone()]);
    assert_eq!(verify(&mine.assemble(std::slice::from_ref(&signature)).expect("a bundle"), &trust, None), Ok(()));
    let copied = theirs.assemble(&[signature]).expect("a bundle");
    assert_eq!(verify(&copied, &trust, None), Err(Code::SignatureMismatch));
}

fn openssl(arguments: &[&str]) -> (bool, Vec<u8>) {
    let output =
        Command::new("openssl").args(arguments).output().expect("`openssl` is installed (Debian: apt install openssl)");
    (output.status.success(), output.stdout)
}

#[test]
fn openssl_reads_our_keys_and_we_read_its() {
    let dir = temp_dir();
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (mine, public) = (path("mine.pem"), path("mine.pub"));
    let new = PrivateKey::generate().expect("a key");
    std::fs::write(&mine, new.to_encrypted_pem(b"correct horse").expect("PEM").as_bytes()).expect("a file");
    std::fs::write(&public, new.public_key().to_pem()).expect("a file");

    let (read, derived) = openssl(&["pkey", "-in", &mine, "-passin", "pass:correct horse", "-pubout"]);
    assert!(read, "openssl cannot read our encrypted key");
    assert_eq!(String::from_utf8(derived).expect("PEM"), new.public_key().to_pem());
    assert!(!openssl(&["pkey", "-in", &mine, "-passin", "pass:wrong", "-noout"]).0, "openssl took a wrong passphrase");

    let theirs = path("theirs.pem");
    let arguments = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-aes256",
        "-pass",
        "pass:battery",
        "-out",
        &theirs,
    ];
    assert!(openssl(&arguments).0, "openssl makes no key");
    let theirs = std::fs::read_to_string(theirs).expect("a file");
    assert!(PrivateKey::from_pem(&theirs, Some(b"battery")).is_ok());

    // A signature of ours, checked by OpenSSL over the bytes that DSSE prescribes.
    let statement = sealed("1.2.0").statement("small");
    let document: serde_json::Value = serde_json::from_slice(&new.sign_statement(&statement)).expect("JSON");
    let encoded = document["dsseEnvelope"]["signatures"][0]["sig"].as_str().expect("base64").to_owned() + "\n";
    let (message, signature, der) = (path("message"), path("signature.b64"), path("signature.der"));
    std::fs::write(&message, pae(&statement)).expect("a file");
    std::fs::write(&signature, encoded).expect("a file");
    assert!(openssl(&["base64", "-d", "-A", "-in", &signature, "-out", &der]).0);
    assert!(
        openssl(&["dgst", "-sha256", "-verify", &public, "-signature", &der, &message]).0,
        "OpenSSL rejects our signature"
    );
}

#[test]
fn the_published_key_of_a_private_key_verifies_it() {
    let private = PrivateKey::from_pem(&secret_pem(5), None).expect("a key");
    let public = PublicKey::from_pem(private.public_key().to_pem()).expect("a key");
    assert_eq!(verify(&signed(&sealed("1.0.0"), &[5]), &Trust::Keys(vec![public]), None), Ok(()));
}
