//! The vectors in `tests/vectors/oms`: signatures over one small bundle, good ones and bad ones of every kind.
//!
//! They are made here, from keys that everybody knows. `PANNIER_BLESS=1` writes them anew; otherwise the files must be
//! what would be written.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pannier_bundle::trust::{PublicKey, Trust};
use pannier_bundle::write::with_signatures;
use pannier_bundle::{Bundle, Code, Limits};
use serde_json::{Value, json};

use super::cases::{KEYS, Maker, Vector};
use crate::support::{Failures, project_root, python, temp_dir};
use crate::trust::fixture::{key, sealed, unpack};

fn folder() -> PathBuf {
    project_root().join("tests/vectors/oms")
}

/// Every file of the folder, as it should be.
fn files(maker: &Maker, vectors: Vec<Vector>) -> Vec<(String, Vec<u8>)> {
    let answer = |accepted: bool| if accepted { "valid" } else { "invalid" };
    let rows: Vec<Value> = vectors
        .iter()
        .map(|Vector { file, ours, why_not_reference, .. }| {
            let mut row = json!({
                "file": format!("{file}.json"),
                "expected": ours.err().map_or("valid", Code::name),
                "model-signing": answer(ours.is_ok() == why_not_reference.is_none()),
            });
            if let Some(why) = why_not_reference {
                row["why"] = (*why).into();
            }
            row
        })
        .collect();
    let manifest = json!({"bundle": "small.pannier", "public_key": "publisher.pub", "vectors": rows});
    let manifest = serde_json::to_string_pretty(&manifest).expect("JSON") + "\n";
    let mut files =
        vec![("small.pannier".to_owned(), maker.bundle.clone()), ("manifest.json".to_owned(), manifest.into_bytes())];
    files.extend(KEYS.map(|(name, seed)| (format!("{name}.pub"), key(seed).public_key().to_pem().into())));
    files.extend(vectors.into_iter().map(|vector| (format!("{}.json", vector.file), vector.document)));
    files
}

/// The files are what this module makes. `PANNIER_BLESS=1` writes them.
#[test]
fn the_vectors_are_up_to_date() {
    let maker = Maker::new(sealed("1.0.0").assemble(&[]).expect("a bundle"));
    let mut failures = Failures::default();
    for (name, bytes) in files(&maker, maker.vectors()) {
        let path = folder().join(&name);
        if std::env::var_os("PANNIER_BLESS").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &bytes).expect("a file");
        }
        failures.check(&name, || match fs::read(&path) {
            Ok(found) if found == bytes => Ok(()),
            Ok(_) => Err("differs; PANNIER_BLESS=1 writes it anew".into()),
            Err(error) => Err(error.to_string()),
        });
    }
    failures.assert_none();
}

/// What is in the folder, read as a stranger would read it: the manifest names the files and the answers.
fn manifest() -> Value {
    serde_json::from_slice(&fs::read(folder().join("manifest.json")).expect("a file")).expect("JSON")
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn every_vector_gets_our_answer() {
    let manifest = manifest();
    let bundle = fs::read(folder().join(field(&manifest, "bundle"))).expect("a file");
    let public = fs::read_to_string(folder().join(field(&manifest, "public_key"))).expect("a file");
    let trust = Trust::Keys(vec![PublicKey::from_pem(&public).expect("a key")]);
    let mut failures = Failures::default();
    for row in manifest["vectors"].as_array().expect("rows") {
        failures.check(field(row, "file"), || {
            let document = fs::read(folder().join(field(row, "file"))).map_err(|error| error.to_string())?;
            let signed = with_signatures(&bundle, &[document]).map_err(|error| error.to_string())?;
            let opened = Bundle::open(signed, &Limits::default()).map_err(|error| error.to_string())?;
            let found =
                opened.verify(&trust, None).map(|_| ()).map_err(|error| (error.code().name(), error.to_string()));
            let answer = found.as_ref().err().map_or("valid", |(code, _)| code);
            if answer == field(row, "expected") { Ok(()) } else { Err(format!("expected {row}, found {found:?}")) }
        });
    }
    failures.assert_none();
}

#[test]
fn every_vector_gets_the_answer_of_the_reference_tool() {
    let manifest = manifest();
    let root = temp_dir();
    let model = root.path().join("small");
    unpack(&fs::read(folder().join(field(&manifest, "bundle"))).expect("a file"), &model);
    let public = folder().join(field(&manifest, "public_key"));
    let rows = manifest["vectors"].as_array().expect("rows");
    let cases: Vec<Value> = rows
        .iter()
        .map(|row| json!({"model": model, "signature": folder().join(field(row, "file")), "public_key": public}))
        .collect();

    let answers = ask_reference(&json!(cases));
    assert_eq!(answers.len(), rows.len());
    let mut failures = Failures::default();
    for (row, answer) in rows.iter().zip(answers) {
        failures.check(field(row, "file"), || {
            let found = if answer.is_null() { "valid" } else { "invalid" };
            if found == field(row, "model-signing") { Ok(()) } else { Err(format!("expected {row}, found {answer}")) }
        });
    }
    failures.assert_none();
}

/// The answers of the reference implementation: null where it accepts, else its words.
fn ask_reference(cases: &Value) -> Vec<Value> {
    let script = project_root().join("tests/it/oms/reference.py");
    let mut command = Command::new(python());
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(cases.to_string().as_bytes()).expect("Python listens");
    drop(input);
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "the reference tool failed; `cargo xtask setup` installs it");
    serde_json::from_slice(&output.stdout).expect("an array")
}
