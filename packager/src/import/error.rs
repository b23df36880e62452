//! What can be wrong with a model file. All problems of one kind are listed together.

use pannier_bundle::Code;
use pannier_graph::GraphError;
use std::fmt;
use std::path::PathBuf;

/// Why a model was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file in which the model keeps tensors cannot be read.
    #[error("cannot read `{location}`, in which the model keeps its tensors: {reason}")]
    Data {
        /// The file, as the model names it: seen from the model's folder.
        location: String,
        /// What the system says.
        reason: String,
    },
    /// A size or count is over a limit of the importer.
    #[error("the model has {found} {what}, at most {limit} are read")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How much there is, or at least is.
        found: u64,
        /// How much may be.
        limit: u64,
    },
    /// The bytes are not an ONNX model: random, truncated or another format.
    #[error("not an ONNX model: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
    /// The operator set is not one that is read.
    #[error("the model uses opset {found} of `{domain}`, opsets {oldest} to {newest} are read")]
    Opset {
        /// Domain of the operator set.
        domain: String,
        /// Its version in the file.
        found: i64,
        /// Oldest that is read.
        oldest: u32,
        /// Newest that is read.
        newest: u32,
    },
    /// The model breaks rules of the ONNX standard.
    #[error("{}", listed("the model is not valid", .0))]
    Invalid(Vec<Problem>),
    /// The model is valid, but uses what this version does not take.
    #[error("{}", listed("the model uses what is not supported", .0))]
    Unsupported(Vec<Problem>),
    /// An option does not fit the model.
    #[error("{option}: {why}")]
    Option {
        /// The option as given, for example `--shape x=1x3`.
        option: String,
        /// What is wrong with it.
        why: OptionWhy,
    },
    /// The graph that came out breaks a rule or a limit of the bundle.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// What is wrong with an option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionWhy {
    /// The model has no such input.
    #[error("the model has no such input; it has {}", .inputs.join(", "))]
    NoSuchInput {
        /// Inputs that it has.
        inputs: Vec<String>,
    },
    /// The text is not a shape.
    #[error("`{dim}` is neither a size nor a name")]
    Dim {
        /// The part that is wrong.
        dim: String,
    },
    /// The rank is not the input's.
    #[error("the input has {expected} dimensions, the option has {found}")]
    Rank {
        /// Of the input.
        expected: usize,
        /// Of the option.
        found: usize,
    },
    /// A fixed size is not the input's, or one symbol would have two sizes.
    #[error("dimension {axis} is {expected} in the model, {found} in the option")]
    Size {
        /// Index of the dimension.
        axis: usize,
        /// In the model, or from another option.
        expected: u64,
        /// In the option.
        found: u64,
    },
    /// The text is not a value of the input's type.
    #[error("`{text}` is not a {dtype}")]
    Value {
        /// The part that is wrong.
        text: String,
        /// The input's type.
        dtype: &'static str,
    },
    /// The number of values does not fit the input's shape.
    #[error("{found} value(s) do not fill the input's shape")]
    Count {
        /// In the option.
        found: usize,
    },
    /// Two options are about one input.
    #[error("the input is named twice")]
    Twice,
}

/// Something wrong at one place of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub why: Why,
}

/// A place in a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The model as a whole.
    Model,
    /// A node, by its name and operator.
    Node {
        /// Its name; the name of its first output if it has none.
        name: String,
        /// Its operator, with the domain unless that is `ai.onnx`.
        op: String,
    },
    /// An input of the main graph.
    Input(String),
    /// An output of the main graph.
    Output(String),
    /// An initialiser.
    Tensor(String),
    /// A model-local function.
    Function(String),
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The standard has no such operator.
    #[error("unknown operator")]
    UnknownOperator,
    /// The operator is newer than the operator set that the file declares.
    #[error("the operator came with opset {introduced}, the file declares {declared}")]
    TooNew {
        /// Operator set that introduced it.
        introduced: u32,
        /// Operator set of the file.
        declared: u32,
    },
    /// The standard withdrew the operator in the operator set that the file declares.
    #[error("the standard has withdrawn the operator")]
    Deprecated,
    /// The file declares no operator set for the domain of a node.
    #[error("the file declares no operator set for domain `{0}`")]
    NoOpset(String),
    /// A value is used and nothing defines it.
    #[error("`{0}` is used but nothing defines it: an initialiser or a node is missing")]
    Missing(String),
    /// A value is defined twice.
    #[error("`{0}` is defined twice")]
    DefinedTwice(String),
    /// Nodes wait for each other.
    #[error("cycle through {}", .0.join(", "))]
    Cycle(Vec<String>),
    /// The number of inputs is wrong for the operator.
    #[error("{0} inputs are too few or too many")]
    Inputs(usize),
    /// A required input is left out.
    #[error("input {0} is required")]
    InputAbsent(usize),
    /// The number of outputs is wrong for the operator.
    #[error("{0} outputs are too few or too many")]
    Outputs(usize),
    /// The operator has no such attribute.
    #[error("unknown attribute `{0}`")]
    UnknownAttribute(String),
    /// An attribute stands twice.
    #[error("attribute `{0}` stands twice")]
    AttributeTwice(String),
    /// A required attribute is missing.
    #[error("attribute `{0}` is missing")]
    AttributeMissing(String),
    /// An attribute has the wrong type or value.
    #[error("attribute `{name}`: {reason}")]
    Attribute {
        /// Name of the attribute.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A type is missing.
    #[error("the type is missing")]
    NoType,
    /// The shape is missing.
    #[error("the shape is missing")]
    NoShape,
    /// An element type that bundles do not have.
    #[error("element type {0} is not supported")]
    DType(String),
    /// A negative dimension, or more elements than can be counted.
    #[error("the shape is impossible")]
    Shape,
    /// More data than the shape asks for, or less.
    #[error("the shape needs {expected} bytes, the file has {found}")]
    DataSize {
        /// Bytes that type and shape ask for.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// An element is outside its type.
    #[error("an element does not fit its type")]
    DataRange,
    /// External data cannot be used.
    #[error("external data: {0}")]
    External(ExternalWhy),
    /// Shapes of inputs contradict each other.
    #[error("the shapes {} do not fit", .0.join(" and "))]
    Mismatch(Vec<String>),
    /// Something in ONNX that bundles do not have.
    #[error("{0} are not supported")]
    Feature(&'static str),
    /// A use of an operator that has no counterpart in the newest operator set.
    #[error("cannot be rewritten to opset {newest}: {reason}", newest = pannier_graph::OPSET)]
    Upgrade {
        /// What about it.
        reason: &'static str,
    },
}

/// Why external data cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalWhy {
    /// The model did not come from a file, so there is no folder to look in.
    #[error("the model has no folder")]
    NoFolder,
    /// No location is given, or an offset or length is not a number.
    #[error("key `{0}` is missing or not valid")]
    Key(&'static str),
    /// The location leads out of the folder of the model.
    #[error("`{0}` leads out of the model's folder")]
    Escape(String),
    /// The file cannot be read.
    #[error("`{location}` cannot be read: {reason}")]
    Read {
        /// The location.
        location: String,
        /// What the system says.
        reason: String,
    },
    /// The file ends before the data does.
    #[error("`{location}` has {found} bytes, {needed} are needed")]
    TooShort {
        /// The location.
        location: String,
        /// Size of the file.
        found: u64,
        /// Offset plus length.
        needed: u64,
    },
}

impl ImportError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            ImportError::Read { .. } | ImportError::Data { .. } => Code::InputMissing,
            ImportError::Limit { .. } => Code::Limit,
            ImportError::Malformed { .. } | ImportError::Invalid(_) => Code::InvalidModel,
            ImportError::Opset { .. } => Code::UnsupportedVersion,
            ImportError::Unsupported(_) => Code::UnsupportedOperator,
            ImportError::Option { .. } => Code::Usage,
            ImportError::Graph(error) => error.code(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            ImportError::Opset { found, oldest, .. } if *found < i64::from(*oldest) => {
                Some("convert the model with onnx.version_converter, or export it again")
            }
            ImportError::Opset { .. } => Some("export the model with an older opset, or update the packager"),
            ImportError::Data { .. } => {
                Some("keep it beside the model, under the name that the model gives it, and readable")
            }
            ImportError::Malformed { .. } => Some("check that the file is complete and that it is an .onnx file"),
            ImportError::Invalid(problems) if problems.iter().any(|problem| problem.why == Why::NoShape) => {
                Some("state the shape with --shape NAME=1x3xheightxwidth")
            }
            _ => None,
        }
    }
}

impl Why {
    /// Whether the model is valid all the same, only not for us.
    fn is_unsupported(&self) -> bool {
        matches!(self, Why::UnknownOperator | Why::Deprecated | Why::DType(_) | Why::Feature(_) | Why::Upgrade { .. })
    }
}

/// Problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    invalid: Vec<Problem>,
    unsupported: Vec<Problem>,
}

impl Problems {
    /// Problems of one kind that are kept; a hostile file could have millions.
    const KEPT: usize = 1000;

    pub(super) fn push(&mut self, place: Place, why: Why) {
        let list = if why.is_unsupported() { &mut self.unsupported } else { &mut self.invalid };
        if list.len() < Self::KEPT {
            list.push(Problem { place, why });
        }
    }

    /// # Errors
    /// The first file that cannot be read, else what is not valid, else what is not supported, if there is anything.
    pub(super) fn finish(self) -> Result<(), ImportError> {
        let unread = self.invalid.iter().find_map(|problem| match &problem.why {
            Why::External(ExternalWhy::Read { location, reason }) => Some((location.clone(), reason.clone())),
            _ => None,
        });
        if let Some((location, reason)) = unread {
            // One file may hold all tensors: it is one problem, and nothing of the model's.
            return Err(ImportError::Data { location, reason });
        }
        match self {
            Problems { invalid, .. } if !invalid.is_empty() => Err(ImportError::Invalid(invalid)),
            Problems { unsupported, .. } if !unsupported.is_empty() => Err(ImportError::Unsupported(unsupported)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Model => {}
            Place::Node { name, op } => write!(f, "node `{name}` ({op}): ")?,
            Place::Input(name) => write!(f, "input `{name}`: ")?,
            Place::Output(name) => write!(f, "output `{name}`: ")?,
            Place::Tensor(name) => write!(f, "tensor `{name}`: ")?,
            Place::Function(name) => write!(f, "function `{name}`: ")?,
        }
        write!(f, "{}", self.why)
    }
}

/// Problems that a message writes out.
const WRITTEN: usize = 30;

fn listed(title: &str, problems: &[Problem]) -> String {
    if let [problem] = problems {
        return format!("{title}: {problem}");
    }
    let mut text = format!("{title}, {} problems:", problems.len());
    for problem in problems.iter().take(WRITTEN) {
        text.push_str(&format!("\n  {problem}"));
    }
    if problems.len() > WRITTEN {
        text.push_str(&format!("\n  and {} more", problems.len() - WRITTEN));
    }
    text
}
