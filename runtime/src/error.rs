//! Everything that can go wrong with a session.

use crate::report::Rejected;
use pannier_bundle::Code;
use pannier_engine::EngineError;
use pannier_engine::golden::GoldenError;
use pannier_graph::GraphError;

/// Why a session was not opened, or a run has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bundle cannot be read or is not trusted.
    #[error(transparent)]
    Bundle(#[from] pannier_bundle::Error),
    /// The bundle's graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The bundle's golden cases are not valid.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The bundle's baseline is not valid.
    #[cfg(feature = "telemetry")]
    #[error(transparent)]
    Baseline(#[from] pannier_telemetry::BaselineError),
    /// The manifest describes another interface than the graph has.
    #[error("the manifest's {port} is not the graph's: expected {expected}, found {found}")]
    Interface {
        /// What differs, for example `input 0`.
        port: String,
        /// What the graph says.
        expected: String,
        /// What the manifest says.
        found: String,
    },
    /// No engine runs the model. Each says why.
    #[error("no engine runs this model{}", list(.rejected))]
    NoEngine {
        /// Every engine that was tried, in order.
        rejected: Vec<Rejected>,
    },
    /// A run has an input that the model does not have.
    #[error("the model has no input `{name}`; it has {}", .known.join(", "))]
    UnknownInput {
        /// The name that was given.
        name: String,
        /// The model's inputs.
        known: Vec<String>,
    },
    /// A run lacks an input.
    #[error("the input `{name}` is missing")]
    MissingInput {
        /// The model's name for it.
        name: String,
    },
    /// A run has an input twice.
    #[error("the input `{name}` is given twice")]
    DuplicateInput {
        /// The name.
        name: String,
    },
    /// Loading took longer than [`Options::load_deadline`](crate::Options::load_deadline) allows.
    #[error("loading took longer than the {deadline_ms} ms it may: stopped while {step}")]
    LoadDeadline {
        /// What it was at.
        step: LoadStep,
        /// The deadline in milliseconds.
        deadline_ms: u64,
    },
    /// A deadline is to be kept without a clock.
    #[error("a deadline of {deadline_ms} ms cannot be kept: this target has no clock of its own")]
    NoClock {
        /// The deadline in milliseconds.
        deadline_ms: u64,
    },
    /// A run failed, or its inputs do not fit.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The steps of loading that take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadStep {
    /// Verifying and decompressing the bundle.
    Read,
    /// Preparing an engine.
    Prepare,
    /// Running the golden cases.
    SelfTest,
    /// Compiling operators for a device, which is part of the first of these runs.
    Compile {
        /// Operators of the graph that are done.
        done: usize,
        /// Operators of the graph.
        total: usize,
    },
}

impl std::fmt::Display for LoadStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LoadStep::Read => "reading the bundle",
            LoadStep::Prepare => "preparing the model",
            LoadStep::SelfTest => "running the self-test",
            LoadStep::Compile { done, total } => return write!(f, "compiling operator {done} of {total}"),
        })
    }
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Error::Bundle(error) => error.code(),
            Error::Graph(error) => error.code(),
            Error::Golden(error) => error.code(),
            #[cfg(feature = "telemetry")]
            Error::Baseline(error) => error.code(),
            Error::Interface { .. } => Code::InvalidModel,
            // What stopped the engine that came farthest says more than what another one lacks.
            Error::NoEngine { rejected } => rejected
                .iter()
                .map(|rejected| rejected.error.code())
                .find(|code| *code != Code::UnsupportedOperator)
                .unwrap_or(Code::UnsupportedOperator),
            Error::UnknownInput { .. } | Error::MissingInput { .. } | Error::DuplicateInput { .. } => {
                Code::InvalidInput
            }
            Error::LoadDeadline { .. } => Code::Deadline,
            Error::NoClock { .. } => Code::Failed,
            Error::Engine(error) => error.code(),
        }
    }

    /// What the user can do about it, if there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Bundle(error) => error.hint(),
            Error::NoClock { .. } => Some("give one in `Options::clock`"),
            Error::LoadDeadline { .. } => Some("allow more time for loading"),
            Error::NoEngine { rejected } if rejected.is_empty() => {
                Some("give an engine in `Options::engines`, or build with the feature `tract`")
            }
            _ => match self.code() {
                Code::UnsupportedOperator => Some("docs/operators.md lists what each engine runs"),
                Code::MemoryBudget => Some("use smaller inputs, or allow more memory"),
                Code::Deadline => Some("use smaller inputs, or allow more time"),
                Code::Accuracy => {
                    Some("an engine computes wrongly on this machine: try another, or another version of it")
                }
                Code::InvalidInput => Some("`packager inspect` shows the inputs with their types and shapes"),
                _ => None,
            },
        }
    }
}

fn list(rejected: &[Rejected]) -> String {
    let each: Vec<String> = rejected.iter().map(|it| format!("{}: {}", it.engine, it.error)).collect();
    if each.is_empty() { ": there is none".to_string() } else { format!(": {}", each.join("; ")) }
}
