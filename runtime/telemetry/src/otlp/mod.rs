//! Snapshots as OTLP metrics. The list of metrics is in `docs/telemetry.md`.

mod points;

use crate::snapshot::{Snapshot, TensorSnapshot};
use crate::tensor::{Violation, WindowSummary};
use pannier_otlp_messages::{
    ExportMetricsServiceRequest, InstrumentationScope, KeyValue, Metric, Resource, ResourceMetrics, ScopeMetrics,
};
use points::{Points, attribute};

/// The messages that payloads are made of.
pub use pannier_otlp_messages as messages;
/// A payload, written as protobuf.
pub use pannier_otlp_messages::Message;

/// What else is known where a payload is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Export {
    /// Attributes of the service and the device, such as `service.name`.
    pub resource: Vec<(String, String)>,
    /// When the window ended, in nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// One for each session.
    pub sessions: Vec<Session>,
    /// How sending went so far.
    pub delivery: Option<DeliveryCounts>,
}

/// What a session tells, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// When it began, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// What it tells.
    pub snapshot: Snapshot,
}

/// How sending went since an exporter began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// When the exporter began, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Payloads that were lost because the spool was full.
    pub spool_full: u64,
    /// Payloads of which the receiver took nothing, or not all.
    pub rejected: u64,
    /// Payloads that were lost because the disk failed and memory was full.
    pub disk: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Size of what waits, in bytes.
    pub spool_bytes: u64,
}

impl Export {
    /// The payload.
    pub fn request(&self) -> ExportMetricsServiceRequest {
        let one = |(index, session): (usize, &Session)| {
            // How sending goes belongs to the process: it is told once.
            let delivery = self.delivery.as_ref().filter(|_| index == 0);
            let scope = InstrumentationScope { name: "pannier".into(), version: env!("CARGO_PKG_VERSION").into() };
            let metrics = self.metrics(session, delivery);
            let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics }];
            ResourceMetrics { resource: Some(self.resource(&session.snapshot)), scope_metrics }
        };
        ExportMetricsServiceRequest { resource_metrics: self.sessions.iter().enumerate().map(one).collect() }
    }

    fn resource(&self, snapshot: &Snapshot) -> Resource {
        let identity = &snapshot.identity;
        let id: String = identity.bundle_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let model = [
            ("pannier.target", snapshot.about.target),
            ("pannier.model.name", &identity.name),
            ("pannier.model.version", &identity.version),
            ("pannier.bundle.id", &id),
        ];
        let given = self.resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let known = |key: &str| self.resource.iter().any(|(given, _)| given == key);
        let ours = model.into_iter().filter(|(key, _)| !known(key));
        Resource { attributes: given.chain(ours).map(|(key, value)| attribute(key, value)).collect() }
    }

    fn metrics(&self, session: &Session, delivery: Option<&DeliveryCounts>) -> Vec<Metric> {
        let points = Points { start_unix_ns: session.start_unix_ns, time_unix_ns: self.time_unix_ns };
        let snapshot = &session.snapshot;
        let mut metrics = computational(&points, snapshot);
        metrics.extend(statistical(&points, &snapshot.tensors));
        metrics.extend(delivery.into_iter().flat_map(|counts| sending(self.time_unix_ns, counts)));
        metrics.retain(points::has_points);
        metrics
    }
}

/// Latency, errors, memory, age.
fn computational(points: &Points, snapshot: &Snapshot) -> Vec<Metric> {
    let engine = || attribute("pannier.engine", &snapshot.about.engine);
    let runs = snapshot.runs.iter().map(|runs| {
        let error = runs.error.map(|code| attribute("error.type", code.name()));
        (&runs.durations, [engine()].into_iter().chain(error).collect())
    });
    let load = snapshot.about.load.map(|load| (load.as_secs_f64(), vec![engine()]));
    let age = snapshot.installed_unix_s.map(|installed| {
        let now_s = points.time_unix_ns / 1_000_000_000;
        (now_s.saturating_sub(installed) as f64, Vec::new())
    });
    vec![
        points.sketches("pannier.inference.duration", "s", "Time that runs took.", runs),
        points.sketches(
            "pannier.inference.queue.duration",
            "s",
            "Time that runs waited for their turn.",
            snapshot.queue.iter().map(|queue| (queue, Vec::new())),
        ),
        points.gauge("pannier.model.load.duration", "s", "Time that loading took.", load),
        points.gauge(
            "pannier.memory.peak",
            "By",
            "Most memory that the session held.",
            snapshot.peak_memory_bytes.map(|bytes| (bytes as f64, Vec::new())),
        ),
        points.gauge("pannier.bundle.age", "s", "Time since the bundle came to this machine.", age),
    ]
}

/// Values, answers, drift.
fn statistical(points: &Points, tensors: &[TensorSnapshot]) -> Vec<Metric> {
    let name = |tensor: &TensorSnapshot| attribute("pannier.tensor.name", &tensor.name);
    let tensor = |tensor: &TensorSnapshot| vec![name(tensor), attribute("pannier.tensor.role", tensor.role.name())];
    let and = |mut attributes: Vec<KeyValue>, key: &str, value: &str| {
        attributes.push(attribute(key, value));
        attributes
    };
    let windows = || tensors.iter().filter_map(|it| Some((it, it.window.as_ref()?)));
    let of_window = |value: fn(&WindowSummary) -> f64| windows().map(move |(it, window)| (value(window), tensor(it)));
    let drifts = || windows().filter_map(|(it, window)| Some((it, window, window.drift?)));
    let answers = || tensors.iter().filter_map(|it| Some((it, it.answers.as_ref()?)));

    let invalid = tensors.iter().flat_map(|it| {
        let counts = Violation::ALL.into_iter().zip(it.invalid).filter(|(_, count)| *count > 0);
        counts.map(move |(violation, count)| (count, and(tensor(it), "pannier.violation", violation.name())))
    });
    let quantiles = windows().flat_map(|(it, window)| {
        let quantiles = WindowSummary::QUANTILES.into_iter().zip(window.quantiles);
        quantiles.map(move |(share, value)| (value, and(tensor(it), "pannier.quantile", &share.to_string())))
    });
    let classes = answers().flat_map(|(it, answers)| {
        let other = (answers.other > 0).then_some(("_other", answers.other));
        let known = answers.classes.iter().map(|(label, count)| (label.as_str(), *count));
        known.chain(other).map(move |(label, count)| (count, and(vec![name(it)], "pannier.class", label)))
    });
    let scores = drifts().flat_map(|(it, _, drift)| {
        let methods = [("psi", drift.psi), ("js", drift.js), ("ks", drift.ks)];
        methods.map(move |(method, score)| (score, and(tensor(it), "pannier.drift.method", method)))
    });
    let samples = drifts().map(|(it, window, _)| (window.runs as f64, tensor(it)));
    let detected = drifts().filter_map(|(it, _, drift)| Some((f64::from(u8::from(drift.detected?)), tensor(it))));
    vec![
        points.histograms(
            "pannier.tensor.values",
            "1",
            "Values that were looked at.",
            tensors
                .iter()
                .filter(|it| it.values.counts.iter().any(|count| *count > 0))
                .map(|it| (&it.values, tensor(it))),
        ),
        points.histograms(
            "pannier.tensor.baseline",
            "1",
            "Values of the calibration data.",
            tensors.iter().filter_map(|it| Some((it.baseline.as_ref()?, tensor(it)))),
        ),
        points.sum("pannier.tensor.invalid", "{element}", "Values that should not be there.", invalid),
        points.gauge("pannier.tensor.min", "1", "Smallest value of the window.", of_window(|window| window.min)),
        points.gauge("pannier.tensor.max", "1", "Largest value of the window.", of_window(|window| window.max)),
        points.gauge("pannier.tensor.mean", "1", "Mean of the window.", of_window(|window| window.mean)),
        points.gauge("pannier.tensor.quantile", "1", "Quantiles of the window.", quantiles),
        points.sum("pannier.output.class", "{prediction}", "Answers by class.", classes),
        points.histograms(
            "pannier.output.confidence",
            "1",
            "How sure the answers were.",
            answers()
                .filter(|(_, answers)| answers.confidence.counts.iter().any(|count| *count > 0))
                .map(|(it, answers)| (&answers.confidence, vec![name(it)])),
        ),
        points.gauge("pannier.drift.score", "1", "Distance of the window from the baseline.", scores),
        points.gauge("pannier.drift.samples", "{sample}", "Runs that the scores rest on.", samples),
        points.gauge("pannier.drift.detected", "1", "Whether the distance is more than chance.", detected),
    ]
}

/// How telemetry itself does.
fn sending(time_unix_ns: u64, counts: &DeliveryCounts) -> Vec<Metric> {
    let points = Points { start_unix_ns: counts.start_unix_ns, time_unix_ns };
    let dropped = [("spool_full", counts.spool_full), ("rejected", counts.rejected), ("disk", counts.disk)];
    vec![
        points.sum(
            "pannier.telemetry.dropped",
            "{export}",
            "Payloads that were lost.",
            dropped.map(|(reason, count)| (count, vec![attribute("reason", reason)])),
        ),
        points.sum("pannier.telemetry.failed", "{attempt}", "Attempts that failed.", [(counts.failed, Vec::new())]),
        points.gauge(
            "pannier.telemetry.spool.size",
            "By",
            "Size of what waits to be sent.",
            [(counts.spool_bytes as f64, Vec::new())],
        ),
    ]
}

#[cfg(test)]
mod tests;
