//! What a recorder tells at the end of a window: plain numbers, ready to be written down.

use crate::baseline::Role;
use crate::recorder::{About, Identity};
use crate::sketch::Sketch;
use crate::tensor::{Histogram, WindowSummary};
use pannier_bundle::Code;

/// Everything since the session began, and the window that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which model.
    pub identity: Identity,
    /// Where it runs.
    pub about: About,
    /// Durations of runs in seconds, by outcome.
    pub runs: Vec<RunsSnapshot>,
    /// How long runs waited, in seconds, where that is measured.
    pub queue: Option<Sketch>,
    /// Most memory of the session so far, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// When the bundle came to this machine, in seconds since 1970.
    pub installed_unix_s: Option<u64>,
    /// Inputs and outputs.
    pub tensors: Vec<TensorSnapshot>,
}

/// Runs with one outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct RunsSnapshot {
    /// Why they failed; `None`: they did not.
    pub error: Option<Code>,
    /// Their durations in seconds.
    pub durations: Sketch,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSnapshot {
    /// Its name.
    pub name: String,
    /// Which side.
    pub role: Role,
    /// Values that were looked at.
    pub values: Histogram,
    /// The calibration's values in the same bins.
    pub baseline: Option<Histogram>,
    /// Values that should not be there, by [`crate::Violation`].
    pub invalid: [u64; 4],
    /// What the answers were, if they have names.
    pub answers: Option<AnswersSnapshot>,
    /// The window, if something was looked at in it.
    pub window: Option<WindowSummary>,
}

/// Answers with names.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswersSnapshot {
    /// Labels with their counts.
    pub classes: Vec<(String, u64)>,
    /// Answers of further classes.
    pub other: u64,
    /// How sure the answers were.
    pub confidence: Histogram,
}
