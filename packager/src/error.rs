//! The packager's error: what went wrong, expected and found, where, and what to do about it.

use pannier_bundle::Code;
use std::io;
use std::path::{Path, PathBuf};

/// Everything that a command can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file named by the user could not be read.
    #[error("cannot read `{}`: {}", .path.display(), reason(.cause))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file could not be written. Nothing of it is left.
    #[error("cannot write `{}`: {}", .path.display(), reason(.cause))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Something stands where the output should go.
    #[error("`{}` exists already", .path.display())]
    Exists {
        /// What stands there.
        path: PathBuf,
        /// What to do about it.
        hint: &'static str,
    },
    /// The command line or the configuration is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Two things that should be the same are not.
    #[error("{what}")]
    Mismatch {
        /// The code that says what kind of difference it is.
        code: Code,
        /// What was compared.
        what: String,
        /// What it should have been.
        expected: String,
        /// What it was.
        found: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// An error with the file that it is about.
    #[error("{error}")]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        error: Box<Error>,
    },
    /// `packager diff` found differences and printed them: status 1, nothing more to say.
    #[error("the bundles differ")]
    Different,
    /// Ctrl-C.
    #[error("interrupted; no partial output was left")]
    Interrupted,
    /// A bundle is not well-formed, not trusted, or cannot be read or written.
    #[error(transparent)]
    Bundle(#[from] pannier_bundle::Error),
    /// The graph in a bundle is not valid.
    #[error(transparent)]
    Graph(#[from] pannier_graph::GraphError),
    /// The golden cases in a bundle are not valid.
    #[error(transparent)]
    Golden(#[from] pannier_engine::golden::GoldenError),
    /// A program cannot be written as ONNX.
    #[error(transparent)]
    Export(#[from] crate::export::ExportError),
    /// A private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    Key(#[from] crate::sign::KeyError),
    /// An engine refused or failed.
    #[error(transparent)]
    Engine(#[from] pannier_engine::EngineError),
    /// A model cannot be loaded or run.
    #[error(transparent)]
    Session(#[from] pannier::Error),
    /// A model cannot be loaded or run in the sandbox.
    #[error(transparent)]
    Sandbox(#[from] pannier_wasmtime::Error),
    /// A file cannot become a tensor, or an answer words.
    #[error(transparent)]
    Content(crate::content::ContentError),
    /// The model file cannot be imported.
    #[error(transparent)]
    Import(crate::import::ImportError),
    /// A bundle cannot or must not be built.
    #[error(transparent)]
    Build(#[from] crate::build::BuildError),
    /// A model cannot be quantized.
    #[error(transparent)]
    Quantize(#[from] crate::quantize::QuantizeError),
    /// What a quantization costs cannot be measured, or is more than was allowed.
    #[error(transparent)]
    Budget(#[from] crate::quantize::prove::BudgetError),
    /// The attestation in a bundle is not valid.
    #[error(transparent)]
    Attestation(#[from] crate::quantize::attestation::StatementError),
    /// The record of a quantization in a bundle is not valid.
    #[error(transparent)]
    Record(#[from] crate::quantize::record::RecordError),
    /// A variable for telemetry says nothing that can be done.
    #[error(transparent)]
    Telemetry(#[from] pannier_otlp::ConfigError),
    /// A WebAssembly file is not a self-contained model, or cannot be made one.
    #[error(transparent)]
    Standalone(#[from] crate::standalone::StandaloneError),
}

impl Error {
    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::Usage { message: message.into(), hint: None }
    }

    /// A usage error that says what to do.
    pub fn usage_with_hint(message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// The same error, with the file that it is about.
    pub fn in_file(self, path: impl AsRef<Path>) -> Error {
        match self {
            // These name their file already.
            Error::Read { .. } | Error::Write { .. } | Error::Exists { .. } | Error::InFile { .. } => self,
            Error::Content(ref error) if error.names_file() => self,
            Error::Interrupted | Error::Different => self,
            error => Error::InFile { path: path.as_ref().to_owned(), error: Box::new(error) },
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Error::Read { .. } => Code::InputMissing,
            Error::Write { .. } | Error::Exists { .. } | Error::Different => Code::Failed,
            Error::Usage { .. } => Code::Usage,
            Error::Mismatch { code, .. } => *code,
            Error::InFile { error, .. } => error.code(),
            Error::Interrupted => Code::Interrupted,
            Error::Bundle(error) => error.code(),
            Error::Graph(error) => error.code(),
            Error::Golden(error) => error.code(),
            Error::Export(error) => error.code(),
            Error::Key(error) => error.code(),
            Error::Engine(error) => error.code(),
            Error::Session(error) => error.code(),
            Error::Sandbox(error) => error.code(),
            Error::Content(error) => error.code(),
            Error::Import(error) => error.code(),
            Error::Build(error) => error.code(),
            Error::Quantize(error) => error.code(),
            Error::Budget(error) => error.code(),
            Error::Attestation(error) => error.code(),
            Error::Record(error) => error.code(),
            Error::Standalone(error) => error.code(),
            Error::Telemetry(error) => error.code(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Exists { hint, .. } => Some((*hint).to_owned()),
            Error::Usage { hint, .. } => hint.clone(),
            Error::Mismatch { hint, .. } => hint.map(str::to_owned),
            Error::InFile { error, .. } => error.hint(),
            Error::Read { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some("this user may not read it: see its permissions, and those of its folder".to_owned())
            }
            Error::Write { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some("this user may not write there: name another place, or see the folder's permissions".to_owned())
            }
            Error::Read { .. } | Error::Write { .. } | Error::Interrupted | Error::Different => None,
            Error::Bundle(error) => error.hint().map(str::to_owned),
            Error::Key(error) => error.hint().map(str::to_owned),
            Error::Graph(_)
            | Error::Golden(_)
            | Error::Export(_)
            | Error::Engine(_)
            | Error::Record(_)
            | Error::Telemetry(_)
            | Error::Attestation(_) => None,
            Error::Session(error) => error.hint().map(str::to_owned),
            Error::Sandbox(error) => error.hint().map(str::to_owned),
            Error::Content(error) => error.hint().map(str::to_owned),
            Error::Import(error) => error.hint().map(str::to_owned),
            Error::Build(error) => error.hint().map(str::to_owned),
            Error::Quantize(error) => error.hint().map(str::to_owned),
            Error::Budget(error) => error.hint(),
            Error::Standalone(error) => error.hint().map(str::to_owned),
        }
    }

    /// Expected and found, where the error is a difference of two things.
    pub fn difference(&self) -> Option<(String, String)> {
        match self {
            Error::Mismatch { expected, found, .. } => Some((expected.clone(), found.clone())),
            Error::InFile { error, .. } => error.difference(),
            Error::Content(error) => error.difference(),
            _ => None,
        }
    }

    /// The file that it is about, unless the message names it.
    pub fn place(&self) -> Option<&Path> {
        match self {
            Error::InFile { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl From<crate::content::ContentError> for Error {
    /// A file that cannot be read is reported as every other one.
    fn from(error: crate::content::ContentError) -> Error {
        match error {
            crate::content::ContentError::Read { what, source } => Error::Read { path: what.into(), cause: source },
            error => Error::Content(error),
        }
    }
}

impl From<crate::import::ImportError> for Error {
    /// A file that cannot be read is reported as every other one.
    fn from(error: crate::import::ImportError) -> Error {
        match error {
            crate::import::ImportError::Read { path, source } => Error::Read { path, cause: source },
            error => Error::Import(error),
        }
    }
}

/// The operating system's reason without the number that Rust adds, which says nothing to people.
pub(crate) fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    // `No such file or directory` reads better in the middle of a sentence with a small letter.
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text.to_owned(),
    }
}
