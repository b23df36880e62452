//! `/metrics` for Prometheus, and `/healthz`.

use super::auth::operator;
use crate::Error;
use crate::app::App;
use crate::store::{Filter, Range, shared};
use crate::view;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What the models did in these last minutes.
const WINDOW_MS: i64 = 5 * 60_000;

/// Says that the monitor answers and can read its store.
pub async fn healthz(State(app): State<Arc<App>>) -> Result<&'static str, Error> {
    app.read(|app| app.store.read(|reader| reader.sessions())).await?;
    Ok("ok\n")
}

/// The monitor's own health, and a summary of each model.
pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response<Body>, Error> {
    operator(&app, &headers)?;
    let text = app
        .read(|app| {
            let mut text = Text(String::new());
            own(app, &mut text);
            models(app, &mut text)?;
            Ok(text.0)
        })
        .await?;
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    Ok(response)
}

/// Text in Prometheus' exposition format.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn own(app: &App, text: &mut Text) {
    let counters = &app.counters;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let gauge = |counter: &AtomicI64| counter.load(Ordering::Relaxed) as f64;
    let counts = [
        ("requests", "Requests to /v1/metrics.", &counters.requests),
        ("body_bytes", "Bytes of their bodies as they came.", &counters.body_bytes),
        ("points_stored", "Points that were stored.", &counters.stored),
        ("points_duplicate", "Points that were there already.", &counters.duplicate),
        ("commits", "Transactions.", &counters.commits),
        ("commits_failed", "Transactions that failed.", &counters.failed_commits),
        ("damaged_rows", "Rows whose checksum did not match.", &counters.damaged_rows),
        ("webhook_calls", "Calls of webhooks.", &counters.webhooks),
        ("webhook_calls_failed", "Calls of webhooks that failed.", &counters.webhooks_failed),
        ("webhook_calls_dropped", "Calls of webhooks that were given up.", &counters.webhooks_dropped),
    ];
    for (name, help, counter) in counts {
        text.one(&format!("pannier_monitor_{name}_total"), "counter", help, count(counter));
    }
    text.family("pannier_monitor_points_rejected_total", "counter", "Points that were not taken.");
    for (reason, count) in counters.rejected() {
        text.sample("pannier_monitor_points_rejected_total", &[("reason", reason.name())], count as f64);
    }
    text.family("pannier_monitor_requests_refused_total", "counter", "Requests that were refused.");
    for (status, count) in counters.refused() {
        text.sample("pannier_monitor_requests_refused_total", &[("status", &status.to_string())], count as f64);
    }
    for (name, help, value) in [
        ("queue_requests", "Requests that wait for the writer.", gauge(&counters.queued)),
        ("connections", "Connections that are open.", gauge(&counters.connections)),
        ("store_bytes", "Size of the store.", app.store.size_bytes() as f64),
        ("sources", "Models on devices.", shared(&app.store.devices).len() as f64),
        ("series", "Series.", shared(&app.store.catalogue).len() as f64),
        (
            "clock_readings_behind",
            "Readings of the time while the system's clock was behind.",
            app.clock.readings_behind() as f64,
        ),
    ] {
        text.one(&format!("pannier_monitor_{name}"), "gauge", help, value);
    }
}

fn models(app: &App, text: &mut Text) -> Result<(), Error> {
    let now_ms = app.clock.now_ms();
    let devices: Vec<_> = shared(&app.store.devices).values().cloned().collect();
    let range = Range { from_ms: now_ms - WINDOW_MS, to_ms: now_ms + 1 };
    let silent = now_ms - app.config.silent_after_ms;
    let rows = app.store.read(|reader| view::overview(reader, &devices, range, &Filter::default(), silent))?.rows;
    type Read = fn(&view::OverviewRow) -> Option<f64>;
    let families: [(&str, &str, Read); 9] = [
        ("runs_per_second", "Runs per second, over 5 minutes.", |row| Some(row.runs_per_s)),
        ("error_ratio", "Failed runs out of all, over 5 minutes.", |row| row.error_rate),
        ("latency_p50_seconds", "Median latency, over 5 minutes.", |row| row.p50_ms.map(|ms| ms / 1e3)),
        ("latency_p99_seconds", "99th percentile of the latency, over 5 minutes.", |row| row.p99_ms.map(|ms| ms / 1e3)),
        ("drift_score", "The worst tensor's mean drift score, over 5 minutes.", |row| row.drift_score),
        ("bundle_age_seconds", "Age of the oldest bundle in use.", |row| row.age_s),
        ("devices", "Devices.", |row| Some(row.devices as f64)),
        ("devices_silent", "Devices that have said nothing for a while.", |row| Some(row.silent as f64)),
        ("devices_drifting", "Devices that call their inputs drifted.", |row| Some(row.drifting as f64)),
    ];
    for (name, help, read) in families {
        let name = format!("pannier_model_{name}");
        text.family(&name, "gauge", help);
        for row in &rows {
            if let Some(value) = read(row) {
                let labels = [("model", row.model.as_str()), ("version", &row.version), ("target", &row.target)];
                text.sample(&name, &labels, value);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text(String::new());
        text.sample("a", &[("l", "x\"y\\z\n"), ("m", "")], 1.5);
        assert_eq!(text.0, "a{l=\"x\\\"y\\\\z\\n\",m=\"\"} 1.5\n");
    }
}
