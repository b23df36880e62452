//! Who reports, and which series: what identifies the values in the store.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Text attributes, in the order of their names.
pub type Attributes = BTreeMap<String, String>;

/// What kind of values a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A cumulative sum.
    Sum,
    /// A gauge.
    Gauge,
    /// A histogram with the bounds of the key.
    Histogram,
    /// An exponential histogram.
    Exponential,
    /// A distribution that does not change: its bounds and counts are part of the key, so that it is stored once for all the
    /// devices that have the model.
    Baseline,
}

/// What identifies a series within a source. The same keys are shared by all sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Name of the metric.
    #[serde(rename = "m")]
    pub metric: String,
    /// Kind of its values.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// Unit, as UCUM writes it.
    #[serde(rename = "u", default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Attributes of the point.
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: Attributes,
    /// Bounds of the buckets, ascending.
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<f64>,
    /// Counts of a baseline.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<u64>,
}

impl Series {
    /// The canonical text of the key: equal series have equal texts.
    #[must_use]
    pub fn key(&self) -> String {
        // Strings, finite floats and integers cannot fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// An attribute's value, or nothing.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Who reports: one model on one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The fleet whose token was used. It is never read from a payload.
    pub fleet: String,
    /// All resource attributes.
    pub attributes: Attributes,
}

impl Source {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// `service.instance.id`
    #[must_use]
    pub fn device(&self) -> &str {
        self.attribute("service.instance.id")
    }

    /// The cohort that it counts in.
    #[must_use]
    pub fn cohort(&self) -> Cohort {
        Cohort {
            fleet: self.fleet.clone(),
            site: self.attribute("pannier.site").to_owned(),
            model: self.attribute("pannier.model.name").to_owned(),
            version: self.attribute("pannier.model.version").to_owned(),
            target: self.attribute("pannier.target").to_owned(),
        }
    }
}

/// Sources that are summed up together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cohort {
    /// Fleet.
    pub fleet: String,
    /// `pannier.site`, or nothing.
    pub site: String,
    /// `pannier.model.name`
    pub model: String,
    /// `pannier.model.version`
    pub version: String,
    /// `pannier.target`: `native`, `wasmtime`, `browser`.
    pub target: String,
}

/// Names of metrics and attributes that the monitor knows the meaning of. Others are stored all the same.
pub mod names {
    /// Time of a run; its counts are the runs and errors.
    pub const DURATION: &str = "pannier.inference.duration";
    /// Time before a run began.
    pub const QUEUE: &str = "pannier.inference.queue.duration";
    /// Time that loading took.
    pub const LOAD: &str = "pannier.model.load.duration";
    /// Peak memory.
    pub const MEMORY: &str = "pannier.memory.peak";
    /// Age of the bundle.
    pub const AGE: &str = "pannier.bundle.age";
    /// Values of a tensor.
    pub const VALUES: &str = "pannier.tensor.values";
    /// What they were in the build.
    pub const BASELINE: &str = "pannier.tensor.baseline";
    /// Values that are none, or outside of what is allowed.
    pub const INVALID: &str = "pannier.tensor.invalid";
    /// Distance of a window from the baseline.
    pub const DRIFT_SCORE: &str = "pannier.drift.score";
    /// Whether that is too far.
    pub const DRIFT_DETECTED: &str = "pannier.drift.detected";
    /// Predictions by class.
    pub const CLASS: &str = "pannier.output.class";
    /// Exports that a device gave up.
    pub const DROPPED: &str = "pannier.telemetry.dropped";
    /// What waits on a device.
    pub const SPOOL: &str = "pannier.telemetry.spool.size";

    /// The code of a run that failed.
    pub const ERROR: &str = "error.type";
    /// Name of a tensor.
    pub const TENSOR: &str = "pannier.tensor.name";
    /// `input` or `output`
    pub const ROLE: &str = "pannier.tensor.role";
    /// `psi`, `js` or `ks`
    pub const METHOD: &str = "pannier.drift.method";
    /// Which rule a value broke.
    pub const VIOLATION: &str = "pannier.violation";
    /// A class.
    pub const CLASS_NAME: &str = "pannier.class";
}
