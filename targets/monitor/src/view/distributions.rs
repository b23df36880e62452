//! What goes into a model and what comes out, beside what it was built with.

use super::totals::{Tensor, Totals, tensor};
use crate::Error;
use crate::series::{Kind, Series, names};
use crate::store::{Filter, Range, Reader};
use crate::value::Value;
use serde::Serialize;
use std::collections::BTreeMap;

/// Classes of an output that are named; the rest is `_other`, as on the device.
const CLASSES: usize = 24;

/// All tensors of a model.
#[derive(Debug, Serialize)]
pub struct Distributions {
    /// One per tensor and set of bounds.
    pub tensors: Vec<Distribution>,
    /// What was predicted how often, the most frequent first.
    pub classes: Vec<ClassCount>,
}

/// A tensor.
#[derive(Debug, Serialize)]
pub struct Distribution {
    /// `input` or `output`
    pub role: String,
    /// Name of the tensor.
    pub tensor: String,
    /// Bounds of the buckets.
    pub bounds: Vec<f64>,
    /// Values that were seen, by bucket: one more than there are bounds.
    pub live: Vec<u64>,
    /// The same in the build's calibration data.
    pub baseline: Option<Vec<u64>>,
    /// Mean drift score over the range, by method.
    pub scores: BTreeMap<String, f64>,
    /// Out of all windows, those that devices called drift.
    pub detected: Option<f64>,
    /// Values that broke a rule, by rule.
    pub invalid: BTreeMap<String, u64>,
}

/// A class.
#[derive(Debug, Serialize)]
pub struct ClassCount {
    /// Output that it is of.
    pub tensor: String,
    /// Its label or index.
    pub class: String,
    /// How often it was predicted.
    pub count: u64,
}

/// Live counts and baseline by tensor and bounds.
#[derive(Default)]
struct Found {
    live: BTreeMap<(Tensor, String), (Vec<f64>, Vec<u64>)>,
    baselines: BTreeMap<(Tensor, String), Vec<u64>>,
    invalid: BTreeMap<Tensor, BTreeMap<String, u64>>,
    classes: BTreeMap<(String, String), u64>,
    totals: Totals,
}

/// Reads the distributions of a range.
///
/// # Errors
/// See [`Store::read`](crate::store::Store::read).
pub fn distributions(reader: &Reader, range: Range, filter: &Filter) -> Result<Distributions, Error> {
    let mut found = Found::default();
    reader.summaries(range, filter, |row| {
        for (id, value) in &row.points {
            if let Some(series) = reader.series(*id) {
                found.add(&series, value);
            }
        }
        Ok(())
    })?;
    Ok(found.finish())
}

impl Found {
    fn add(&mut self, series: &Series, value: &Value) {
        self.totals.add(series, value);
        match (series.metric.as_str(), value) {
            (names::VALUES, Value::Histogram(histogram)) => {
                let empty = || (series.bounds.clone(), vec![0; histogram.counts.len()]);
                let (_, counts) = self.live.entry(place(series)).or_insert_with(empty);
                for (all, more) in counts.iter_mut().zip(&histogram.counts) {
                    *all = all.saturating_add(*more);
                }
            }
            (names::BASELINE, Value::Present) if series.kind == Kind::Baseline => {
                self.baselines.insert(place(series), series.counts.clone());
            }
            (names::INVALID, Value::Sum(sum)) => {
                let rules = self.invalid.entry(tensor(series)).or_default();
                *rules.entry(series.attribute(names::VIOLATION).to_owned()).or_default() += *sum as u64;
            }
            (names::CLASS, Value::Sum(sum)) => {
                let key = (series.attribute(names::TENSOR).to_owned(), series.attribute(names::CLASS_NAME).to_owned());
                *self.classes.entry(key).or_default() += *sum as u64;
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Distributions {
        let mut tensors = Vec::new();
        for ((tensor, bounds_key), (bounds, live)) in self.live {
            let scores = self.totals.scores.get(&tensor).cloned().unwrap_or_default();
            tensors.push(Distribution {
                baseline: self.baselines.remove(&(tensor.clone(), bounds_key)),
                scores: scores.into_iter().map(|(method, gauge)| (method, gauge.mean())).collect(),
                detected: self.totals.detected.get(&tensor).map(crate::value::Gauge::mean),
                invalid: self.invalid.get(&tensor).cloned().unwrap_or_default(),
                role: tensor.0,
                tensor: tensor.1,
                bounds,
                live,
            });
        }
        let mut classes: Vec<ClassCount> =
            self.classes.into_iter().map(|((tensor, class), count)| ClassCount { tensor, class, count }).collect();
        classes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.class.cmp(&b.class)));
        if classes.len() > CLASSES {
            let rest = classes.split_off(CLASSES - 1);
            let count = rest.iter().map(|class| class.count).sum();
            let tensor = rest.first().map(|class| class.tensor.clone()).unwrap_or_default();
            classes.push(ClassCount { tensor, class: "_other".to_owned(), count });
        }
        Distributions { tensors, classes }
    }
}

/// Tensor and bounds, by which live values and baseline find each other.
fn place(series: &Series) -> (Tensor, String) {
    (tensor(series), format!("{:?}", series.bounds))
}
