//! What can go wrong between an imported model and a finished bundle.

use pannier_bundle::Code;

/// Errors of building that are not those of a step's own module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `packager.toml` describes an input or output that the model does not have.
    #[error("the model has no {kind} `{name}`; it has {}", .known.join(", "))]
    UnknownPort {
        /// `input` or `output`.
        kind: &'static str,
        /// The name that is described.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A description does not fit the input or output that it is about.
    #[error("{kind} `{name}`: {reason}")]
    Description {
        /// `input` or `output`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// The evaluation failed: the bundle must not be published.
    #[error("{failed} of {cases} cases are outside the tolerance; case `{case}`, output `{output}`: {reason}")]
    Accuracy {
        /// Cases with an answer outside the tolerance.
        failed: usize,
        /// Cases that were compared.
        cases: usize,
        /// The first that failed.
        case: String,
        /// Its output.
        output: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Fewer answers are right than the reference's, by more than was allowed.
    #[error(
        "{ours} of {cases} answers are right, {reference} of the reference's: more is lost than the {allowed} allowed"
    )]
    Loss {
        /// Right answers.
        ours: usize,
        /// Right answers of the reference.
        reference: usize,
        /// Cases with a label.
        cases: usize,
        /// What was allowed, for example `1 %`.
        allowed: String,
    },
    /// More memory is needed than `packager.toml` states, or than is allowed where it states nothing.
    #[error("{needed_bytes} bytes of memory are needed, {stated_bytes} are allowed")]
    Envelope {
        /// What was measured, or asked for.
        needed_bytes: u64,
        /// What is allowed.
        stated_bytes: u64,
    },
}

impl BuildError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            BuildError::UnknownPort { .. } | BuildError::Description { .. } => Code::Usage,
            BuildError::Accuracy { .. } | BuildError::Loss { .. } => Code::Accuracy,
            BuildError::Envelope { .. } => Code::MemoryBudget,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            BuildError::UnknownPort { .. } | BuildError::Description { .. } => {
                Some("correct it in packager.toml; `packager init MODEL.onnx` writes one that fits the model")
            }
            BuildError::Accuracy { .. } => {
                Some("check that the reference answers are of this very model; no bundle was written")
            }
            BuildError::Loss { .. } => Some("allow more with --max-loss, or change the model; no bundle was written"),
            BuildError::Envelope { .. } => {
                Some("state more as peak_memory_bytes in packager.toml, or give smaller inputs")
            }
        }
    }
}
