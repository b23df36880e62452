//! Conformance: the same bundles give the same answers whatever runs them.
//!
//! [`subjects`] are sealed, signed bundles with cases; [`rows`] are what runs them: an engine on a target. Every row
//! runs every case of every subject. A new engine or target joins by one line in [`rows::rows`].

mod asked;
mod onnx_nodes;
mod rows;
pub mod subjects;

use crate::support::Failures;
use crate::support::tensors::compare;
use pannier::Tensor;
use rows::{Opened, Row};
use subjects::Subject;

#[test]
fn every_row_gives_the_expected_answers_of_the_small_bundles() {
    give_the_expected_answers_of_the_small_bundles(&rows::rows());
}

#[test]
fn every_row_gives_the_reference_answers_of_the_real_models() {
    // A GPU that is a program on the CPU would take minutes for each: it has the small bundles.
    let rows: Vec<Row> = rows::rows().into_iter().filter(|row| !row.is_on_webgpu()).collect();
    give_the_reference_answers_of_the_real_models(&rows, usize::MAX);
}

#[test]
#[ignore = "takes minutes on a GPU that is a program on the CPU: cargo xtask test --all"]
fn webgpu_gives_the_reference_answers_of_the_real_models() {
    // And the golden cases, when the bundle is opened.
    give_the_reference_answers_of_the_real_models(&[rows::webgpu()], 1);
}

#[test]
#[ignore = "needs a build with graphics, and a driver: cargo xtask test --all"]
fn a_gpu_natively_gives_the_expected_answers_of_the_small_bundles() {
    give_the_expected_answers_of_the_small_bundles(&[rows::native_gpu()]);
}

#[test]
#[ignore = "needs a build with graphics, and a driver: cargo xtask test --all"]
fn a_gpu_natively_gives_the_reference_answers_of_the_real_models() {
    give_the_reference_answers_of_the_real_models(&[rows::native_gpu()], 1);
}

#[test]
#[ignore = "needs Firefox and WebKit: cargo xtask test --all"]
fn other_browsers_give_the_expected_answers_of_the_small_bundles() {
    give_the_expected_answers_of_the_small_bundles(&rows::other_browsers());
}

#[test]
#[ignore = "needs Firefox and WebKit: cargo xtask test --all"]
fn other_browsers_give_the_reference_answers_of_the_real_models() {
    give_the_reference_answers_of_the_real_models(&rows::other_browsers(), usize::MAX);
}

fn give_the_expected_answers_of_the_small_bundles(rows: &[Row]) {
    let mut failures = Failures::default();
    let subjects = subjects::small();
    for row in rows {
        for subject in &subjects {
            check(row, subject, &mut failures);
        }
    }
    failures.assert_none();
}

fn give_the_reference_answers_of_the_real_models(rows: &[Row], most_cases: usize) {
    let mut failures = Failures::default();
    // One after the other: their weights need not be in memory together.
    for name in subjects::REAL {
        let mut subject = subjects::real(name);
        subject.cases.truncate(most_cases);
        for row in rows {
            let Some(opened) = check(row, &subject, &mut failures) else { continue };
            failures.check(format!("{name} on {}/{}: engine", row.engine, row.target), || {
                // Every one of them runs on the engine that a row has first.
                let wanted = row.first_engine();
                let engine = opened.engine();
                if engine == wanted { Ok(()) } else { Err(format!("it ran on {engine}")) }
            });
        }
    }
    failures.assert_none();
}

#[test]
fn deterministic_rows_give_the_same_bits_of_the_real_models() {
    for name in subjects::REAL {
        let subject = subjects::real(name);
        let rows = rows::deterministic();
        assert!(rows.len() > 1, "there is something to compare");
        let mut expected: Vec<Vec<(String, Tensor)>> = Vec::new();
        for row in rows {
            let opened = row.runner.open(&subject.bundle, &subject.key).unwrap_or_else(|why| panic!("{name}: {why}"));
            let outputs: Result<Vec<_>, String> = subject.cases.iter().map(|case| opened.run(&case.inputs)).collect();
            let outputs = outputs.unwrap_or_else(|why| panic!("{name}: {why}"));
            if expected.is_empty() {
                expected = outputs;
                continue;
            }
            for ((ours, theirs), case) in outputs.iter().zip(&expected).zip(&subject.cases) {
                let same = ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && a.1.bytes() == b.1.bytes());
                assert!(
                    same && ours.len() == theirs.len(),
                    "{name}, case `{}`: other bits on {}",
                    case.name,
                    row.target
                );
            }
        }
    }
}

/// Runs every case of a subject on a row, and the golden cases that are in the bundle itself. Returns the session, if it opened.
fn check(row: &Row, subject: &Subject, failures: &mut Failures) -> Option<Box<dyn Opened>> {
    let title = format!("{} on {}/{}", subject.name, row.engine, row.target);
    let mut opened = None;
    failures.check(format!("{title}: open"), || {
        opened = Some(row.runner.open(&subject.bundle, &subject.key)?);
        Ok(())
    });
    let opened: Box<dyn Opened> = opened?;
    let tolerance = row.tolerance(subject);
    for case in &subject.cases {
        failures.check(format!("{title}: case `{}`", case.name), || {
            let outputs = opened.run(&case.inputs)?;
            for (name, expected) in &case.outputs {
                let output = outputs.iter().find(|(key, _)| key == name).map(|(_, tensor)| tensor);
                let output = output.ok_or_else(|| format!("no output `{name}`"))?;
                compare(output, expected, tolerance).map_err(|why| format!("output `{name}`: {why}"))?;
            }
            Ok(())
        });
    }
    Some(opened)
}
