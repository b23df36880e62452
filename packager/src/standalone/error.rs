//! What can be wrong with a self-contained file.

use super::{MANIFEST, RUNTIME, SIGNATURE};
use pannier_bundle::Code;
use pannier_wasm_module as module;

/// Why a WebAssembly file is not one of ours, or why it cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandaloneError {
    /// The file breaks a rule.
    #[error("not a whole self-contained model: {0}")]
    File(#[from] Why),
    /// The module cannot be made.
    #[error("the self-contained file cannot be made: {0}")]
    Module(module::Error),
}

/// Which rule a file breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It is no WebAssembly, or its sections do not add up.
    #[error(transparent)]
    Sections(#[from] module::Error),
    /// WebAssembly, but not ours.
    #[error("it has no section `{name}`")]
    NoSection {
        /// Name of the section.
        name: &'static str,
    },
    /// The digest at the end is another one.
    #[error("its bytes do not match the digest at its end")]
    Digest,
    /// The signature section is too short for its digest.
    #[error("its signature section has {size_bytes} bytes, fewer than a digest")]
    SignatureSize {
        /// Size of the section's contents.
        size_bytes: usize,
    },
    /// What runs the model is not said in a form that is known.
    #[error("its section `{RUNTIME}` is not valid: {detail}")]
    Runtime {
        /// What the decoder says.
        detail: String,
    },
}

impl StandaloneError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            StandaloneError::File(Why::Sections(module::Error::Truncated { .. })) => Code::Truncated,
            StandaloneError::File(_) => Code::Corrupt,
            StandaloneError::Module(module::Error::ImageSize { .. }) => Code::MemoryBudget,
            StandaloneError::Module(_) => Code::Failed,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StandaloneError::File(Why::NoSection { name: MANIFEST | SIGNATURE }) => {
                Some("`packager build --format wasm` makes such files; others are not for this command")
            }
            StandaloneError::File(_) => Some("fetch the file again from its publisher"),
            StandaloneError::Module(module::Error::ImageSize { .. }) => None,
            StandaloneError::Module(_) => Some("the guest module that this packager carries is not a proper one"),
        }
    }
}
