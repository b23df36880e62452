//! A file as ONNX protobuf messages, with what the messages' own types leave out.

use super::error::{ImportError, Place, Problems, Why};
use pannier_graph::OPSET;
use prost::Message;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use tract_onnx::pb;

/// Largest file that is read: protobuf's own limit for one message.
const MOST_BYTES: u64 = 2 << 30;

/// Oldest operator set that is read. Before it, broadcasting had other rules.
const OLDEST_OPSET: u32 = 7;

/// Newest operator set of `ai.onnx.ml` that is read.
const NEWEST_ML_OPSET: u32 = 5;

/// A decoded file.
pub(super) struct Decoded {
    pub model: pb::ModelProto,
    pub functions: Vec<FunctionExtras>,
    /// Version of each operator set; `ai.onnx` is the empty string.
    pub opsets: Opsets,
}

/// Versions of operator sets by domain.
pub(super) type Opsets = BTreeMap<String, u32>;

/// Fields of functions that the decoder's types do not have.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FunctionExtras {
    /// Tells apart functions of the same name.
    #[prost(string, tag = "13")]
    pub overload: String,
    /// Attributes with defaults.
    #[prost(message, repeated, tag = "11")]
    pub defaults: Vec<pb::AttributeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModelExtras {
    #[prost(message, repeated, tag = "25")]
    functions: Vec<FunctionExtras>,
}

/// Reads a model file.
///
/// # Errors
/// [`ImportError::Read`] and [`ImportError::Limit`].
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ImportError> {
    let failed = |source| ImportError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or(0));
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let found = bytes.len() as u64;
    if found > MOST_BYTES {
        return Err(ImportError::Limit { what: "bytes", found, limit: MOST_BYTES });
    }
    Ok(bytes)
}

/// Decodes a model.
///
/// # Errors
/// [`ImportError::Malformed`], [`ImportError::Opset`], and [`ImportError::Unsupported`] for training information.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, ImportError> {
    let malformed = |reason: String| ImportError::Malformed { reason };
    let model = pb::ModelProto::decode(bytes).map_err(|error| malformed(error.to_string()))?;
    let extras = ModelExtras::decode(bytes).map_err(|error| malformed(error.to_string()))?;
    if model.graph.is_none() {
        return Err(malformed("it has no graph".into()));
    }
    if model.opset_import.is_empty() {
        return Err(malformed("it declares no operator set".into()));
    }
    let opsets = opsets(&model.opset_import)?;
    let mut problems = Problems::default();
    if !model.training_info.is_empty() {
        problems.push(Place::Model, Why::Feature("training graphs"));
    }
    for (function, extras) in model.functions.iter().zip(&extras.functions) {
        if !extras.overload.is_empty() {
            let name = function.name.clone().unwrap_or_default();
            problems.push(Place::Function(name), Why::Feature("overloaded functions"));
        }
    }
    problems.finish()?;
    Ok(Decoded { model, functions: extras.functions, opsets })
}

/// The versions that a model or a function declares.
///
/// # Errors
/// [`ImportError::Opset`] for a standard operator set that is not read.
pub(super) fn opsets(imports: &[pb::OperatorSetIdProto]) -> Result<Opsets, ImportError> {
    let mut opsets = Opsets::new();
    for import in imports {
        let (domain, oldest, newest) = match import.domain.as_str() {
            "" | "ai.onnx" => ("", OLDEST_OPSET, OPSET),
            "ai.onnx.ml" => ("ai.onnx.ml", 1, NEWEST_ML_OPSET),
            other => (other, 0, u32::MAX),
        };
        let version = u32::try_from(import.version).ok().filter(|version| (oldest..=newest).contains(version));
        let Some(version) = version else {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            return Err(ImportError::Opset { domain: domain.to_owned(), found: import.version, oldest, newest });
        };
        if opsets.insert(domain.to_owned(), version).is_some_and(|other| other != version) {
            return Err(ImportError::Malformed {
                reason: format!("it declares two versions of operator set `{domain}`"),
            });
        }
    }
    Ok(opsets)
}
