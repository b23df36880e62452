//! OpenSSF Model Signing: what we sign, the reference tool accepts, and the other way round.
//!
//! The tool is `model-signing` from PyPI. The vectors in `tests/vectors/oms` say for each signature what we answer and
//! what the tool answers; where the two differ they say why.

mod cases;
mod vectors;

use std::path::Path;
use std::process::{Command, Output};
use std::{fs, thread};

use pannier_bundle::trust::Trust;
use pannier_bundle::write::with_signatures;
use pannier_bundle::{Bundle, Code, Limits};
use pannier_packager::sign::PrivateKey;

use crate::support::{Failures, packager, python, temp_dir};
use crate::trust::fixture::{key, sealed, signed, unpack};

/// `model_signing` with these arguments.
fn model_signing(arguments: &[&str]) -> Output {
    Command::new(python()).args(["-m", "model_signing"]).args(arguments).output().expect("Python starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A folder as `packager unpack` makes it, and the public key of seed 1 beside it.
fn unpacked(root: &Path, name: &str) -> std::path::PathBuf {
    let folder = root.join(name);
    let bundle = signed(&sealed("1.0.0"), &[1]);
    unpack(&bundle, &folder);
    let opened = Bundle::open(bundle.as_slice(), &Limits::default()).expect("a bundle");
    fs::write(folder.join("model.sig"), &opened.signatures()[0]).expect("a file");
    folder
}

/// Flips one bit of the last byte.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn the_reference_tool_accepts_an_unpacked_bundle_and_nothing_else() {
    let root = temp_dir();
    let (mine, other) = (root.path().join("1.pub"), root.path().join("2.pub"));
    fs::write(&mine, key(1).public_key().to_pem()).expect("a file");
    fs::write(&other, key(2).public_key().to_pem()).expect("a file");

    // What is done to the folder, and whether the tool still accepts it.
    type Change = fn(&Path);
    let cases: [(&str, Change, &Path, bool); 10] = [
        ("as it was unpacked", |_| {}, &mine, true),
        ("another key", |_| {}, &other, false),
        ("a byte of the weights", |folder| flip(&folder.join("weights/0")), &mine, false),
        ("a byte of the manifest", |folder| flip(&folder.join("manifest")), &mine, false),
        ("a byte of the header", |folder| flip(&folder.join("header")), &mine, false),
        ("a file removed", |folder| fs::remove_file(folder.join("golden")).expect("there"), &mine, false),
        ("the header removed", |folder| fs::remove_file(folder.join("header")).expect("there"), &mine, false),
        ("a file added", |folder| fs::write(folder.join("weights/1"), b"x").expect("written"), &mine, false),
        (
            "two files exchanged",
            |folder| {
                fs::rename(folder.join("golden"), folder.join("x")).expect("there");
                fs::rename(folder.join("graph"), folder.join("golden")).expect("there");
                fs::rename(folder.join("x"), folder.join("graph")).expect("there");
            },
            &mine,
            false,
        ),
        (
            "the signature of another bundle",
            |folder| {
                let theirs = key(1).sign_statement(&sealed("2.0.0").statement("small"));
                fs::write(folder.join("model.sig"), theirs).expect("written");
            },
            &mine,
            false,
        ),
    ];
    let answers: Vec<Output> = thread::scope(|scope| {
        let ask = |(at, case): (usize, &(&str, Change, &Path, bool))| {
            let folder = unpacked(root.path(), &format!("case{at}"));
            case.1(&folder);
            let (signature, public) = (folder.join("model.sig"), case.2.to_owned());
            scope.spawn(move || {
                let arguments =
                    ["verify", "key", text(&folder), "--signature", text(&signature), "--public_key", text(&public)];
                model_signing(&arguments)
            })
        };
        let running: Vec<_> = cases.iter().enumerate().map(ask).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut failures = Failures::default();
    for ((rule, _, _, accepted), answer) in cases.iter().zip(answers) {
        let said = String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned();
        failures.check(rule, || {
            // The words rule out that the tool fails for another reason than the signature.
            let right = if *accepted {
                said.contains("Verification succeeded")
            } else {
                said.contains("Verification failed with error")
            };
            if answer.status.success() == *accepted && right {
                Ok(())
            } else {
                Err(format!("{}: {said}", answer.status))
            }
        });
    }
    failures.assert_none();
}

/// The first signature lies in the folder and the second beside it, so that the tool can check either.
#[test]
fn what_packager_unpacks_the_reference_tool_accepts() {
    let root = temp_dir();
    let path = |name: &str| root.path().join(name).to_str().expect("UTF-8").to_owned();
    for (seed, name) in [(1, "1.pub"), (2, "2.pub")] {
        fs::write(path(name), key(seed).public_key().to_pem()).expect("a file");
    }
    fs::write(path("small.pannier"), signed(&sealed("1.0.0"), &[1, 2])).expect("a file");
    packager(root.path(), ["unpack", "small.pannier", "small", "--key", "1.pub"]).expect(0);

    let (folder, first, second) = (path("small"), path("small/model.sig"), path("small.sig1"));
    let verify = |signature: &str, public: &str, more: &[&str]| {
        let arguments = ["verify", "key", &folder, "--signature", signature, "--public_key", &path(public)];
        model_signing(&[&arguments[..], more].concat()).status.success()
    };
    assert!(verify(&first, "1.pub", &[]), "the first signature");
    assert!(verify(&second, "2.pub", &["--ignore-paths", &first]), "the second signature");
    assert!(!verify(&second, "1.pub", &["--ignore-paths", &first]), "the second signature with the first key");
    flip(path("small/weights/0").as_ref());
    assert!(!verify(&first, "1.pub", &[]), "a byte of the weights");
}

#[test]
fn a_signature_by_the_reference_tool_verifies_here() {
    let root = temp_dir();
    let folder = root.path().join("model");
    let bundle = signed(&sealed("1.0.0"), &[]);
    unpack(&bundle, &folder);
    let private = PrivateKey::generate().expect("a key");
    let (pem, signature) = (root.path().join("key.pem"), root.path().join("model.sig"));
    fs::write(&pem, private.to_unencrypted_pem().expect("PEM").as_bytes()).expect("a file");

    let output =
        model_signing(&["sign", "key", text(&folder), "--signature", text(&signature), "--private_key", text(&pem)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let foreign = fs::read(&signature).expect("a signature");

    let verify = |bundle: &[u8], trust: Trust| {
        let opened = Bundle::open(bundle, &Limits::default()).map_err(|error| error.code())?;
        opened.verify(&trust, None).map(|verified| verified.verdict().clone()).map_err(|error| error.code())
    };
    let trusted = Trust::Keys(vec![private.public_key().clone()]);
    let with_foreign = with_signatures(&bundle, std::slice::from_ref(&foreign)).expect("a bundle");
    let verdict = verify(&with_foreign, trusted.clone()).expect("accepted");
    assert_eq!(verdict.signers[0].fingerprint, Some(private.public_key().fingerprint()));
    assert!(verdict.is_trusted());
    assert_eq!(verify(&with_foreign, Trust::Keys(vec![key(1).public_key().clone()])), Err(Code::UntrustedKey));

    // Beside one of ours, in either order; but not on another bundle.
    let ours = key(1).sign_statement(&sealed("1.0.0").statement("small"));
    for signatures in [[foreign.clone(), ours.clone()], [ours, foreign.clone()]] {
        let both = with_signatures(&bundle, &signatures).expect("a bundle");
        assert!(verify(&both, trusted.clone()).is_ok_and(|verdict| verdict.is_trusted() && verdict.signers.len() == 2));
    }
    let other = sealed("2.0.0").assemble(&[foreign]).expect("a bundle");
    assert_eq!(verify(&other, trusted), Err(Code::SignatureMismatch));
}
