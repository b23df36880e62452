//! From an ONNX file to a program: decode, check, bring to one operator set, normalise.
//!
//! Everything in a model file is hostile: sizes are compared with what is there before anything is allocated, nesting
//! is bounded, external data stays in the model's folder, and what the exporter says about intermediate values is not
//! trusted but inferred again. All problems of one kind are reported at once, with the nodes' names.

mod attributes;
mod constant;
mod contrib;
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

use model::Type;
use pannier_bundle::manifest::{Content, Port, Source};
use pannier_engine::Program;
use pannier_engine_tract::TractEngine;
use pannier_graph::{DType, OPSET};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A model as a program, with its interface.
#[derive(Clone)]
pub struct Imported {
    /// The graph at opset [`OPSET`] and its weights, one section for each size of element.
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
pub fn import(path: &Path, options: &ImportOptions, engine: &TractEngine) -> Result<Imported, ImportError> {
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
    engine: &TractEngine,
) -> Result<Imported, ImportError> {
    let decoded = decode::decode(bytes)?;
    let opset = decoded.opsets.get("").copied().unwrap_or(OPSET);
    let translate::Translated { mut model, mut symbols, outputs: declared } =
        translate::translate(decoded, folder, options)?;
    let tally = normalise::normalise(&mut model, engine)?;
    let inputs = model.body.inputs.iter().map(|input| {
        let shape = input.shape.clone().unwrap_or_default();
        port(model.name(input.value), input.dtype.unwrap_or(DType::F32), shape)
    });
    let inputs = inputs.collect();
    let results: Vec<(String, Type)> = model.body.outputs.iter().map(|value| model.output(*value)).collect();
    let program = weights::program(model)?;
    let mut problems = error::Problems::default();
    let mut outputs = Vec::new();
    // Asked only if need be: it takes as long as preparing the whole graph.
    let unsure = results.iter().any(|(_, r#type)| r#type.dtype.is_none() || r#type.shape.is_none());
    let inferred = if unsure { engine.infer(&program) } else { Vec::new() };
    for (((name, r#type), declared), id) in results.into_iter().zip(declared).zip(&program.graph.body.outputs) {
        let engines = inferred.get(model::index(*id)).cloned().flatten();
        let (engines_dtype, engines_shape) = engines.unzip();
        let shape = r#type.shape.or_else(|| Some(engines_shape?.into_iter().map(symbols::plain).collect()));
        let shape = shape.or_else(|| declared.rank.map(|rank| vec![None; rank]));
        let Some(dtype) = r#type.dtype.or(engines_dtype).or(declared.dtype) else {
            problems.push(Place::Output(name), Why::NoType);
            continue;
        };
        let Some(shape) = shape else {
            problems.push(Place::Output(name), Why::NoShape);
            continue;
        };
        let shape = weights::named_shape(&shape, |axis| symbols.invent(&name, axis));
        outputs.push(port(&name, dtype, shape));
    }
    problems.finish()?;
    let source =
        Source { format: "onnx".to_owned(), sha256: Sha256::digest(bytes).into(), opset, options: options.recorded() };
    Ok(Imported { program, inputs, outputs, source, notes: tally.notes() })
}

fn port(name: &str, dtype: DType, shape: Vec<pannier_graph::Dim>) -> Port {
    Port { name: name.to_owned(), dtype, shape, description: String::new(), content: Content::Tensor }
}
