//! What a session knows about how it came to be.

use pannier_engine::golden::SelfTest;
use pannier_engine::{EngineError, MemoryUse};

/// Which engine runs the model and why, and what loading took.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Name of the engine.
    pub engine: &'static str,
    /// The engines before it in the caller's list, each with the reason why it was not taken.
    pub rejected: Vec<Rejected>,
    /// Outcome of the self-test. `None`: switched off, or the bundle has no golden cases.
    pub self_test: Option<SelfTest>,
    /// How long loading took.
    pub load: LoadTimes,
    /// Memory of the prepared model: its peak is the highest of all runs so far.
    pub memory: MemoryUse,
}

/// An engine that was not taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Its name.
    pub engine: &'static str,
    /// Why.
    pub error: EngineError,
}

/// How long the steps of loading took, in milliseconds; 0 without a clock.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LoadTimes {
    /// Reading the header, checking the signatures, reading the manifest.
    pub verify_ms: f64,
    /// Reading, checking and decompressing graph, weights, golden cases and labels.
    pub read_ms: f64,
    /// Preparing the engine that was taken and trying those that were not.
    pub prepare_ms: f64,
    /// The self-test of the engine that was taken.
    pub self_test_ms: f64,
}

impl LoadTimes {
    /// All of it.
    pub fn total_ms(&self) -> f64 {
        self.verify_ms + self.read_ms + self.prepare_ms + self.self_test_ms
    }
}
