//! Why a sandbox was not made, a model not loaded or a run has no answer.

use pannier_bundle::Code;
use std::time::Duration;

/// Why a sandbox was not made, a model was not loaded or a run has no answer. The host is as it was before: an instance
/// that failed is gone, and the next call gets a fresh one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This machine cannot run the sandbox.
    #[error("the sandbox cannot be set up: {reason}")]
    Setup {
        /// What wasmtime or the system says.
        reason: String,
    },
    /// This build has no guest of the flavour.
    #[error("this build carries no guest module `{flavour}`")]
    NoGuest {
        /// The flavour that was wanted.
        flavour: &'static str,
    },
    /// The bundle cannot be read or is not trusted.
    #[error(transparent)]
    Bundle(#[from] pannier_bundle::Error),
    /// The inputs do not fit the model.
    #[error(transparent)]
    Input(pannier::Error),
    /// The runtime inside the sandbox refuses the bundle, the inputs or the run.
    #[error("{message}")]
    Model {
        /// Its code.
        code: Code,
        /// What it says.
        message: String,
        /// What it advises.
        hint: Option<String>,
    },
    /// The bundle cannot fit into its memory limit, as its header shows. Nothing was decompressed.
    #[error("loading this bundle takes at least {needed_bytes} bytes, {limit_bytes} are allowed")]
    TooLarge {
        /// The least that it takes.
        needed_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The instance wanted more memory than it may have.
    #[error("the instance asked for {wanted_bytes} bytes of memory, {limit_bytes} are allowed")]
    Memory {
        /// Size that its linear memory would have had.
        wanted_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The deadline passed.
    #[error("stopped: the deadline of {} ms passed", .deadline.as_millis())]
    Deadline {
        /// The deadline.
        deadline: Duration,
    },
    /// The caller's watch wanted to stop.
    #[error("stopped: cancelled")]
    Cancelled,
    /// The outputs are larger than allowed.
    #[error("the outputs have {size_bytes} bytes, {limit_bytes} are allowed")]
    Output {
        /// Their size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The guest trapped or panicked.
    #[error("the guest stopped: {trap}{}", because(.message))]
    Trap {
        /// The kind of trap.
        trap: String,
        /// The message of its panic, if it left one.
        message: Option<String>,
    },
    /// The guest broke its interface: it is not the guest that it should be, or it was taken over.
    #[error("the guest breaks its interface: {0}")]
    Guest(#[from] GuestFault),
    /// All instances are in use.
    #[error("all {max_instances} instances are in use")]
    Busy {
        /// How many there may be.
        max_instances: u32,
    },
    /// The session's instance is gone since an earlier call failed.
    #[error("the session's instance is gone since an earlier call failed")]
    SessionLost,
}

/// How a guest breaks its interface. Nothing that it says is believed, so each of these is found before harm is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestFault {
    /// It is not a module that can be split into code and memory.
    #[error("it is not a guest module: {reason}")]
    Module {
        /// Why.
        reason: String,
    },
    /// A function is missing or has another type.
    #[error("it has no function `{name}` of the right type")]
    Export {
        /// The function.
        name: &'static str,
    },
    /// It speaks another version of the interface.
    #[error("it speaks version {found} of the interface, {expected} is expected")]
    Abi {
        /// The version of this crate.
        expected: u32,
        /// Its version.
        found: u32,
    },
    /// A range lies outside of its memory.
    #[error("{what}: {size_bytes} bytes at {offset} lie outside of its memory of {memory_bytes} bytes")]
    OutOfBounds {
        /// What should be there.
        what: &'static str,
        /// Where it begins.
        offset: u32,
        /// Its size.
        size_bytes: u64,
        /// Size of the memory.
        memory_bytes: u64,
    },
    /// A text is too long, or is not what it should be.
    #[error("{what} cannot be read: {reason}")]
    Text {
        /// Which text.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// It has another number of outputs than the manifest.
    #[error("it has {found} outputs, the manifest has {expected}")]
    OutputCount {
        /// The manifest's.
        expected: usize,
        /// Its number.
        found: u32,
    },
    /// An output is no tensor.
    #[error("output `{name}`: {reason}")]
    Output {
        /// Its name in the manifest.
        name: String,
        /// Why.
        reason: String,
    },
    /// It refuses an input that fits the manifest, and does not say why.
    #[error("it does not take the input `{name}`")]
    Input {
        /// Its name in the manifest.
        name: String,
    },
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Error::Bundle(error) => error.code(),
            Error::Input(error) => error.code(),
            Error::Model { code, .. } => *code,
            Error::TooLarge { .. } | Error::Memory { .. } => Code::MemoryBudget,
            Error::Deadline { .. } => Code::Deadline,
            Error::Cancelled => Code::Interrupted,
            Error::Output { .. } | Error::Busy { .. } => Code::Limit,
            Error::Setup { .. } | Error::NoGuest { .. } | Error::Trap { .. } | Error::Guest(_) | Error::SessionLost => {
                Code::Failed
            }
        }
    }

    /// What the user can do about it, if there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Bundle(error) => error.hint(),
            Error::Input(error) => error.hint(),
            Error::Model { hint, .. } => hint.as_deref(),
            Error::NoGuest { .. } => Some("build it with `cargo xtask guest`, then build this program again"),
            Error::TooLarge { .. } | Error::Memory { .. } => Some("use smaller inputs, or allow more memory"),
            Error::Deadline { .. } => Some("use smaller inputs, or allow more time"),
            Error::Output { .. } => Some("use smaller inputs, or allow larger outputs"),
            Error::Busy { .. } => Some("drop sessions that are not needed, or raise `Config::max_instances`"),
            Error::SessionLost => Some("call `reset` to go on with a fresh instance and an empty state"),
            Error::Setup { .. } | Error::Cancelled | Error::Trap { .. } | Error::Guest(_) => None,
        }
    }
}

fn because(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |message| format!(": {message}"))
}
