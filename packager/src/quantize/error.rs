//! Why a program cannot be quantized.

use pannier_bundle::Code;
use pannier_engine::EngineError;

/// Errors of quantization.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The model is quantized already.
    #[error("the model is quantized already: {place}")]
    AlreadyQuantized {
        /// The node or weight that shows it.
        place: String,
    },
    /// The recipe is for another program, or a number in it is out of its range.
    #[error("the recipe does not fit: {reason}")]
    Recipe {
        /// What does not fit.
        reason: String,
    },
    /// A weight holds something that is no number, or its bytes are not in the program.
    #[error("weight `{weight}` {reason}")]
    Weight {
        /// Name of the weight.
        weight: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The calibration inputs are of no use.
    #[error("calibration: {why}")]
    Calibration {
        /// Why.
        why: CalibrationWhy,
    },
    /// The program does not run on the calibration inputs.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The quantized graph breaks a rule or exceeds a limit of bundles.
    #[error(transparent)]
    Graph(#[from] pannier_graph::GraphError),
}

/// Why calibration inputs are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationWhy {
    /// The recipe wants something that was not observed.
    #[error("the recipe needs {what}, which was not observed")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// There is no case.
    #[error("there is no case")]
    NoCases,
    /// A value is not finite.
    #[error("case {case}: `{value}` holds {found}")]
    NotFinite {
        /// Index of the case.
        case: usize,
        /// Name of the value.
        value: String,
        /// `NaN` or an infinity.
        found: String,
    },
}

impl QuantizeError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            QuantizeError::AlreadyQuantized { .. } | QuantizeError::Recipe { .. } => Code::Usage,
            QuantizeError::Weight { .. } => Code::InvalidModel,
            QuantizeError::Calibration { .. } => Code::InvalidInput,
            QuantizeError::Engine(error) => error.code(),
            QuantizeError::Graph(error) => error.code(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            QuantizeError::AlreadyQuantized { .. } => {
                Some("build it as it is: quantized models are kept; or quantize the model that it was made of")
            }
            QuantizeError::Calibration { why: CalibrationWhy::Missing { .. } | CalibrationWhy::NoCases } => {
                Some("give inputs that the model will meet with --calibrate; a hundred are often enough")
            }
            _ => None,
        }
    }
}
