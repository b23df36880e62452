//! The same tests in the sandbox: each comes out there as it does natively.

use super::outcome::Outcome;
use super::{case, pool, worker};
use crate::support::child::is_child;
use crate::support::sandbox;
use pannier::Code;
use pannier_wasmtime::{Limits, LoadOptions};
use std::path::Path;

const SANDBOXED: pool::Work = pool::Work {
    test: "conformance::onnx_nodes::sandboxed::onnx_node_tests_come_out_in_the_sandbox_as_natively",
    // Every instance that there may be reserves some, used or not.
    address_space_bytes: 16 << 40,
};

#[test]
fn onnx_node_tests_come_out_in_the_sandbox_as_natively() {
    if is_child() {
        return worker::serve(agreement);
    }
    // Compiled once, not by each worker.
    sandbox::fast();
    let cases = case::all();
    let started = std::time::Instant::now();
    let outcomes = pool::run(&cases.iter().map(|case| case.folder.clone()).collect::<Vec<_>>(), SANDBOXED);
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    println!(
        "onnx node tests: {} with the same answers natively and in the sandbox, {} with the same error, \
         {} that cannot be packed, in {:.1} s",
        count(Outcome::passed),
        count(|outcome| matches!(outcome, Outcome::Error { .. })),
        count(|outcome| matches!(outcome, Outcome::Unsupported { .. })),
        started.elapsed().as_secs_f64()
    );
    let differs = |outcome: &Outcome| matches!(outcome, Outcome::Wrong { .. } | Outcome::Crashed { .. });
    let different: Vec<String> = cases
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| differs(outcome))
        .map(|(case, outcome)| format!("{}: {outcome}", case.name))
        .collect();
    assert!(different.is_empty(), "{} tests come out otherwise:\n  {}", different.len(), different.join("\n  "));
    assert!(count(Outcome::passed) > cases.len() / 2, "most tests have answers");
}

/// [`Outcome::Passed`]: the same answers; [`Outcome::Wrong`]: not the same outcome; else what both say.
fn agreement(folder: &Path) -> Outcome {
    let (bundle, inputs) = match worker::bundle(folder).and_then(|bundle| Ok((bundle, worker::inputs(folder)?))) {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    let mut engine = "";
    let native = worker::session(bundle.clone()).and_then(|session| {
        engine = session.report().engine;
        session.run(worker::views(&inputs))
    });
    let native: Result<worker::Named, (Code, String)> =
        native.map(|outputs| outputs.into_iter().collect()).map_err(|error| (error.code(), error.to_string()));

    let limits =
        Limits { memory_bytes: Some(worker::MEMORY_BYTES), deadline: Some(worker::DEADLINE), ..Limits::default() };
    let model = sandbox::load(sandbox::fast(), &bundle, &LoadOptions { limits, ..LoadOptions::default() });
    let sandboxed = model.and_then(|model| model.run(worker::views(&inputs)));
    let sandboxed: Result<worker::Named, (Code, String)> =
        sandboxed.map(|outputs| outputs.into_iter().collect()).map_err(|error| (error.code(), error.to_string()));

    match (native, sandboxed) {
        (Ok(native), Ok(sandboxed)) => worker::compare_all(engine, &sandboxed, &native, worker::tolerance(folder)),
        (Err((native, why)), Err((sandboxed, _))) if native == sandboxed => {
            Outcome::Error { code: native.to_string(), why }
        }
        (native, sandboxed) => {
            let said = |result: Result<worker::Named, (Code, String)>| match result {
                Ok(_) => "an answer".to_owned(),
                Err((code, why)) => format!("{code}: {why}"),
            };
            Outcome::Wrong { why: format!("natively {}; in the sandbox {}", said(native), said(sandboxed)) }
        }
    }
}
