//! What a build did, as one JSON document and as a few lines of text.

use crate::args::BuildFormat;
use crate::measure::Accuracy;
use crate::quantize::record::Proof;
use crate::quantize::settings::Scheme;
use crate::quantize::{LayerScheme, Record, attestation};
use crate::table::{Table, heading};
use crate::units;
use pannier_bundle::manifest::{Manifest, Port};
use serde::Serialize;
use std::path::PathBuf;

/// What a build did: `pannier.dev/build/v1` holds one for each bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildReport {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: String,
    /// What was written.
    pub format: BuildFormat,
    /// Where it was written; `None` before it was.
    pub output: Option<PathBuf>,
    /// SHA-256 over the content, whoever signed it.
    pub bundle_id: String,
    /// The ONNX file.
    pub source: SourceReport,
    /// Size of the file.
    pub size_bytes: u64,
    /// Sizes of its sections; of a self-contained file, of its parts.
    pub sections: Vec<SectionReport>,
    /// Inputs.
    pub inputs: Vec<PortReport>,
    /// Outputs.
    pub outputs: Vec<PortReport>,
    /// Nodes of the graph after normalisation, nested ones included.
    pub nodes: usize,
    /// What the importer changed.
    pub notes: Vec<String>,
    /// How it was quantized, if it was.
    pub quantization: Option<QuantizationReport>,
    /// The self-test.
    pub golden: GoldenReport,
    /// How the cases of `--evaluate` came out.
    pub accuracy: Option<Accuracy>,
    /// What the manifest states about memory and time.
    pub envelope: EnvelopeReport,
    /// Fingerprint of the key that signed.
    pub signed_by: Option<String>,
    /// What deserves attention.
    pub warnings: Vec<String>,
    /// How long the build took.
    pub elapsed_ms: f64,
}

/// The ONNX file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// Its path.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: String,
    /// Its operator set.
    pub opset: u32,
}

/// One section.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SectionReport {
    /// Its name.
    pub name: String,
    /// Bytes in the file.
    pub stored_bytes: u64,
    /// Bytes when decompressed.
    pub content_bytes: u64,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PortReport {
    /// Its name.
    pub name: String,
    /// NumPy name of its element type.
    pub dtype: &'static str,
    /// Its shape as text, with symbols.
    pub shape: String,
}

impl From<&Port> for PortReport {
    fn from(port: &Port) -> Self {
        PortReport { name: port.name.clone(), dtype: port.dtype.name(), shape: units::shape(&port.shape) }
    }
}

/// How a model was quantized.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantizationReport {
    /// What was asked for.
    pub scheme: Scheme,
    /// Layers.
    pub layers: usize,
    /// Layers that were quantized.
    pub quantized_layers: usize,
    /// Recipes that were tried on the tuning set.
    pub steps: usize,
    /// What was measured on the held-out set.
    pub proof: Option<Proof>,
}

impl From<&Record> for QuantizationReport {
    fn from(record: &Record) -> Self {
        let quantized = record.recipe.layers.iter().filter(|scheme| **scheme != LayerScheme::Float);
        QuantizationReport {
            scheme: record.scheme,
            layers: record.layers.len(),
            quantized_layers: quantized.count(),
            steps: record.steps.len(),
            proof: record.proof.clone(),
        }
    }
}

/// Where the golden cases came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldenOrigin {
    /// `--evaluate`, with its reference answers.
    Evaluation,
    /// `--calibrate`, or an evaluation without references: answers are the engine's own.
    Calibration,
    /// Made-up numbers: answers are the engine's own.
    MadeUp,
    /// There are none.
    None,
}

/// The self-test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoldenReport {
    /// Number of cases.
    pub cases: usize,
    /// Where they came from.
    pub origin: GoldenOrigin,
}

/// What the manifest states about memory and time; `None`: nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvelopeReport {
    /// Most memory of a session with one run in flight.
    pub peak_memory_bytes: Option<u64>,
    /// Memory of the weights.
    pub weight_bytes: u64,
    /// Longest run.
    pub deadline_ms: Option<u32>,
}

impl From<&Manifest> for EnvelopeReport {
    fn from(manifest: &Manifest) -> Self {
        let envelope = manifest.envelope;
        EnvelopeReport {
            peak_memory_bytes: Some(envelope.peak_memory_bytes).filter(|bytes| *bytes > 0),
            weight_bytes: envelope.weight_bytes,
            deadline_ms: Some(envelope.deadline_ms).filter(|ms| *ms > 0),
        }
    }
}

impl BuildReport {
    /// The report as a few lines for people.
    pub fn text(&self) -> String {
        let output = self.output.as_ref().map_or("-".to_owned(), |path| path.display().to_string());
        let mut table = Table::of_fields();
        table.field("inputs", ports(&self.inputs));
        table.field("outputs", ports(&self.outputs));
        let source = self.source.path.file_name().map_or("the model".into(), |name| name.to_string_lossy());
        let share = units::percent(self.size_bytes, self.source.size_bytes);
        let (size, before) = (units::bytes(self.size_bytes), units::bytes(self.source.size_bytes));
        table.field(
            "size",
            match self.format {
                BuildFormat::Pannier => format!("{size}, {share} of {source} ({before})"),
                // Mostly the runtime: a share would say nothing about the model.
                BuildFormat::Wasm | BuildFormat::Component => format!("{size} with the runtime in it"),
            },
        );
        let nodes = units::plural(self.nodes as u64, "node");
        match self.notes.as_slice() {
            [] => table.field("graph", nodes),
            notes => table.field("graph", format!("{nodes}: {}", notes.join(", "))),
        }
        if let Some(made) = &self.quantization {
            let proof = made.proof.as_ref().map_or("nothing was measured".to_owned(), attestation::summary);
            let layers = format!("{} of {} layers", made.quantized_layers, made.layers);
            table.field("quantized", format!("{}: {layers}\n{proof}", made.scheme));
        }
        table.field("self-test", self.golden_text());
        if let Some(accuracy) = &self.accuracy {
            table.field("accuracy", accuracy_text(accuracy));
        }
        let weights = units::bytes(self.envelope.weight_bytes);
        table.field(
            "memory",
            match self.envelope.peak_memory_bytes {
                Some(bytes) => format!("at most {}, {weights} of it weights", units::bytes(bytes)),
                None => format!("{weights} of weights; no peak is stated, since shapes of inputs vary"),
            },
        );
        let signer = self.signed_by.as_ref().map_or_else(|| "no".to_owned(), |key| format!("by {key}"));
        table.field("signed", signer);
        format!("{}{}", heading(&format!("{} {} -> {output}", self.name, self.version)), table.render())
    }

    fn golden_text(&self) -> String {
        let cases = units::plural(self.golden.cases as u64, "case");
        match self.golden.origin {
            GoldenOrigin::Evaluation => format!("{cases} with reference answers"),
            GoldenOrigin::Calibration => format!("{cases}, the answers are this engine's own"),
            GoldenOrigin::MadeUp => format!("{cases} of made-up numbers, the answers are this engine's own"),
            GoldenOrigin::None => "none".to_owned(),
        }
    }
}

fn ports(ports: &[PortReport]) -> String {
    ports.iter().map(|port| format!("{} {} {}\n", port.name, port.dtype, port.shape)).collect()
}

fn accuracy_text(accuracy: &Accuracy) -> String {
    let mut lines = Vec::new();
    let cases = units::plural(accuracy.cases as u64, "case");
    match accuracy.compared {
        0 => lines.push(format!("{cases} run, no reference answers to compare with")),
        compared => lines.push(format!(
            "{} of {} within {}, largest difference {:.1e}",
            compared - accuracy.failed_cases(),
            units::plural(compared as u64, "case"),
            accuracy.tolerance,
            accuracy.max_difference,
        )),
    }
    if let Some(right) = accuracy.right {
        let reference = if right.referenced > 0 { format!(", reference {}", right.reference) } else { String::new() };
        lines.push(format!("{} of {} answers right{reference}", right.ours, right.labelled));
    }
    if let Some(latency) = accuracy.latency_ms {
        lines.push(format!("{:.2} ms a case (median)", latency.median));
    }
    lines.join("\n")
}
