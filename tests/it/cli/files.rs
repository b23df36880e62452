//! What commands leave behind: whole files or nothing, with the right permissions, and no trace of secrets.

use super::fixture::{folder, names, path};
use crate::support::Failures;
use crate::support::packager::{packager, packager_command};
use std::io::Write;
use std::process::Stdio;

#[test]
fn a_command_that_fails_leaves_nothing_new() {
    let lines = [
        "sign nowhere.pannier --key publisher.pem -o signed.pannier",
        "sign notes.txt --key publisher.pem",
        "sign model.pannier --key notes.txt",
        "approve model.pannier --key approver.pem --publisher stranger.pub",
        "unpack model.pannier unpacked --key stranger.pub",
        "unpack model.pannier nowhere/unpacked --key publisher.pub",
        "export model.pannier --onnx nowhere/out.onnx --key publisher.pub",
        "export unsigned.pannier --onnx out.onnx --key publisher.pub",
        "inspect notes.txt --html report.html",
        "inspect model.pannier --html nowhere/report.html",
        "build notes.txt -o broken.pannier",
        "build model.onnx -o nowhere/out.pannier",
        "build model.onnx --shape nothing=1x4 -o out.pannier",
        "build model.onnx --sign publisher.pub -o out.pannier",
        "run model.pannier notes.txt -o nowhere/out.npz --key publisher.pub",
        "key new nowhere/new.pem --no-passphrase",
        "key new new.pem --passphrase-file nowhere.txt",
        "key new new.pem",
    ];
    let mut failures = Failures::default();
    for line in lines {
        failures.check(line, || {
            let folder = folder();
            let before: Vec<(String, Vec<u8>)> = contents(folder.path());
            let ran = packager(folder.path(), line.split_whitespace());
            if ran.status == Some(0) {
                return Err("it did not fail".to_owned());
            }
            if contents(folder.path()) != before {
                return Err(format!("the folder changed: {:?}", names(folder.path())));
            }
            Ok(())
        });
    }
    failures.assert_none();
}

fn contents(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let bytes = std::fs::read(folder.join(&name)).unwrap_or_default();
        (name, bytes)
    };
    names(folder).into_iter().map(read).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_that_says_so() {
    let lines = [
        "sign model.pannier --key publisher.pem -o full.npz",
        "export model.pannier --onnx full.npz --key publisher.pub",
        "inspect model.pannier --html full.npz",
        "build model.onnx -o full.npz",
        "run model.pannier notes.txt -o full.npz --key publisher.pub",
    ];
    let folder = folder();
    // A name of our own for the device: `run` looks at the name's end.
    std::os::unix::fs::symlink("/dev/full", path(&folder, "full.npz")).expect("a link can be made");
    let mut failures = Failures::default();
    for line in lines {
        failures.check(line, || {
            let ran = packager(folder.path(), line.split_whitespace());
            let expected = "error[E_FAILED]: cannot write `full.npz`: no space left on device";
            if ran.status == Some(1) && ran.stderr.lines().any(|line| line == expected) {
                return Ok(());
            }
            Err(format!("{ran:?}"))
        });
    }
    // The device is still a device.
    use std::os::unix::fs::FileTypeExt;
    assert!(std::fs::metadata("/dev/full").expect("Linux has it").file_type().is_char_device());
    failures.assert_none();
}

#[test]
#[cfg(target_os = "linux")]
fn answers_that_cannot_be_written_are_errors() {
    let folder = folder();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let command =
        packager_command(folder.path()).args(["inspect", "model.pannier"]).stdout(full).stderr(Stdio::piped()).output();
    let output = command.expect("packager starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, "error[E_FAILED]: cannot write `stdout`: no space left on device\n");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    for line in ["explain --markdown", "inspect model.pannier --json", "--help", "completions zsh"] {
        let mut child = packager_command(folder.path())
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("packager starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()), "{line}");
    }
}

#[test]
fn a_bundle_goes_through_pipes() {
    let folder = folder();
    let unsigned = std::fs::read(path(&folder, "unsigned.pannier")).expect("it is there");
    let mut child = packager_command(folder.path())
        .args(["sign", "-", "--key", "publisher.pem", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("packager starts");
    child.stdin.take().expect("a pipe").write_all(&unsigned).expect("it takes the bundle");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, std::fs::read(path(&folder, "model.pannier")).expect("it is there"));
}

#[test]
#[cfg(unix)]
fn private_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    packager(folder.path(), ["key", "new", "new.pem", "--passphrase-file", "passphrase.txt"]).expect(0);
    let mode = |name: &str| std::fs::metadata(path(&folder, name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode("new.pem"), 0o600);
    assert_eq!(mode("new.pub") & 0o444, 0o444);
}

#[test]
#[cfg(unix)]
fn a_file_is_replaced_in_place_with_its_permissions_and_through_links() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    std::fs::set_permissions(path(&folder, "unsigned.pannier"), std::fs::Permissions::from_mode(0o640))
        .expect("it can");
    std::os::unix::fs::symlink("unsigned.pannier", path(&folder, "link.pannier")).expect("a link can be made");
    packager(folder.path(), ["sign", "link.pannier", "--key", "publisher.pem"]).expect(0);
    assert!(std::fs::symlink_metadata(path(&folder, "link.pannier")).expect("it is there").is_symlink());
    let target = path(&folder, "unsigned.pannier");
    assert_eq!(std::fs::metadata(&target).expect("it is there").permissions().mode() & 0o777, 0o640);
    assert_eq!(
        std::fs::read(&target).expect("it is there"),
        std::fs::read(path(&folder, "model.pannier")).expect("it is there")
    );
}

#[test]
fn a_passphrase_comes_from_a_file_or_the_environment_and_is_never_shown() {
    const SECRET: &str = "correct horse";
    let folder = folder();
    let new =
        packager(folder.path(), ["key", "new", "new.pem", "--passphrase-file", "passphrase.txt", "--json"]).expect(0);
    assert_eq!(new.json()["encrypted"], true);
    let sign = |passphrase: Option<&str>, line: &str| {
        let mut command = packager_command(folder.path());
        if let Some(passphrase) = passphrase {
            command.env("PACKAGER_KEY_PASSPHRASE", passphrase);
        }
        let output = command.args(line.split_whitespace()).output().expect("packager starts");
        let streams = [output.stdout, output.stderr].concat();
        let streams = String::from_utf8_lossy(&streams).into_owned();
        assert!(!streams.contains(SECRET) && !streams.contains("PRIVATE KEY-----\n"), "{streams}");
        output.status.code()
    };
    assert_eq!(sign(Some(SECRET), "sign model.pannier --key new.pem"), Some(0));
    assert_eq!(sign(None, "sign model.pannier --key new.pem --passphrase-file passphrase.txt"), Some(0));
    assert_eq!(sign(Some("wrong"), "sign model.pannier --key new.pem"), Some(1));
    assert_eq!(sign(Some("wrong"), "sign model.pannier --key new.pem --json"), Some(1));
    assert_eq!(sign(None, "sign model.pannier --key new.pem"), Some(2));
    assert_eq!(sign(Some(SECRET), "key show new.pem -v"), Some(0));
}

#[test]
fn trust_may_come_from_the_environment_and_flags_win() {
    let folder = folder();
    let cases = [
        (&[("PACKAGER_KEY", "publisher.pub")][..], "verify model.pannier", 0),
        (&[("PACKAGER_POLICY", "policy.toml")], "verify model.pannier", 0),
        (&[("PACKAGER_KEY", "stranger.pub")], "verify model.pannier", 11),
        (&[("PACKAGER_KEY", "stranger.pub")], "verify model.pannier --key publisher.pub", 0),
        (&[("PACKAGER_KEY", "publisher.pub")], "verify model.pannier --key stranger.pub", 11),
        (&[("PACKAGER_KEY", "publisher.pub"), ("PACKAGER_POLICY", "policy.toml")], "verify model.pannier", 2),
        (&[("PACKAGER_KEY", "")], "verify model.pannier", 2),
        (&[("PACKAGER_ALLOW_UNSIGNED", "1")], "verify model.pannier", 2),
        (&[("PACKAGER_SIGN", "publisher.pem")], "sign unsigned.pannier", 0),
        (&[("PACKAGER_PROGRESS", "sometimes")], "verify model.pannier --key publisher.pub", 2),
    ];
    let mut failures = Failures::default();
    for (variables, line, status) in cases {
        failures.check(format!("{variables:?} {line}"), || {
            let mut command = packager_command(folder.path());
            command.envs(variables.iter().copied()).args(line.split_whitespace());
            let found = command.output().expect("packager starts").status.code();
            if found == Some(status) { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
    failures.assert_none();
}

#[test]
fn quiet_says_nothing_and_colour_is_asked_for() {
    let folder = folder();
    let run = |line: &str| {
        let mut command = packager_command(folder.path());
        command.env_remove("NO_COLOR").args(line.split_whitespace());
        let output = command.output().expect("packager starts");
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run("key show publisher.pub -q").1, "");
    assert!(run("key show publisher.pub").1.starts_with("fingerprint "));
    let (plain, _) = run("verify model.pannier --key publisher.pub");
    let (coloured, _) = run("verify model.pannier --key publisher.pub --color always");
    assert!(!plain.contains('\u{1b}') && coloured.contains("\u{1b}["), "{coloured}");
    assert_eq!(run("verify model.pannier --key publisher.pub --color never").0, plain);
}
