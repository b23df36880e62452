//! What the command says of self-contained files: who signed them, what is in them, and what is wrong with them.

use super::fixture::{Built, small};
use crate::support::packager::Ran;
use crate::support::{Failures, packager, temp_dir};
use pannier_packager::standalone::Standalone;
use pannier_packager::{input, standalone};
use pannier_wasm_module::{Kind, kind, sections};
use std::path::Path;

/// Numbers of the sections with imports in modules and in components.
const MODULE_IMPORTS: u8 = 2;
const COMPONENT_IMPORTS: u8 = 10;

fn files(built: &Built) -> [(String, Vec<u8>); 2] {
    ["wasm", "component.wasm"].map(|ending| {
        let name = format!("{}.{ending}", built.name);
        let file = std::fs::read(built.folder.path().join(&name)).expect("it was built");
        (name, file)
    })
}

fn command(folder: &Path, line: &str) -> Ran {
    packager(folder, line.split_whitespace())
}

#[test]
fn they_import_nothing_and_are_what_they_are_called() {
    let [(_, module), (_, component)] = files(small());
    for (file, expected, imports) in
        [(module, Kind::Module, MODULE_IMPORTS), (component, Kind::Component, COMPONENT_IMPORTS)]
    {
        assert_eq!(kind(&file), Ok(expected));
        assert!(!sections(&file).expect("they add up").iter().any(|section| section.id == imports));
    }
}

#[test]
fn the_same_model_and_key_give_the_same_bytes() {
    let built = small();
    let folder = built.folder.path();
    for (name, first) in files(built) {
        let format = if name.ends_with("component.wasm") { "component" } else { "wasm" };
        command(folder, &format!("build --sign publisher.pem --format {format} -o again.wasm")).expect(0);
        assert!(std::fs::read(folder.join("again.wasm")).expect("it was built") == first, "{name} differs");
        // Without a signature, and signed later: the same again.
        command(folder, &format!("build --format {format} -o later.wasm")).expect(0);
        command(folder, "verify later.wasm --key publisher.pub").expect(10);
        command(folder, "sign later.wasm --key publisher.pem").expect(0);
        assert!(
            std::fs::read(folder.join("later.wasm")).expect("it was signed") == first,
            "{name} differs, signed later"
        );
    }
}

/// Line, exit status, and a part of what is said.
#[test]
fn commands_and_what_they_answer() {
    let built = small();
    let folder = temp_dir();
    for entry in
        std::fs::read_dir(built.folder.path()).expect("the folder is there").map(|entry| entry.expect("an entry"))
    {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a file can be copied");
        }
    }
    let module = std::fs::read(folder.path().join("notes.wasm")).expect("it was built");
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file can be written");
    let mut flipped = module.clone();
    flipped[module.len() / 2] ^= 1;
    write("flipped.wasm", &flipped);
    write("cut.wasm", &module[..module.len() - 100]);
    write("others.wasm", b"\0asm\x01\0\0\0");
    // Found by its first bytes, not by its name.
    write("renamed.pannier", &module);
    let cases: &[(&str, i32, &str)] = &[
        ("verify notes.wasm --key publisher.pub", 0, "verified"),
        ("verify notes.component.wasm --key publisher.pub", 0, "verified"),
        ("verify renamed.pannier --key publisher.pub", 0, "verified"),
        ("verify notes.wasm --policy policy.toml", 0, "publisher (publisher)"),
        ("verify notes.wasm --policy strict.toml", 11, "approver"),
        ("verify notes.wasm --key stranger.pub", 11, "E_UNTRUSTED_KEY"),
        ("verify notes.wasm", 2, "whom to trust"),
        ("verify notes.wasm --allow-unsigned", 0, "vouched for by nobody"),
        ("run notes.wasm notes.txt --key publisher.pub", 2, "self-contained"),
        ("run notes.wasm notes.txt --key publisher.pub --sandbox", 2, "self-contained"),
        ("unpack notes.wasm unpacked --key publisher.pub", 2, "self-contained"),
        ("verify notes.wasm --key publisher.pub --full", 0, "the digest of all of them matches"),
        ("verify notes.wasm --key publisher.pub --rebuild model.onnx", 2, "--rebuild is for bundles"),
        ("verify flipped.wasm --key publisher.pub", 13, "E_CORRUPT"),
        ("verify cut.wasm --key publisher.pub", 13, "E_TRUNCATED"),
        ("verify others.wasm --key publisher.pub", 13, "no section `pannier.signature`"),
        ("inspect others.wasm", 13, "packager build --format wasm"),
        ("inspect notes.wasm", 0, "executor"),
        ("inspect notes.component.wasm", 0, "pannier:model/packed"),
        ("inspect notes.wasm --key stranger.pub", 11, "NOT TRUSTED"),
        ("inspect notes.wasm --graph", 2, "for bundles"),
        ("inspect notes.wasm --html page.html", 2, "for bundles"),
        ("sign flipped.wasm --key publisher.pem", 13, "E_CORRUPT"),
        ("sign notes.wasm --key publisher.pem --json", 0, "\"replaced\": true"),
        ("approve notes.wasm --key approver.pem --publisher stranger.pub", 11, "E_UNTRUSTED_KEY"),
        ("approve notes.wasm --key approver.pem --policy strict.toml", 0, "policy satisfied"),
        ("verify notes.wasm --policy strict.toml", 0, "approver (approver)"),
    ];
    let mut failures = Failures::default();
    for (line, status, said) in cases {
        failures.check(line, || {
            let ran = command(folder.path(), line);
            let all = format!("{}{}", ran.stdout, ran.stderr);
            match ran.status == Some(*status) && all.contains(said) {
                true => Ok(()),
                false => Err(format!("expected status {status} and `{said}`, found {:?}:\n{all}", ran.status)),
            }
        });
    }
    failures.assert_none();
}

/// Bytes all over a real file; the unit tests try every byte of a small one.
#[test]
fn a_flipped_byte_anywhere_is_noticed() {
    let built = small();
    let trust = input::keys(&[built.folder.path().join("publisher.pub")]).expect("a key");
    for (name, mut file) in files(built) {
        let is_trusted = |file: &[u8]| Standalone::read(file).and_then(|file| file.verify(&trust, Some(0))).is_ok();
        assert!(is_trusted(&file), "{name}");
        let size = file.len();
        let end = (size - 2000..size).step_by(97);
        for index in (0..size).step_by(size / 20 + 1).chain(end) {
            file[index] ^= 0x10;
            assert!(!is_trusted(&file), "{name}: byte {index}");
            file[index] ^= 0x10;
        }
    }
}

#[test]
fn the_parts_are_the_file() {
    for (name, file) in files(small()) {
        let parts = standalone::parts(&file).expect("it is whole");
        assert_eq!(parts.iter().map(|part| part.size_bytes).sum::<u64>(), file.len() as u64, "{name}");
        for part in ["code", "memory with the model", "manifest", "signatures"] {
            assert!(parts.iter().any(|found| found.name == part), "{name} has no {part}: {parts:?}");
        }
    }
}

/// `--format` alone names the file; a bundle of the same configuration is not replaced.
#[test]
fn what_the_file_is_called() {
    let folder = crate::cli::fixture::folder();
    command(folder.path(), "build --format wasm").expect(0);
    assert!(folder.path().join("notes.wasm").is_file() && !folder.path().join("built.pannier").exists());
    let configuration = std::fs::read_to_string(folder.path().join("packager.toml")).expect("it is there");
    let configuration = format!("{configuration}\n[model.notes.variant.page]\nformat = \"wasm\"\n");
    std::fs::write(folder.path().join("packager.toml"), configuration).expect("a file can be written");
    command(folder.path(), "build --only notes/page").expect(0);
    assert!(folder.path().join("notes-page.wasm").is_file());
}
