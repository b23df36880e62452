//! What ends work inside tract before its time: our budgets, its errors, its panics.

use crate::proto::NodeNames;
use pannier_engine::{EngineError, Interrupt, RunBudget, Unsupported, Watch};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tract_onnx::prelude::{TractError, TractResult};

/// Without a budget, no single tensor may be larger: 4 GiB. An allocation far beyond the machine's memory may end the
/// process, and no caller wants that of a file it was sent.
const LARGEST_TENSOR_BYTES: u64 = 4 << 30;

/// A budget that was exceeded, at the node that tract calls `node`. Travels through tract as one of its errors.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    #[error("stopped before {node}")]
    Interrupted { node: String, why: Interrupt },
    #[error("{node} needs {needed_bytes} bytes of {budget_bytes}")]
    Memory { node: String, needed_bytes: u64, budget_bytes: u64 },
}

/// A budget as it applies to single steps.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) tensor_bytes: u64,
    watch: Option<&'a dyn Watch>,
}

impl<'a> Limits<'a> {
    pub(crate) fn new(budget: &RunBudget<'a>) -> Limits<'a> {
        Limits { tensor_bytes: budget.memory_bytes.unwrap_or(LARGEST_TENSOR_BYTES), watch: budget.watch }
    }

    /// Whether there is time for another step.
    pub(crate) fn check_time(&self, node: &str) -> Result<(), Stop> {
        match self.watch.map(Watch::check) {
            Some(Err(why)) => Err(Stop::Interrupted { node: node.to_string(), why }),
            _ => Ok(()),
        }
    }

    /// Whether a tensor may be that large.
    pub(crate) fn check_tensor(&self, node: &str, size_bytes: u64) -> Result<(), Stop> {
        if size_bytes <= self.tensor_bytes {
            return Ok(());
        }
        Err(Stop::Memory { node: node.to_string(), needed_bytes: size_bytes, budget_bytes: self.tensor_bytes })
    }
}

/// Size of a tensor, as large as can be written if it overflows.
pub(crate) fn size_bytes(dims: impl IntoIterator<Item = i64> + Clone, element_bytes: usize) -> u64 {
    if dims.clone().into_iter().any(|dim| dim <= 0) {
        return 0;
    }
    dims.into_iter().fold(element_bytes as u64, |size, dim| size.saturating_mul(dim.unsigned_abs()))
}

/// How tract says that it lacks something, as opposed to that something is wrong.
const LACKING: &[&str] = &[
    "not supported",
    "unsupported",
    "not implemented",
    "unimplemented",
    "can not be typed",
    "unknown datumtype",
    "is not a number",
];

/// What ended a piece of work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A budget.
    Stop(Stop),
    /// tract's error or panic, as one line of bounded length.
    Text(String),
}

impl From<TractError> for Failure {
    fn from(error: TractError) -> Failure {
        match error.downcast::<Stop>() {
            Ok(stop) => Failure::Stop(stop),
            Err(error) => Failure::Text(line(&format!("{error:#}"))),
        }
    }
}

impl Failure {
    /// The error of preparing a graph: something that tract does not have, or a graph that breaks a rule.
    pub(crate) fn invalid(self, nodes: &NodeNames) -> EngineError {
        self.into_error(nodes, |node, reason| {
            let lowercase = reason.to_lowercase();
            if LACKING.iter().any(|phrase| lowercase.contains(phrase)) {
                let op = nodes.operator(&reason);
                return EngineError::Unsupported { engine: "tract", nodes: vec![Unsupported { op, node, reason }] };
            }
            EngineError::InvalidGraph { node, reason }
        })
    }

    /// The error of running it.
    pub(crate) fn failed(self, nodes: &NodeNames) -> EngineError {
        self.into_error(nodes, |node, reason| EngineError::Failed { node, reason })
    }

    fn into_error(self, nodes: &NodeNames, other: impl FnOnce(String, String) -> EngineError) -> EngineError {
        match self {
            Failure::Stop(Stop::Interrupted { node, why }) => {
                EngineError::Interrupted { node: nodes.of(&node).to_string(), why }
            }
            Failure::Stop(Stop::Memory { node, needed_bytes, budget_bytes }) => {
                EngineError::MemoryBudget { node: nodes.of(&node).to_string(), needed_bytes, budget_bytes }
            }
            Failure::Text(reason) => other(nodes.mentioned(&reason), reason),
        }
    }
}

/// Runs `work`; its error or its panic becomes a [`Failure`]. Where panics abort, as on wasm, they still do.
///
/// What `work` was in the middle of changing must be dropped by the caller when it fails.
pub(crate) fn catch<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::from),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Failure::Text(line(&format!("panicked: {text}"))))
        }
    }
}

/// One line of bounded length: tract prints whole nodes and tensors.
fn line(text: &str) -> String {
    const LONGEST_CHARS: usize = 400;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST_CHARS) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
