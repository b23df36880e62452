//! What the tests share: finding things, driving the `packager` binary, making tiny ONNX files, comparing tensors.
#![allow(dead_code, reason = "each helper serves some of the tests")]

pub mod bundle;
pub mod burn;
pub mod child;
pub mod examples;
pub mod npz;
pub mod onnx;
pub mod packager;
pub mod paths;
pub mod program;
pub mod sandbox;
pub mod tensors;
pub mod web;

pub use onnx::Onnx;
pub use packager::packager;
pub use paths::{model, project_root, python};

/// A fresh directory that goes away with the returned value.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("pannier-test-").tempdir().expect("a temporary directory")
}

/// Collects the failures of a table, so that one run shows them all.
///
/// ```ignore
/// let mut failures = Failures::default();
/// for case in TABLE { failures.check(case.name, || { ...; Ok(()) }); }
/// failures.assert_none();
/// ```
#[derive(Default)]
pub struct Failures {
    rows: usize,
    failed: Vec<String>,
}

impl Failures {
    /// Runs one row. A panic in it counts as its failure.
    pub fn check(&mut self, name: impl std::fmt::Display, row: impl FnOnce() -> Result<(), String>) {
        self.rows += 1;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(row));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(why)) => self.failed.push(format!("{name}: {why}")),
            Err(payload) => self.failed.push(format!("{name}: panicked: {}", panic_message(payload.as_ref()))),
        }
    }

    /// Fails the test with every row that failed. A table without rows fails too.
    #[track_caller]
    pub fn assert_none(self) {
        assert!(self.rows > 0, "the table has no rows");
        assert!(
            self.failed.is_empty(),
            "{} of {} rows failed:\n  {}",
            self.failed.len(),
            self.rows,
            self.failed.join("\n  ")
        );
    }
}

/// The text of a caught panic.
pub fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
