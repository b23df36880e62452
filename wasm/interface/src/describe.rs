//! What a loaded model is, as a JSON document for hosts of the plain ABI.

use pannier::manifest::{Content, Port};
use pannier::{Dim, Rejected, Session, Verdict};
use serde::Serialize;

use crate::FLAVOUR;

/// The document that `pannier_describe` leaves as the text. Its fields are specified in `ABI.md`.
#[derive(Serialize)]
pub struct Description<'a> {
    schema: &'static str,
    name: &'a str,
    version: &'a str,
    description: &'a str,
    bundle_id: String,
    inputs: Vec<PortView<'a>>,
    outputs: Vec<PortView<'a>>,
    labels: &'a [Vec<String>],
    envelope: EnvelopeView,
    verdict: Option<&'a Verdict>,
    engine: &'static str,
    flavour: &'static str,
    report: ReportView,
}

#[derive(Serialize)]
struct PortView<'a> {
    name: &'a str,
    dtype: &'static str,
    onnx_type: i32,
    shape: Vec<DimView<'a>>,
    description: &'a str,
    /// Index of the list of labels that the numbers are scores for.
    labels: Option<u32>,
    /// Name of the output that feeds this input from run to run.
    state: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DimView<'a> {
    Fixed(u64),
    Symbol(&'a str),
}

#[derive(Serialize)]
struct EnvelopeView {
    peak_memory_bytes: u64,
    weight_bytes: u64,
    deadline_ms: u32,
}

#[derive(Serialize)]
struct ReportView {
    rejected: Vec<RejectedView>,
    self_test: Option<SelfTestView>,
    memory: MemoryView,
}

#[derive(Serialize)]
struct RejectedView {
    engine: &'static str,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct SelfTestView {
    cases: usize,
    elements: u64,
    largest_difference: f64,
}

#[derive(Serialize)]
struct MemoryView {
    weight_bytes: u64,
    peak_bytes: u64,
    planned: bool,
}

impl<'a> Description<'a> {
    /// Describes the model of a session.
    pub fn of(session: &'a Session) -> Description<'a> {
        let manifest = session.manifest();
        let report = session.report();
        Description {
            schema: "pannier.dev/describe/v1",
            name: &manifest.name,
            version: &manifest.version,
            description: &manifest.description,
            bundle_id: hex(&manifest.bundle_id),
            inputs: manifest.inputs.iter().map(PortView::of).collect(),
            outputs: manifest.outputs.iter().map(PortView::of).collect(),
            labels: session.labels(),
            envelope: EnvelopeView {
                peak_memory_bytes: manifest.envelope.peak_memory_bytes,
                weight_bytes: manifest.envelope.weight_bytes,
                deadline_ms: manifest.envelope.deadline_ms,
            },
            verdict: session.verdict(),
            engine: report.engine,
            flavour: FLAVOUR,
            report: ReportView {
                rejected: report.rejected.iter().map(RejectedView::of).collect(),
                self_test: report.self_test.map(|test| SelfTestView {
                    cases: test.cases,
                    elements: test.elements,
                    largest_difference: test.largest_difference,
                }),
                memory: MemoryView {
                    weight_bytes: report.memory.weight_bytes,
                    peak_bytes: report.memory.peak_bytes,
                    planned: report.memory.planned,
                },
            },
        }
    }

    /// The document as text.
    pub fn to_json(&self) -> String {
        // Maps with other keys than texts are the only values without a JSON form, and there is no map.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<'a> PortView<'a> {
    fn of(port: &'a Port) -> PortView<'a> {
        PortView {
            name: &port.name,
            dtype: port.dtype.name(),
            onnx_type: port.dtype.onnx_number(),
            shape: port.shape.iter().map(DimView::of).collect(),
            description: &port.description,
            labels: labels(&port.content),
            state: state(&port.content),
        }
    }
}

impl<'a> DimView<'a> {
    fn of(dim: &'a Dim) -> DimView<'a> {
        match dim {
            Dim::Fixed(size) => DimView::Fixed(*size),
            Dim::Symbol(name) => DimView::Symbol(name),
        }
    }
}

impl RejectedView {
    fn of(rejected: &Rejected) -> RejectedView {
        let message = rejected.error.to_string();
        RejectedView { engine: rejected.engine, code: rejected.error.code().name(), message }
    }
}

/// The list of labels that the numbers are scores for.
pub fn labels(content: &Content) -> Option<u32> {
    match content {
        Content::Classes { labels } | Content::Ctc { labels, .. } => Some(*labels),
        _ => None,
    }
}

/// The output that feeds this input from run to run.
pub fn state(content: &Content) -> Option<&str> {
    match content {
        Content::State { output } => Some(output),
        _ => None,
    }
}

/// Bytes in lower case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
