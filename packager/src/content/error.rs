//! What can be wrong with a file that should become a tensor.

use pannier_bundle::Code;
use std::io;

/// Errors of turning files into tensors and answers into files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The bytes could not be read.
    #[error("cannot read {what}: {source}")]
    Read {
        /// The file or the array in it.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Not the kind of file that its name says, or a damaged one.
    #[error("{what} is not a valid {format} file: {reason}")]
    Malformed {
        /// The file or the array in it.
        what: String,
        /// The format, for example `npz` or `WAV`.
        format: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// It is larger than this tool reads.
    #[error("{what} is too large")]
    TooLarge {
        /// The file or the array in it.
        what: String,
        /// What it claims.
        size: u64,
        /// The limit.
        limit: u64,
        /// What is counted, for example `bytes` or `pixels`.
        unit: &'static str,
    },
    /// An element type that no tensor has.
    #[error("{what}: element type {found} is not a tensor's")]
    ElementType {
        /// The array.
        what: String,
        /// What the file says.
        found: String,
    },
    /// An array's name is neither an input's nor `NNN/in/...`, `NNN/out/...`, `NNN/label`.
    #[error("array `{name}`: {reason}")]
    ArrayName {
        /// The name.
        name: String,
        /// What was expected.
        reason: String,
    },
    /// An input of the model is not in the file.
    #[error("case `{case}` has no array for input `{input}`")]
    MissingInput {
        /// Name of the case; empty if the file is one case.
        case: String,
        /// Name of the input.
        input: String,
    },
    /// The manifest does not say how such a file becomes the model's input.
    #[error("no input of this model takes {what}: {reason}")]
    NoSuchContent {
        /// The kind of file.
        what: String,
        /// Why, with what the inputs are.
        reason: String,
    },
    /// Sound of another sampling rate than the model hears.
    #[error("the sampling rate is not the model's")]
    SampleRate {
        /// What the manifest says.
        expected_hz: u32,
        /// What the file says.
        found_hz: u32,
    },
    /// The manifest's description of an input or output contradicts itself or the tensor.
    #[error("`{port}`: {reason}")]
    Description {
        /// The input or output.
        port: String,
        /// What does not fit.
        reason: String,
    },
}

impl ContentError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            ContentError::Read { .. } => Code::InputMissing,
            ContentError::TooLarge { .. } => Code::Limit,
            ContentError::MissingInput { .. } => Code::InvalidInput,
            ContentError::Malformed { .. }
            | ContentError::ElementType { .. }
            | ContentError::ArrayName { .. }
            | ContentError::NoSuchContent { .. }
            | ContentError::SampleRate { .. }
            | ContentError::Description { .. } => Code::InvalidContent,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            ContentError::ElementType { .. } => {
                Some("save the array as a number type, for example `array.astype(numpy.float32)`")
            }
            ContentError::ArrayName { .. } | ContentError::MissingInput { .. } => Some(
                "an .npz holds one case (arrays named after the inputs) or many (`000/in/<input>`, `000/out/<output>`, `000/label`)",
            ),
            ContentError::NoSuchContent { .. } => Some(
                "give a .npy or .npz file with the tensors, or describe the input in packager.toml and build again",
            ),
            ContentError::SampleRate { .. } => Some(
                "convert it first, for example with `ffmpeg -i IN -ar RATE -ac 1 OUT.wav` or `sox IN -r RATE -c 1 OUT.wav`",
            ),
            _ => None,
        }
    }

    /// Expected and found, where the error is a difference of two things.
    pub fn difference(&self) -> Option<(String, String)> {
        match self {
            ContentError::SampleRate { expected_hz, found_hz } => {
                Some((format!("{expected_hz} Hz"), format!("{found_hz} Hz")))
            }
            ContentError::TooLarge { size, limit, unit, .. } => {
                Some((format!("at most {limit} {unit}"), format!("{size} {unit}")))
            }
            _ => None,
        }
    }

    /// Whether the message says which file it is about.
    pub(crate) fn names_file(&self) -> bool {
        matches!(
            self,
            ContentError::Read { .. }
                | ContentError::Malformed { .. }
                | ContentError::TooLarge { .. }
                | ContentError::ElementType { .. }
        )
    }

    pub(crate) fn malformed(what: &str, format: &'static str, reason: impl ToString) -> Self {
        ContentError::Malformed { what: what.to_owned(), format, reason: reason.to_string() }
    }
}
