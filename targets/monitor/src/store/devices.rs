//! Who reports, and what each said last: what the table of devices and the alerts need, without reading the file.

use super::body::Points;
use super::catalogue::Catalogue;
use crate::series::{Cohort, Series, Source, names};
use crate::value::Value;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// One model on one device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Who it is.
    pub source: Arc<Source>,
    /// Where it counts.
    pub cohort: Arc<Cohort>,
    /// What it said last.
    pub newest: Newest,
}

/// What a device said last.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Newest {
    /// When the monitor last heard of it.
    pub received_ms: i64,
    /// What time its newest report is about.
    #[serde(skip)]
    pub time_ms: i64,
    /// Runs in the newest report's window.
    pub runs: u64,
    /// Failed ones among them.
    pub errors: u64,
    /// Age of the bundle, in seconds, as it said.
    pub age_s: Option<f64>,
    /// Peak memory.
    pub memory_bytes: Option<f64>,
    /// The largest drift score of any tensor, by any method.
    pub drift_score: Option<f64>,
    /// Whether it calls that drift.
    pub drifting: bool,
    /// Exports that it gave up since it started.
    pub dropped: u64,
    /// What waits on it to be sent.
    pub spool_bytes: Option<f64>,
}

/// All of them, by the source's number.
pub type Devices = HashMap<u32, Device>;

impl Device {
    pub(super) fn new(source: Arc<Source>, cohort: Arc<Cohort>) -> Device {
        Device { source, cohort, newest: Newest::default() }
    }
}

impl Newest {
    /// Takes in a report: totals, and their growth since the one before.
    pub(super) fn observe(&mut self, totals: &Points, growth: &Points, catalogue: &Catalogue) {
        (self.runs, self.errors) = (0, 0);
        (self.drift_score, self.drifting, self.dropped) = (None, false, 0);
        for (id, value) in growth {
            let Some(series) = catalogue.series(*id) else { continue };
            if series.metric == names::DURATION {
                self.runs += value.count();
                if !series.attribute(names::ERROR).is_empty() {
                    self.errors += value.count();
                }
            }
        }
        for (id, value) in totals {
            if let Some(series) = catalogue.series(*id) {
                self.read(series, value);
            }
        }
    }

    fn read(&mut self, series: &Series, value: &Value) {
        match (series.metric.as_str(), value) {
            (names::AGE, Value::Gauge(gauge)) => self.age_s = Some(gauge.last),
            (names::MEMORY, Value::Gauge(gauge)) => self.memory_bytes = Some(gauge.last),
            (names::SPOOL, Value::Gauge(gauge)) => self.spool_bytes = Some(gauge.last),
            (names::DRIFT_SCORE, Value::Gauge(gauge)) => {
                self.drift_score = Some(self.drift_score.map_or(gauge.last, |score| score.max(gauge.last)));
            }
            (names::DRIFT_DETECTED, Value::Gauge(gauge)) => self.drifting |= gauge.last > 0.0,
            // A count that a device reports is whole and not negative; one that is not becomes the nearest that is.
            (names::DROPPED, Value::Sum(sum)) => self.dropped = self.dropped.saturating_add(*sum as u64),
            _ => {}
        }
    }
}
