//! A folder with a small model, keys, a policy and bundles, made once and copied for each test.
//!
//! The keys are derived from constants and the model is exact, so that every output can be compared letter by letter.

use crate::support::packager::{Ran, packager_command};
use crate::support::{Onnx, packager, temp_dir};
use p256::ecdsa::SigningKey;
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use pannier_graph::DType;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A fresh copy of the folder.
pub fn folder() -> TempDir {
    static ORIGINAL: OnceLock<TempDir> = OnceLock::new();
    let original = ORIGINAL.get_or_init(|| {
        let folder = temp_dir();
        prepare(folder.path());
        folder
    });
    let copy = temp_dir();
    for entry in std::fs::read_dir(original.path()).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a file can be copied");
    }
    copy
}

/// The model: `x @ w + b`, four byte values in, a score for each of three classes out. `scale` tells two of them apart.
/// Every number is a small multiple of 1/8, so the answers are exact on every machine.
pub fn model(scale: f32) -> Vec<u8> {
    let weights: Vec<f32> = (0..12).map(|index| (index % 5) as f32 * 0.25 * scale).collect();
    Onnx::new(17)
        .input("x", DType::I32, "batch,4")
        .floats("w", "4,3", &weights)
        .floats("b", "3", &[0.5, 0.0, -0.5])
        .node("Cast", &["x"], &["floats"])
        .with(crate::support::onnx::int("to", 1))
        .node("MatMul", &["floats", "w"], &["product"])
        .node("Add", &["product", "b"], &["y"])
        .output("y", DType::F32, "batch,3")
        .bytes()
}

const CONFIGURATION: &str = r#"[model.notes]
source = "model.onnx"
version = "1.2.0"
description = "What kind of file it is"
licence = "MIT"
output = "built.pannier"

[model.notes.inputs.x]
kind = "bytes"
description = "any file"
head = 2
tail = 2
block = 16
padding = 0

[model.notes.outputs.y]
kind = "classes"
labels = "labels.json"
"#;

/// Keys: a name, and the constant that the key is derived from.
const KEYS: [(&str, u8); 3] = [("publisher", 7), ("approver", 8), ("stranger", 9)];

/// SHA-256 of the public halves of [`KEYS`].
const FINGERPRINTS: [&str; 3] = [
    "d9edd6aae988ddc86a7c1142a6ee5eb027c642e23a9b826b2194de64dea18de7",
    "094958b1737206831bfcc5f73e5070a37a9432de5239448c85904eefd4d9cd85",
    "754ffcb8f7cfc671ea07d1064297f7b270720baa96a60f7fb2a407c2433db210",
];

fn prepare(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file can be written");
    write("model.onnx", &model(1.0));
    write("retrained.onnx", &model(1.5));
    write("packager.toml", CONFIGURATION.as_bytes());
    write("labels.json", br#"["text", "code", "data"]"#);
    write("notes.txt", b"hi");
    write("passphrase.txt", b"correct horse\n");
    cases(&folder.join("cases.npz"));
    for (name, constant) in KEYS {
        let key = SigningKey::from_slice(&[constant; 32]).expect("a constant makes a key");
        write(&format!("{name}.pem"), key.to_pkcs8_pem(LineEnding::LF).expect("it has a PEM form").as_bytes());
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF).expect("it has a PEM form");
        write(&format!("{name}.pub"), public.as_bytes());
    }
    write("policy.toml", policy(folder, false).as_bytes());
    write("strict.toml", policy(folder, true).as_bytes());
    let run = |arguments: &[&str]| packager(folder, arguments).expect(0);
    run(&["build", "--only", "notes", "-o", "unsigned.pannier"]);
    run(&["sign", "unsigned.pannier", "--key", "publisher.pem", "-o", "model.pannier"]);
    let retrained = CONFIGURATION.replace("model.onnx", "retrained.onnx").replace("1.2.0", "1.3.0");
    write("retrained.toml", retrained.as_bytes());
    run(&["build", "--config", "retrained.toml", "-o", "retrained.pannier", "--sign", "publisher.pem"]);
}

/// A policy that wants a publisher, and perhaps an approver.
fn policy(folder: &Path, approver: bool) -> String {
    let key = |name: &str, role: &str| {
        let pem = std::fs::read_to_string(folder.join(format!("{name}.pub"))).expect("the key was written");
        format!("\n[[keys]]\nname = \"{name}\"\nroles = [\"{role}\"]\npem = \"\"\"\n{pem}\"\"\"\n")
    };
    match approver {
        true => format!(
            "[roles]\npublisher = 1\napprover = 1\n{}{}",
            key("publisher", "publisher"),
            key("approver", "approver")
        ),
        false => format!("[roles]\npublisher = 1\n{}", key("publisher", "publisher")),
    }
}

/// Three cases, as `packager run` takes them.
fn cases(path: &Path) {
    use npyz::WriterBuilder;
    let file = std::fs::File::create(path).expect("a file can be created");
    let mut npz = npyz::npz::NpzWriter::new(std::io::BufWriter::new(file));
    for case in 0..3_i32 {
        let name = format!("{case:03}/in/x");
        let array = npz.array(&name, Default::default()).expect("an array can be added");
        let mut array = array.default_dtype().shape(&[1, 4]).begin_nd().expect("its header can be written");
        array.extend((0..4).map(|index| case + index)).expect("its numbers can be written");
        array.finish().expect("it can be finished");
    }
}

/// Runs a command line as it is printed in a help text: words, quotes are not needed, `> FILE` at the end.
pub fn run_line(folder: &Path, line: &str) -> Ran {
    let (line, redirected) = match line.split_once(" > ") {
        Some((line, file)) => (line, Some(file.trim())),
        None => (line, None),
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words.first(), Some(&"packager"), "{line}");
    let mut command = packager_command(folder);
    command.args(&words[1..]);
    if let Some(file) = redirected {
        let file = std::fs::File::create(folder.join(file)).expect("a file can be created");
        command.stdout(file);
    }
    command.stderr(std::process::Stdio::piped()).output().expect("packager starts").into()
}

/// Names in the folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Both streams of a command, with what differs from machine to machine replaced.
pub fn told(ran: &Ran) -> String {
    let mut text = format!("status {}\n", ran.status.map_or("none".to_owned(), |status| status.to_string()));
    for (name, stream) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        if !stream.is_empty() {
            text.push_str(&format!("--- {name}\n{stream}"));
        }
    }
    redacted(&text)
}

/// Replaces versions of the tool, and digests, which contain them. Fingerprints of keys stay.
pub fn redacted(text: &str) -> String {
    let text = text.replace(&format!("packager {}", env!("CARGO_PKG_VERSION")), "packager VERSION");
    let mut out = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte)).count();
        let (word, after) = rest.split_at(digits.max(rest.chars().next().map_or(1, char::len_utf8)));
        out.push_str(if digits == 64 && !FINGERPRINTS.contains(&word) { "DIGEST" } else { word });
        rest = after;
    }
    out
}

/// A path in the folder.
pub fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
