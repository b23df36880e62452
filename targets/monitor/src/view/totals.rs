//! What a group of cohorts did in a stretch of time, in the terms of the pages and the rules.

use crate::series::{Series, names};
use crate::value::{Gauge, Value};
use std::collections::BTreeMap;

/// A tensor: `input` or `output`, and name.
pub type Tensor = (String, String);

/// Sums over series.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Runs, failed ones among them.
    pub runs: u64,
    /// Failed runs by code.
    pub errors: BTreeMap<String, u64>,
    latency: Option<Value>,
    queue: Option<Value>,
    /// Peak memory.
    pub memory: Option<Gauge>,
    /// Age of bundles, in seconds.
    pub age: Option<Gauge>,
    /// Drift scores by tensor and method.
    pub scores: BTreeMap<Tensor, BTreeMap<String, Gauge>>,
    /// Windows that devices called drift, out of all, by tensor.
    pub detected: BTreeMap<Tensor, Gauge>,
    /// Exports that devices gave up.
    pub dropped: f64,
}

impl Totals {
    /// Takes in what grew.
    pub fn add(&mut self, series: &Series, value: &Value) {
        match (series.metric.as_str(), value) {
            (names::DURATION, value) => {
                let count = value.count();
                self.runs = self.runs.saturating_add(count);
                match series.attribute(names::ERROR) {
                    "" => merge(&mut self.latency, value),
                    code => *self.errors.entry(code.to_owned()).or_default() += count,
                }
            }
            (names::QUEUE, value) => merge(&mut self.queue, value),
            (names::MEMORY, Value::Gauge(gauge)) => add_gauge(&mut self.memory, gauge),
            (names::AGE, Value::Gauge(gauge)) => add_gauge(&mut self.age, gauge),
            (names::DRIFT_SCORE, Value::Gauge(gauge)) => {
                let methods = self.scores.entry(tensor(series)).or_default();
                let method = series.attribute(names::METHOD).to_owned();
                methods.entry(method).and_modify(|all| all.merge(gauge)).or_insert(*gauge);
            }
            (names::DRIFT_DETECTED, Value::Gauge(gauge)) => {
                self.detected.entry(tensor(series)).and_modify(|all| all.merge(gauge)).or_insert(*gauge);
            }
            (names::DROPPED, Value::Sum(sum)) => self.dropped += sum,
            _ => {}
        }
    }

    /// Failed runs.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Failed runs out of all, or nothing when there were none at all.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.runs > 0).then(|| self.error_count() as f64 / self.runs as f64)
    }

    /// Below this time, in milliseconds, a share of the runs that did not fail lie.
    #[must_use]
    pub fn latency_ms(&self, quantile: f64) -> Option<f64> {
        milliseconds(self.latency.as_ref(), quantile)
    }

    /// Below this time, in milliseconds, a share of the runs had waited.
    #[must_use]
    pub fn queue_ms(&self, quantile: f64) -> Option<f64> {
        milliseconds(self.queue.as_ref(), quantile)
    }

    /// The largest drift score of any tensor, by any method.
    #[must_use]
    pub fn worst_score(&self) -> Option<f64> {
        self.scores.values().flat_map(BTreeMap::values).map(Gauge::mean).reduce(f64::max)
    }
}

/// The tensor that a series is about.
#[must_use]
pub fn tensor(series: &Series) -> Tensor {
    (series.attribute(names::ROLE).to_owned(), series.attribute(names::TENSOR).to_owned())
}

fn milliseconds(histogram: Option<&Value>, quantile: f64) -> Option<f64> {
    match histogram? {
        Value::Exponential(histogram) => histogram.quantile(quantile).map(|seconds| seconds * 1e3),
        _ => None,
    }
}

fn merge(all: &mut Option<Value>, more: &Value) {
    match all {
        Some(all) => all.add(more),
        None => *all = Some(more.clone()),
    }
}

fn add_gauge(all: &mut Option<Gauge>, more: &Gauge) {
    match all {
        Some(all) => all.merge(more),
        None => *all = Some(*more),
    }
}
