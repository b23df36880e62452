//! A session to tell of, and what is read from payloads.

use crate::receiver::{Receiver, Request};
use pannier_bundle::manifest::{Content, Envelope, Port, Reproducibility, Source};
use pannier_bundle::{DType, Dim, Manifest};
use pannier_engine::TensorView;
use pannier_otlp::Config;
use pannier_telemetry::otlp::Message;
use pannier_telemetry::otlp::messages::{ExportMetricsServiceRequest, Metric};
use pannier_telemetry::{About, Recorder, Run};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Sends to this receiver, each window when it is asked to.
pub fn config(url: &str, spool: Option<&Path>) -> Config {
    let mut config = Config::from_lookup(Some(url), &|_| None).expect("it is valid").expect("it is wanted");
    config.spool = spool.map(Path::to_owned);
    config.interval = Duration::from_secs(3600);
    config.timeout = Duration::from_secs(5);
    config
}

pub fn receiver_config(receiver: &Receiver, spool: Option<&Path>) -> Config {
    config(&receiver.url, spool)
}

pub fn recorder() -> Arc<Recorder> {
    let port = |name: &str| Port {
        name: name.into(),
        dtype: DType::F32,
        shape: vec![Dim::Fixed(1)],
        description: String::new(),
        content: Content::Tensor,
    };
    let manifest = Manifest {
        name: "scale".into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [1; 32],
        opset: 25,
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 25, options: Vec::new() },
    };
    let about = About { engine: "executor".into(), target: "native", load: Some(Duration::from_millis(5)) };
    Arc::new(Recorder::new(&manifest, &[], None, about))
}

/// One run.
pub fn run(recorder: &Recorder) {
    let tensor = || [TensorView::from_slice(&[1], &[0.5f32]).expect("a tensor")].into_iter();
    recorder.succeeded(&Run { duration: Some(Duration::from_millis(1)), ..Run::default() }, tensor(), tensor());
}

pub fn payload(request: &Request) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest::decode(&*request.content()).expect("it is a payload")
}

fn metric<'p>(payload: &'p ExportMetricsServiceRequest, name: &str) -> &'p Metric {
    let mut metrics = payload.resource_metrics.iter().flat_map(|it| &it.scope_metrics).flat_map(|it| &it.metrics);
    metrics.find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}"))
}

/// How many runs a payload tells of; start of the session and end of the window, in nanoseconds since 1970.
pub fn runs(payload: &ExportMetricsServiceRequest) -> (u64, u64, u64) {
    let histogram = metric(payload, "pannier.inference.duration").exponential_histogram.as_ref();
    let point = &histogram.expect("it is one").data_points[0];
    (point.count, point.start_time_unix_nano, point.time_unix_nano)
}

/// The value of a counter, all its points together.
pub fn counter(payload: &ExportMetricsServiceRequest, name: &str) -> i64 {
    let sum = metric(payload, name).sum.as_ref().expect("it is one");
    sum.data_points.iter().map(|point| point.as_int.expect("a count")).sum()
}

pub fn attribute(payload: &ExportMetricsServiceRequest, name: &str) -> Option<String> {
    let attributes = &payload.resource_metrics[0].resource.as_ref()?.attributes;
    attributes.iter().find(|it| it.key == name)?.value.clone()?.string_value
}
