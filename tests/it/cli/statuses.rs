//! Exit statuses: the table of the documentation, met by real commands.

use super::fixture::folder;
use crate::support::{Failures, packager, temp_dir};
use pannier_bundle::Code;
use std::path::Path;

/// Flips the last byte, which belongs to the last section.
fn damage(folder: &Path) {
    let mut file = std::fs::read(folder.join("model.pannier")).expect("it is there");
    *file.last_mut().expect("it is not empty") ^= 1;
    std::fs::write(folder.join("damaged.pannier"), &file).expect("a file can be written");
    file.truncate(200);
    std::fs::write(folder.join("cut.pannier"), &file).expect("a file can be written");
}

#[test]
fn a_command_ends_with_the_status_of_its_error() {
    let folder = folder();
    damage(folder.path());
    std::fs::create_dir(folder.path().join("full")).expect("a folder can be made");
    std::fs::write(folder.path().join("full/file"), b"").expect("a file can be written");
    let newer = std::fs::read_to_string(folder.path().join("policy.toml")).expect("it is there");
    let newer = newer.replace("[roles]", "[minimum_version]\n\"*\" = \"9.0.0\"\n\n[roles]");
    std::fs::write(folder.path().join("newer.toml"), newer).expect("a file can be written");
    let old = std::fs::read_to_string(folder.path().join("policy.toml")).expect("it is there");
    std::fs::write(folder.path().join("old.toml"), format!("expires = 2020-01-01\n{old}"))
        .expect("a file can be written");
    std::fs::write(folder.path().join("bad.toml"), "[model.a]\nsuorce = \"a.onnx\"\n").expect("a file can be written");

    let table = [
        ("--version", 0, None),
        ("--help", 0, None),
        ("verify --help", 0, None),
        ("", 2, None),
        ("nonsense", 2, Some(Code::Usage)),
        ("verify", 2, Some(Code::Usage)),
        ("verify model.pannier", 2, Some(Code::Usage)),
        ("verify model.pannier --key publisher.pub -q -v", 2, Some(Code::Usage)),
        ("build --config bad.toml", 2, Some(Code::Usage)),
        ("build --only nothing", 2, Some(Code::Usage)),
        ("sign model.pannier --key publisher.pem -o - --json", 2, None),
        ("explain E_NOTHING", 2, Some(Code::Usage)),
        ("verify model.pannier --policy notes.txt", 2, Some(Code::InvalidPolicy)),
        ("verify nowhere.pannier --key publisher.pub", 3, Some(Code::InputMissing)),
        ("verify model.pannier --key nowhere.pub", 3, Some(Code::InputMissing)),
        ("verify . --key publisher.pub", 3, Some(Code::InputMissing)),
        ("build nowhere.onnx", 3, Some(Code::InputMissing)),
        ("build --config nowhere.toml", 3, Some(Code::InputMissing)),
        ("run model.pannier nowhere.txt --key publisher.pub", 3, Some(Code::InputMissing)),
        ("verify unsigned.pannier --key publisher.pub", 10, Some(Code::Unsigned)),
        ("run unsigned.pannier notes.txt --key publisher.pub", 10, Some(Code::Unsigned)),
        ("verify model.pannier --key stranger.pub", 11, Some(Code::UntrustedKey)),
        ("run model.pannier notes.txt --key stranger.pub", 11, Some(Code::UntrustedKey)),
        ("inspect model.pannier --key stranger.pub", 11, Some(Code::UntrustedKey)),
        ("verify model.pannier --policy strict.toml", 11, Some(Code::Policy)),
        ("verify model.pannier --policy newer.toml", 11, Some(Code::Downgrade)),
        ("verify model.pannier --policy old.toml", 11, Some(Code::Expired)),
        ("verify damaged.pannier --key publisher.pub", 13, Some(Code::Corrupt)),
        ("verify damaged.pannier --key publisher.pub --full", 13, Some(Code::Corrupt)),
        ("unpack damaged.pannier out --key publisher.pub", 13, Some(Code::Corrupt)),
        ("sign damaged.pannier --key publisher.pem", 13, Some(Code::Corrupt)),
        ("inspect cut.pannier", 13, Some(Code::Truncated)),
        ("inspect notes.txt", 13, None),
        ("build notes.txt --name notes", 13, Some(Code::InvalidModel)),
        ("sign model.pannier --key publisher.pub", 1, Some(Code::InvalidKey)),
        ("verify model.pannier --key notes.txt", 1, Some(Code::InvalidKey)),
        ("unpack model.pannier full --key publisher.pub", 1, Some(Code::Failed)),
        ("key new publisher.pem --no-passphrase", 1, Some(Code::Failed)),
        ("diff model.pannier retrained.pannier", 1, None),
        ("diff model.pannier model.pannier", 0, None),
    ];
    let mut failures = Failures::default();
    for (line, status, code) in table {
        failures.check(if line.is_empty() { "(nothing)" } else { line }, || {
            let ran = packager(folder.path(), line.split_whitespace());
            let starts = code.map_or(String::new(), |code| format!("error[{code}]: "));
            let error = ran.stderr.lines().find(|line| line.starts_with("error[")).unwrap_or_default();
            if ran.status == Some(status) && error.starts_with(&starts) {
                Ok(())
            } else {
                Err(format!("expected {status} {code:?}, found {ran:?}"))
            }
        });
    }
    failures.assert_none();
}

#[test]
fn every_code_is_explained_with_an_example() {
    let folder = temp_dir();
    let mut failures = Failures::default();
    for code in Code::ALL {
        failures.check(code, || {
            let entry =
                packager(folder.path(), ["explain", code.name(), "--json"]).expect(0).json()["codes"][0].clone();
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            if entry["exit_status"] != code.exit_status() || text("title") != code.title() {
                return Err(format!("{entry}"));
            }
            if !text("example").starts_with("$ packager ") && !text("example").starts_with("$ head ") {
                return Err("it has no example".to_owned());
            }
            Ok(())
        });
    }
    failures.assert_none();
}

#[test]
fn the_documentation_lists_every_code() {
    let page = packager(temp_dir().path(), ["explain", "--markdown"]).expect(0).stdout;
    let written = std::fs::read_to_string(crate::support::project_root().join("docs/errors.md"));
    assert_eq!(written.expect("docs/errors.md is there"), page, "docs/errors.md is old: `cargo xtask docs` writes it");
}
