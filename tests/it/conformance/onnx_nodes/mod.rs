//! The `onnx` package's own backend tests of single operators: each model is built into a bundle, opened and run, and
//! its answers are compared with the expected ones. `docs/operators.md` is the result.
//!
//! The tests run in child processes (`worker`), because a hang, an abort or an exhausted stack in one of them is a
//! result to be recorded, not the end of the run.

mod case;
mod outcome;
mod pool;
mod report;
mod sandboxed;
mod worker;

use crate::support::child::is_child;
use crate::support::project_root;
use outcome::Outcome;
use pannier_engine_tract::TractEngine;
use pannier_packager::import::{self, ImportOptions};
use std::collections::{BTreeMap, BTreeSet};

/// Enough address space for every model of the tests, too little to trouble the machine.
const NATIVE: pool::Work = pool::Work {
    test: "conformance::onnx_nodes::onnx_node_tests_come_out_as_documented",
    address_space_bytes: 6 << 30,
};

/// Set to `1` to write `docs/operators.md` anew.
const BLESS: &str = "PANNIER_BLESS";

/// Wrong answers that are known, with the reason. Any other wrong answer fails the test: an operator that is not
/// right has to be refused.
const KNOWN_WRONG: &[(&str, &str)] = &[
    (
        "test_dynamicquantizelinear_expanded",
        "a number half way between two steps; tract multiplies by the reciprocal of the scale where the standard divides",
    ),
    ("test_l2normalization_axis_0", "0 / 0; ONNX Runtime answers 0 as well"),
    ("test_qlinearmatmul_2D_int8_float16", WRAPS),
    ("test_qlinearmatmul_2D_int8_float32", WRAPS),
    ("test_qlinearmatmul_3D_int8_float16", WRAPS),
    ("test_qlinearmatmul_3D_int8_float32", WRAPS),
];

const WRAPS: &str =
    "the file expects numbers below -128 to wrap around; the standard says saturate, and ONNX Runtime answers as we do";

#[test]
fn onnx_node_tests_come_out_as_documented() {
    if is_child() {
        return worker::serve(worker::run);
    }
    let cases = case::all();
    let started = std::time::Instant::now();
    let outcomes = pool::run(&cases.iter().map(|case| case.folder.clone()).collect::<Vec<_>>(), NATIVE);
    let outcomes: BTreeMap<String, Outcome> = cases.iter().map(|case| case.name.clone()).zip(outcomes).collect();
    let totals = report::Totals::of(outcomes.values());
    eprintln!("onnx node tests: {totals} in {:.1} s", started.elapsed().as_secs_f64());

    let crashes = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Crashed { .. }));
    let crashes: Vec<String> = crashes.map(|(name, outcome)| format!("{name}: {outcome}")).collect();
    assert!(crashes.is_empty(), "{} tests panic, hang or abort:\n  {}", crashes.len(), crashes.join("\n  "));

    let known_wrong = |name: &String| KNOWN_WRONG.iter().any(|(known, _)| known == name);
    let wrong =
        outcomes.iter().filter(|(name, outcome)| matches!(outcome, Outcome::Wrong { .. }) && !known_wrong(name));
    let wrong: Vec<String> = wrong.map(|(name, outcome)| format!("{name}: {outcome}")).collect();
    assert!(wrong.is_empty(), "{} tests have wrong answers:\n  {}", wrong.len(), wrong.join("\n  "));

    let path = project_root().join("docs/operators.md");
    let document = report::document(&cases, &outcomes, KNOWN_WRONG);
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        std::fs::write(&path, document).expect("docs/operators.md is written");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let known = report::not_passed(&committed);
    let now: BTreeSet<&str> =
        outcomes.iter().filter(|(_, outcome)| !outcome.passed()).map(|(name, _)| name.as_str()).collect();
    let regressions: Vec<String> =
        now.iter().filter(|name| !known.contains(**name)).map(|name| format!("{name}: {}", outcomes[*name])).collect();
    assert!(
        regressions.is_empty(),
        "{} tests passed according to docs/operators.md and do not any more:\n  {}",
        regressions.len(),
        regressions.join("\n  ")
    );
    assert!(
        document == committed,
        "docs/operators.md is out of date: run `{BLESS}=1 cargo test -p pannier-tests onnx_node_tests`"
    );
}

/// Prints the program and the outcome of single tests, for those who work on one operator.
#[test]
#[ignore = "a tool: PANNIER_NODE_TEST=test_add cargo test -p pannier-tests --test it show_onnx_node_test -- --ignored --nocapture"]
fn show_onnx_node_test() {
    let Ok(names) = std::env::var("PANNIER_NODE_TEST") else { return };
    let cases = case::all();
    for name in names.split(',') {
        let case = cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no test `{name}`"));
        let model = case.folder.join("model.onnx");
        match import::import(&model, &ImportOptions::default(), &TractEngine::new()) {
            Ok(imported) => println!("{name}:\n{}\n{}", imported.program.graph, imported.notes.join("\n")),
            Err(error) => println!("{name}: {error}"),
        }
        println!("{name}: {}", worker::run(&case.folder));
    }
}
