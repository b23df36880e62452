//! What can be wrong with a graph.

use alloc::string::String;
use pannier_bundle::Code;

/// Why a graph was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The section was written by a newer version, or is not a graph.
    #[error("graph has version {found}, this reader knows version {known}")]
    Version {
        /// Version in the section.
        found: u16,
        /// Version that this crate reads.
        known: u16,
    },
    /// The bytes are not a graph.
    #[error("graph cannot be decoded: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
    /// The bytes decode, but are not what encoding gives: trailing bytes or an over-long number.
    #[error("graph is not in canonical form")]
    NotCanonical,
    /// A limit is exceeded.
    #[error("graph has {found} {what}, the limit is {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How much there is, or at least is.
        found: u64,
        /// How much may be.
        limit: u64,
    },
    /// A rule of [`Graph::decode`](crate::Graph::decode) is broken.
    #[error("graph breaks a rule at {place}: {rule}")]
    Invalid {
        /// The value, node or weight, with its name.
        place: String,
        /// The rule.
        rule: Rule,
    },
}

/// The rules of a graph, for [`GraphError::Invalid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A value id is an index into the list of names.
    #[error("the value does not exist")]
    UnknownValue,
    /// One input, weight or node output defines a value.
    #[error("the value is defined twice")]
    DefinedTwice,
    /// One input, weight or node output defines a value.
    #[error("the value is never defined")]
    NeverDefined,
    /// A value is used after its definition and within the body that defines it.
    #[error("the value is used where it is not defined")]
    UsedBeforeDefinition,
    /// The outputs of a body are defined in that body.
    #[error("the output is not defined in its own body")]
    OutputFromOutside,
    /// Each output of the main body stands once.
    #[error("the output stands twice")]
    OutputTwice,
    /// Names of values are unique and not empty.
    #[error("the name of a value is empty or taken")]
    Name,
    /// An operator has a name.
    #[error("the operator has no name")]
    Operator,
    /// A domain other than `ai.onnx` is listed with a version above 0, sorted and once.
    #[error("the operator domain is not listed, or the list is not sorted")]
    Domain,
    /// Attributes are sorted by name and stand once; their names are not empty.
    #[error("the attributes are not sorted, or one stands twice")]
    AttributeOrder,
    /// The inputs of the main body have a type and a shape.
    #[error("the input has no type or no shape")]
    Untyped,
    /// A symbol has a name.
    #[error("a symbolic dimension has no name")]
    Symbol,
    /// The elements of a tensor can be counted in 63 bits.
    #[error("the shape has too many elements")]
    ShapeOverflow,
    /// A tensor has as many bytes as its type and shape say.
    #[error("the size in bytes does not follow from type and shape")]
    Size,
    /// Weights start at multiples of 64 bytes.
    #[error("the offset is not a multiple of 64")]
    Alignment,
    /// A weight lies within its section.
    #[error("the bytes lie outside the section")]
    OutsideSection,
    /// Weights are sorted by value.
    #[error("the weights are not sorted by value")]
    WeightOrder,
    /// An encoding fits the element type and the shape.
    #[error("the encoding does not fit the type or the shape")]
    Encoding,
    /// A boolean is 0 or 1.
    #[error("a boolean is neither 0 nor 1")]
    Boolean,
}

impl GraphError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            GraphError::Version { .. } => Code::UnsupportedVersion,
            GraphError::Malformed { .. } | GraphError::NotCanonical => Code::Corrupt,
            GraphError::Limit { .. } => Code::Limit,
            GraphError::Invalid { .. } => Code::InvalidModel,
        }
    }
}
