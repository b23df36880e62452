//! What can be wrong with a module.

use thiserror::Error;

/// Why a module was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not start as a module or a component does.
    #[error("not WebAssembly: expected the eight bytes that start a module or a component")]
    NotWasm,

    /// A component where a core module is needed.
    #[error("this is a component, and a core module is needed")]
    NotModule,

    /// The bytes break the rules of WebAssembly.
    #[error("invalid WebAssembly at byte {offset}: {reason}")]
    Invalid {
        /// Where, in bytes from the start.
        offset: usize,
        /// The rule.
        reason: String,
    },

    /// The file ends in the middle of a section.
    #[error("the section at byte {offset} has {expected_bytes} bytes, and {actual_bytes} of them are there")]
    Truncated {
        /// Where the section starts, in bytes from the start.
        offset: usize,
        /// Size of the section as it says.
        expected_bytes: usize,
        /// What is left of the file.
        actual_bytes: usize,
    },

    /// An import that cannot be done without.
    #[error("import of the {kind} {module:?} {name:?}: a guest imports nothing but the component model's intrinsics")]
    Import {
        /// Module name of the import.
        module: String,
        /// Field name of the import.
        name: String,
        /// What is imported.
        kind: &'static str,
    },

    /// Valid, but not of the shape that this crate works with.
    #[error("a module of this shape cannot be used: {0}")]
    Refused(#[from] Refusal),

    /// The component could not be made from the module.
    #[error("no component can be made of this module: {reason}")]
    Component {
        /// What wit-component says.
        reason: String,
    },

    /// Contents of a memory that do not fit where they should go.
    #[error("a memory image of {needed_bytes} bytes does not fit into {available_bytes} bytes")]
    ImageSize {
        /// Size of the image.
        needed_bytes: u64,
        /// Size of the place for it.
        available_bytes: u64,
    },

    /// A custom section that may be there once is there again.
    #[error("the custom section {name:?} is there more than once")]
    Duplicate {
        /// Name of the section.
        name: String,
    },

    /// A custom section that must end the file does not.
    #[error("the custom section {name:?} is not the last one, or its size is not written in the shortest form")]
    NotLast {
        /// Name of the section.
        name: String,
    },
}

/// A valid module's property that forbids to take its memory for all of its state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More state in globals than the stack pointer.
    #[error("it has {count} mutable globals, expected one at most: the stack pointer")]
    MutableGlobals {
        /// How many.
        count: usize,
    },
    /// A function that runs when the module is instantiated.
    #[error("it has a start function")]
    Start,
    /// Not exactly one memory.
    #[error("it has {count} memories, expected one")]
    Memories {
        /// How many.
        count: usize,
    },
    /// Data that is copied by the code, not when the module is instantiated.
    #[error("it has a passive data segment")]
    PassiveData,
    /// An instruction that uses state outside the memory.
    #[error("it uses the instruction {name}, which keeps state outside the memory")]
    Instruction {
        /// The instruction.
        name: &'static str,
    },
    /// A data segment whose place is not a number.
    #[error("data segment {index} is not at a constant offset")]
    DataOffset {
        /// Number of the segment.
        index: usize,
    },
    /// Data segments that overlap or go backwards.
    #[error("data segment {index} starts before the end of the one before it")]
    DataOrder {
        /// Number of the segment.
        index: usize,
    },
    /// A data segment outside the memory.
    #[error("data segment {index} ends outside the memory")]
    DataBounds {
        /// Number of the segment.
        index: usize,
    },
}

impl From<wasmparser::Error> for Error {
    fn from(error: wasmparser::Error) -> Error {
        Error::Invalid { offset: error.offset(), reason: error.message().to_owned() }
    }
}
