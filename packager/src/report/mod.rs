//! What is in a bundle, gathered once for the screen, for JSON and for the HTML page.

pub(crate) mod gather;
mod html;
mod meaning;
mod plan;
pub(crate) mod quantization;
mod quantization_page;
pub(crate) mod text;
mod treemap;

pub use gather::{gather, tensors};
pub use html::page;
pub use plan::{PlanReport, plan, screen as plan_screen};
pub use text::screen;

use crate::commands::signatures::SignerEntry;
use pannier_engine::golden::Tolerance;
use serde::Serialize;

/// `pannier.dev/inspect/v1`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Name of the document's schema.
    pub schema: &'static str,
    /// The file.
    pub bundle: String,
    /// `pannier`: a bundle.
    pub format: &'static str,
    /// Its size.
    pub size_bytes: u64,
    /// What the manifest says of the model.
    pub model: Model,
    /// Inputs, in order.
    pub inputs: Vec<Port>,
    /// Outputs, in order.
    pub outputs: Vec<Port>,
    /// Sections, in the order of the file.
    pub sections: Vec<Section>,
    /// The constants of the graph.
    pub weights: Weights,
    /// The graph's nodes.
    pub graph: GraphSummary,
    /// What a run may use.
    pub memory: Memory,
    /// Which engines run it.
    pub engines: Vec<EngineAnswer>,
    /// How it was quantized and what that cost, if it was.
    pub quantization: Option<quantization::Quantization>,
    /// The golden cases.
    pub golden: Option<GoldenSummary>,
    /// Who signed, and what that is worth to the caller.
    pub trust: TrustSummary,
}

/// What the manifest says of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Short name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line.
    pub description: String,
    /// SPDX expression.
    pub licence: String,
    /// The tool that made the bundle.
    pub created_by: String,
    /// SHA-256 over the content, in hex.
    pub bundle_id: String,
    /// Opset of the graph.
    pub opset: u32,
    /// `bit-exact` or `tolerance`.
    pub reproducibility: &'static str,
    /// Targets that the publisher tested.
    pub target_hints: Vec<String>,
    /// Weights that were quantized.
    pub quantized_weights: usize,
    /// Where it came from.
    pub source: Source,
}

/// Where a model came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// For example `onnx`.
    pub format: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Opset of the file.
    pub opset: u32,
    /// Build options that shaped the graph.
    pub options: Vec<BuildOption>,
}

/// A build option that shaped the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildOption {
    /// For example `shape`.
    pub option: String,
    /// For example `x=1x4`.
    pub value: String,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// NumPy's name of its type.
    pub dtype: &'static str,
    /// Numbers and names of symbols.
    pub shape: Vec<Dim>,
    /// For example `bytes` or `classes`.
    pub kind: &'static str,
    /// What its numbers mean, in words.
    pub meaning: String,
    /// One line from the publisher.
    pub description: String,
}

/// A dimension: a number, or the name of a symbol.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Dim {
    /// Fixed.
    Size(u64),
    /// Known when inputs arrive.
    Symbol(String),
}

/// A section of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Size in the file.
    pub stored_bytes: u64,
    /// Size in memory.
    pub content_bytes: u64,
    /// Pieces that are verified one by one.
    pub chunks: usize,
    /// SHA-256 of the content, in hex.
    pub sha256: String,
}

/// The constants of the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weights {
    /// Tensors.
    pub tensors: usize,
    /// Elements of all of them.
    pub parameters: u64,
    /// Bytes as they lie in memory before an engine decodes them.
    pub size_bytes: u64,
    /// The same by type and encoding, largest first.
    pub by_dtype: Vec<WeightGroup>,
}

/// Weights of one type and encoding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightGroup {
    /// NumPy's name of the type that operators see.
    pub dtype: &'static str,
    /// `raw`, `f16`, `int8` or `int4`.
    pub encoding: &'static str,
    /// Tensors.
    pub tensors: usize,
    /// Elements.
    pub parameters: u64,
    /// Bytes, scales and zero points included.
    pub size_bytes: u64,
}

/// The graph's nodes, nested bodies included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphSummary {
    /// How many.
    pub nodes: usize,
    /// How many of each operator, most frequent first.
    pub operators: Vec<Operator>,
}

/// How often an operator occurs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operator {
    /// Name, with its domain if it is not `ai.onnx`.
    pub op: String,
    /// How often.
    pub count: usize,
}

/// What a run may use. `null`: not stated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// All that a session with one run in flight may hold.
    pub peak_bytes: Option<u64>,
    /// The weights alone.
    pub weight_bytes: u64,
    /// Longest run in milliseconds.
    pub deadline_ms: Option<u32>,
}

/// What an engine says of the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineAnswer {
    /// Its name.
    pub engine: &'static str,
    /// Whether it has every operator.
    pub supported: bool,
    /// What it lacks.
    pub missing: Vec<Missing>,
}

/// A node that an engine cannot run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// Operator.
    pub op: String,
    /// Name of the node.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// The golden cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoldenSummary {
    /// Names of the cases.
    pub cases: Vec<String>,
    /// Absolute part of the tolerance.
    pub absolute: f32,
    /// Relative part of the tolerance.
    pub relative: f32,
    /// Tolerance of an answer as a whole; 0: there is none.
    pub norm: f32,
    /// What came out on this machine; `null` where they were not run, because nobody is trusted.
    pub result: Option<GoldenResult>,
}

impl GoldenSummary {
    /// What counts as the same answer.
    pub fn tolerance(&self) -> Tolerance {
        Tolerance { absolute: self.absolute, relative: self.relative, norm: self.norm }
    }
}

/// What came out on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoldenResult {
    /// Whether every answer was close enough.
    pub passed: bool,
    /// The engine that ran them.
    pub engine: Option<&'static str>,
    /// Numbers compared.
    pub elements: u64,
    /// Largest absolute difference.
    pub largest_difference: f64,
    /// Why not, if they did not pass.
    pub error: Option<String>,
}

/// Who signed, and what that is worth to the caller.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrustSummary {
    /// `not-asked`, `trusted`, `untrusted` or `allowed` (`--allow-unsigned`).
    pub verdict: TrustVerdict,
    /// Why it is not trusted.
    pub error: Option<String>,
    /// Who signed, or claims to have.
    pub signers: Vec<SignerEntry>,
}

/// What the signatures are worth to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustVerdict {
    /// Nobody said whom to trust.
    NotAsked,
    /// Somebody trusted vouches for it.
    Trusted,
    /// Nobody trusted does.
    Untrusted,
    /// Anything goes.
    Allowed,
}

/// A constant of the graph, for the page's pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name of the value.
    pub name: String,
    /// NumPy's name of the type that operators see.
    pub dtype: &'static str,
    /// Row-major shape.
    pub shape: Vec<u64>,
    /// `raw`, `f16`, `int8` or `int4`.
    pub encoding: &'static str,
    /// Bytes in memory before an engine decodes them.
    pub size_bytes: u64,
    /// Its share of the file: the stored bytes of its chunks, divided by content.
    pub stored_bytes: u64,
}
