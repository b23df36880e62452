//! What came of one test.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The expected answers.
    Passed {
        /// The engine that gave them.
        engine: String,
    },
    /// Other answers. The worst that can happen.
    Wrong {
        /// Which output, and by how much.
        why: String,
    },
    /// Refused, in so many words.
    Unsupported {
        /// What is missing: one line for each operator or element type, without names of this model's nodes.
        reasons: Vec<String>,
    },
    /// Any other error.
    Error {
        /// The stable code.
        code: String,
        /// The message.
        why: String,
    },
    /// A panic, an abort or a hang.
    Crashed {
        /// What was seen.
        why: String,
    },
}

impl Outcome {
    /// A refusal with its reasons, sorted, each once.
    pub fn unsupported(reasons: impl IntoIterator<Item = String>) -> Outcome {
        let reasons: std::collections::BTreeSet<String> = reasons.into_iter().collect();
        Outcome::Unsupported { reasons: reasons.into_iter().collect() }
    }

    /// Whether the answers were right.
    pub fn passed(&self) -> bool {
        matches!(self, Outcome::Passed { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed { engine } => write!(f, "passed ({engine})"),
            Outcome::Wrong { why } => write!(f, "wrong answer: {why}"),
            Outcome::Unsupported { reasons } => write!(f, "unsupported: {}", reasons.join("; ")),
            Outcome::Error { code, why } => write!(f, "{code}: {why}"),
            Outcome::Crashed { why } => write!(f, "crashed: {why}"),
        }
    }
}
