//! Why an operator did not compute, and what that is for the caller.

use pannier_engine::{EngineError, Unsupported};
use pannier_graph::Node;

/// What operators answer.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// Why an operator did not compute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// It is not implemented for these operands; what is missing, in a few words.
    Unsupported(String),
    /// The operands break the standard.
    Invalid(String),
    /// More bytes are needed than are allowed: by the budget, or by the device for one buffer.
    Memory { needed_bytes: u64, allowed_bytes: u64 },
    /// The device failed.
    Device(String),
}

impl Failure {
    /// The error of a node.
    pub(crate) fn at(self, engine: &'static str, node: &Node) -> EngineError {
        let name = label(node).to_string();
        match self {
            Failure::Unsupported(reason) => EngineError::Unsupported {
                engine,
                nodes: vec![Unsupported { op: qualified(node), node: name, reason }],
            },
            Failure::Invalid(reason) => EngineError::InvalidGraph { node: name, reason },
            Failure::Memory { needed_bytes, allowed_bytes } => {
                EngineError::MemoryBudget { node: name, needed_bytes, budget_bytes: allowed_bytes }
            }
            Failure::Device(reason) => EngineError::Failed { node: name, reason },
        }
    }

    /// The error of an input, a weight or an output.
    pub(crate) fn of_value(self, name: &str) -> EngineError {
        match self {
            Failure::Memory { needed_bytes, allowed_bytes } => {
                EngineError::MemoryBudget { node: name.into(), needed_bytes, budget_bytes: allowed_bytes }
            }
            Failure::Unsupported(reason) | Failure::Invalid(reason) | Failure::Device(reason) => {
                EngineError::Failed { node: name.into(), reason }
            }
        }
    }
}

/// Name of a node for messages: its first output's producer has no other where the source file gave none.
pub(crate) fn label(node: &Node) -> &str {
    if node.name.is_empty() { &node.op } else { &node.name }
}

/// The operator with its domain.
pub(crate) fn qualified(node: &Node) -> String {
    if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) }
}
