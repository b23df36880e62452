//! Hostile ONNX files: refused with the right code by the library, and by `packager build` with the right exit status
//! and no file left behind. Nothing panics, hangs or takes memory that the file does not pay for.

mod runs;
mod table;

use crate::support::child::{is_child, peak_bytes, this_test};
use crate::support::onnx::Onnx;
use crate::support::packager::packager;
use crate::support::{Failures, temp_dir};
use pannier::Code;
use pannier_engine::{Engine, RunBudget};
use pannier_engine_tract::TractEngine;
use pannier_graph::DType::F32;
use pannier_packager::import::{self, ImportOptions};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};
use table::{TABLE, good, nested_ifs};

/// What the library makes of a model file: imports it and has it prepared.
fn load(path: &Path) -> Result<(), (Code, String)> {
    let engine = TractEngine::new();
    let imported = import::import(path, &ImportOptions::default(), &engine);
    let program = imported.map_err(|error| (error.code(), error.to_string()))?.program;
    let prepared = engine.prepare(&program, &RunBudget::default());
    prepared.map(drop).map_err(|error| (error.code(), error.to_string()))
}

/// The same for bytes without a folder.
fn load_bytes(bytes: &[u8]) -> Result<(), (Code, String)> {
    let folder = temp_dir();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).expect("the model is written");
    load(&path)
}

#[test]
fn the_model_that_the_bad_ones_are_made_from_is_good() {
    assert_eq!(load_bytes(&good().bytes()), Ok(()));
}

#[test]
fn every_bad_model_is_refused_by_the_library() {
    let mut failures = Failures::default();
    for bad in TABLE {
        failures.check(bad.name, || {
            let folder = temp_dir();
            let path = (bad.write)(folder.path());
            match load(&path) {
                Ok(()) => Err(format!("accepted, expected {}", bad.code)),
                Err((code, message)) => judge(bad, code.name(), &message),
            }
        });
    }
    failures.assert_none();
}

#[test]
fn every_bad_model_is_refused_by_packager_build_and_leaves_nothing() {
    let mut failures = Failures::default();
    for bad in TABLE {
        failures.check(bad.name, || {
            let folder = temp_dir();
            (bad.write)(folder.path());
            let before = files(folder.path());
            let ran = packager(folder.path(), ["build", "model.onnx", "-o", "out.pannier"]);
            if ran.status != Some(i32::from(bad.code.exit_status())) {
                return Err(format!(
                    "exit status {:?}, expected {}: {}",
                    ran.status,
                    bad.code.exit_status(),
                    ran.stderr
                ));
            }
            judge(bad, &ran.stderr, &ran.stderr)?;
            let after = files(folder.path());
            if after == before { Ok(()) } else { Err(format!("left files behind: {after:?}")) }
        });
    }
    failures.assert_none();
}

/// Whether an error has the code of the row and names what it must name.
fn judge(bad: &table::Bad, code: &str, message: &str) -> Result<(), String> {
    if !code.contains(bad.code.name()) {
        return Err(format!("{code}, expected {}: {message}", bad.code));
    }
    match bad.says.iter().find(|part| !message.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(format!("the message does not say {part:?}: {message}")),
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is read");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_model_cut_at_any_byte_is_refused() {
    let bytes = good().floats("unused", "2", &[1.0, 2.0]).bytes();
    let mut failures = Failures::default();
    for length in 0..bytes.len() {
        failures.check(format!("{length} of {} bytes", bytes.len()), || match load_bytes(&bytes[..length]) {
            Err((Code::InvalidModel, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    failures.assert_none();
}

#[test]
fn bodies_nested_as_deep_as_people_write_them_are_read() {
    // Real exports nest two or three levels; what is too deep is refused (see the table) before the stack ends.
    let outcome = load_bytes(&nested_ifs(5).bytes());
    // Whether the engine has `If` with such branches is not the point: it is a clean answer.
    assert!(matches!(outcome, Ok(()) | Err((Code::UnsupportedOperator, _))), "{outcome:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(load_bytes(&bytes).is_err());
    }

    /// Changed bytes may still make a model. Whatever they make, nothing panics.
    #[test]
    fn a_damaged_model_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = good().ints("axes", "1", &[1]).node("ReduceSum", &["y", "axes"], &["z"]).output("z", F32, "2,1").bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = load_bytes(&bytes);
    }
}

/// A file of 1 KB whose tensor claims 3 GB may take no more memory than its bytes are worth.
#[test]
fn memory_follows_the_file_and_not_its_claims() {
    const TEST: &str = "hostile_onnx::memory_follows_the_file_and_not_its_claims";
    const MOST_BYTES: u64 = 64 << 20;
    let claims = TABLE.iter().filter(|bad| bad.name.contains("3 GB"));
    if is_child() {
        for bad in claims {
            let folder = temp_dir();
            assert!(load(&(bad.write)(folder.path())).is_err());
        }
        println!("peak_bytes={}", peak_bytes().unwrap_or(0));
        return;
    }
    assert_eq!(claims.count(), 2);
    let output = this_test(TEST, 2 << 30).output().expect("the child runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let peak = stdout.split("peak_bytes=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let peak: u64 = peak.and_then(|number| number.parse().ok()).expect("the child says its peak");
    assert!(peak < MOST_BYTES, "{peak} bytes");
}

#[test]
fn a_million_nodes_are_read_or_refused_in_reasonable_time() {
    const NODES: usize = 1_000_000;
    const LIMIT: Duration = Duration::from_secs(60);
    let mut model = Onnx::new(17).input("x", F32, "1");
    let mut before = "x".to_owned();
    for index in 0..NODES {
        let after = format!("v{index}");
        model = model.node("Neg", &[&before], &[&after]);
        before = after;
    }
    let folder = temp_dir();
    let path = model.output(&before, F32, "1").save(folder.path());
    let started = Instant::now();
    let outcome = import::import(&path, &ImportOptions::default(), &TractEngine::new());
    let took = started.elapsed();
    assert!(took < LIMIT, "{took:?}");
    let code = outcome.err().map(|error| error.code());
    assert!(matches!(code, None | Some(Code::Limit)), "{code:?}");
}
