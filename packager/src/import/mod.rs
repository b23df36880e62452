//! From an ONNX file to a program: decode, check, bring to one operator set, normalise.
//!
//! Everything in a model file is hostile: sizes are compared with what is there before anything is allocated, nesting
//! is bounded, external data stays in the model's folder, and what the exporter says about intermediate values is not
//! trusted but inferred again. All problems of one kind are reported at once, with the nodes' names.

mod attributes;
mod decode;
mod emit;
mod error;
mod evaluate;
mod external;
mod functions;
mod infer;
mod model;
mod normalise;
mod options;
mod schema;
mod sort;
mod symbols;
mod tensor;
mod translate;
mod upgrade;
mod weights;

pub use error::{ExternalWhy, ImportError, OptionWhy, Place, Problem, Why};
pub use options::{ImportOptions, parse_shape};

use pannier_bundle::manifest::{Content, Port, Source};
use pannier_engine::{Engine, Program};
use pannier_graph::{DType, OPSET};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A model as a program, with its interface.
#[derive(Clone)]
pub struct Imported {
    /// The graph at opset [`OPSET`](pannier_graph::OPSET) and its weights, one section for each size of element.
    pub program: Program,
    /// Inputs in the order of the graph, with [`Content::Tensor`].
    pub inputs: Vec<Port>,
    /// Outputs in the order of the graph, with [`Content::Tensor`].
    pub outputs: Vec<Port>,
    /// Where the model came from.
    pub source: Source,
    /// What the normalisation did, one line each.
    pub notes: Vec<String>,
}

/// Imports a model file. `engine` evaluates constant nodes.
///
/// # Errors
/// [`ImportError`]: the file cannot be read, is not ONNX, breaks a rule, or uses what is not supported.
pub fn import(path: &Path, options: &ImportOptions, engine: &dyn Engine) -> Result<Imported, ImportError> {
    let bytes = decode::read_file(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    from_bytes(&bytes, Some(folder), options, engine)
}

/// Imports a model from memory. External data is looked for in `folder`.
///
/// # Errors
/// As for [`import`], but for reading the file.
pub fn from_bytes(
    bytes: &[u8],
    folder: Option<&Path>,
    options: &ImportOptions,
    engine: &dyn Engine,
) -> Result<Imported, ImportError> {
    let decoded = decode::decode(bytes)?;
    let opset = decoded.opsets.get("").copied().unwrap_or(OPSET);
    let translate::Translated { mut model, mut symbols, output_dtypes } =
        translate::translate(decoded, folder, options)?;
    let tally = normalise::normalise(&mut model, engine)?;
    let inputs = model.body.inputs.iter().map(|input| {
        let shape = input.shape.clone().unwrap_or_default();
        port(model.name(input.value), input.dtype.unwrap_or(DType::F32), shape)
    });
    let inputs = inputs.collect();
    let mut outputs = Vec::new();
    let mut problems = error::Problems::default();
    for (value, declared) in model.body.outputs.iter().zip(output_dtypes) {
        let name = model.name(*value);
        let r#type = model.r#type(*value);
        let Some(dtype) = r#type.dtype.or(declared) else {
            problems.push(Place::Output(name.to_owned()), Why::NoType);
            continue;
        };
        let shape = r#type.shape.as_deref().unwrap_or_default();
        let shape = weights::named_shape(shape, |axis| symbols.invent(name, axis));
        outputs.push(port(name, dtype, shape));
    }
    problems.finish()?;
    let source =
        Source { format: "onnx".to_owned(), sha256: Sha256::digest(bytes).into(), opset, options: options.recorded() };
    let program = weights::program(model)?;
    Ok(Imported { program, inputs, outputs, source, notes: tally.notes() })
}

fn port(name: &str, dtype: DType, shape: Vec<pannier_graph::Dim>) -> Port {
    Port { name: name.to_owned(), dtype, shape, description: String::new(), content: Content::Tensor }
}
