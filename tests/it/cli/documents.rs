//! `--json` and `--json-schema`: every document is what its schema says.

use super::fixture::folder;
use super::schema::violations;
use crate::support::{Failures, packager, sandbox, temp_dir};
use clap::CommandFactory;
use pannier_packager::args::Cli;
use serde_json::Value;

/// A line for each verb that shows its whole document.
const LINES: &[(&str, &str)] = &[
    ("approve", "approve model.pannier --key approver.pem --policy strict.toml -o approved.pannier"),
    ("bench", "bench model.pannier cases.npz --runs 3 --allow-unsigned"),
    ("bench", "bench model.pannier cases.npz --runs 3 --allow-unsigned --sandbox"),
    ("build", "build --model-version 2.0.0"),
    ("build", "build --format wasm -o model.wasm"),
    ("completions", "completions bash"),
    ("diff", "diff model.pannier retrained.pannier"),
    ("explain", "explain"),
    ("export", "export model.pannier --onnx exported.onnx --key publisher.pub"),
    ("init", "init retrained.onnx --force"),
    ("inspect", "inspect model.pannier --key publisher.pub"),
    ("inspect", "inspect model.pannier --key stranger.pub"),
    ("inspect", "inspect unsigned.pannier"),
    ("key", "key new other.pem --no-passphrase"),
    ("key", "key show publisher.pub"),
    ("plan", "inspect model.pannier --key publisher.pub --plan"),
    ("quantize", "quantize model.onnx --scheme q8 --include MatMul -o small.pannier"),
    (
        "quantize",
        "quantize model.onnx --scheme q8 --include MatMul --evaluate cases.npz --max-loss 90% -o small.pannier",
    ),
    ("run", "run model.pannier notes.txt --key publisher.pub"),
    ("run", "run model.pannier cases.npz --key publisher.pub"),
    ("run", "run model.pannier cases.npz --key publisher.pub --sandbox"),
    ("sign", "sign model.pannier --key publisher.pem"),
    ("unpack", "unpack model.pannier unpacked --key publisher.pub"),
    ("verify", "verify model.pannier --policy policy.toml --full --rebuild model.onnx"),
    ("verify", "verify model.pannier --allow-unsigned"),
];

fn schema_of(verb: &str) -> Value {
    let folder = temp_dir();
    let words = if verb == "plan" { vec!["inspect", "--plan"] } else { vec![verb] };
    packager(folder.path(), words.into_iter().chain(["--json-schema"])).expect(0).json()
}

#[test]
fn documents_are_what_their_schemas_say() {
    sandbox::fast();
    let mut failures = Failures::default();
    for (verb, line) in LINES {
        failures.check(line, || {
            let folder = folder();
            let words = line.split_whitespace().chain(["--json", "--progress", "none"]);
            let ran = packager(folder.path(), words);
            let document = ran.json();
            if document["schema"] != format!("pannier.dev/{verb}/v1") {
                return Err(format!("it calls itself {}", document["schema"]));
            }
            match violations(&schema_of(verb), &document).as_slice() {
                [] => Ok(()),
                violations => Err(violations.join("; ")),
            }
        });
    }
    failures.assert_none();
}

#[test]
fn every_verb_has_a_schema_and_a_line_here() {
    let mut failures = Failures::default();
    // What `telemetry show` prints is OTLP's own document.
    let command = Cli::command();
    let verbs = command.get_subcommands().map(|command| command.get_name().to_owned());
    for verb in verbs.filter(|verb| verb != "telemetry") {
        failures.check(&verb, || {
            let schema = schema_of(&verb);
            if schema["properties"]["schema"]["const"] != format!("pannier.dev/{verb}/v1") {
                return Err(format!("its schema names {}", schema["properties"]["schema"]));
            }
            if LINES.iter().any(|(name, _)| *name == verb) {
                Ok(())
            } else {
                Err("no line shows its document".to_owned())
            }
        });
    }
    failures.assert_none();
}

#[test]
fn an_error_is_a_document_on_stderr() {
    let schema: Value =
        serde_json::from_str(pannier_packager::schemas::of("error").expect("there is one")).expect("JSON");
    let folder = folder();
    let lines = [
        ("verify model.pannier", "E_USAGE"),
        ("verify model.pannier --key stranger.pub", "E_UNTRUSTED_KEY"),
        ("inspect nowhere.pannier", "E_INPUT_MISSING"),
        ("verify model.pannier --key publisher.pub --rebuild retrained.onnx", "E_FAILED"),
        ("verify --nonsense", "E_USAGE"),
    ];
    let mut failures = Failures::default();
    for (line, code) in lines {
        failures.check(line, || {
            let ran = packager(folder.path(), line.split_whitespace().chain(["--json"]));
            let last = ran.stderr.lines().last().unwrap_or_default();
            let document: Value = serde_json::from_str(last).map_err(|error| format!("{error}: {last}"))?;
            if document["code"] != code || document["exit_status"] != ran.status.unwrap_or(-1) {
                return Err(format!("{document}"));
            }
            match violations(&schema, &document).as_slice() {
                [] => Ok(()),
                violations => Err(violations.join("; ")),
            }
        });
    }
    failures.assert_none();
}
