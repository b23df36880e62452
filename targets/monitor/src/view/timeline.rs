//! Models x versions x targets in a table, and any of them over time.

use super::totals::Totals;
use crate::Error;
use crate::series::{Cohort, names};
use crate::store::{Device, Filter, Range, Reader};
use serde::Serialize;
use std::collections::BTreeMap;

/// Steps that a chart is drawn with, in milliseconds.
const STEPS_MS: [i64; 9] = [
    60_000,
    5 * 60_000,
    15 * 60_000,
    30 * 60_000,
    3_600_000,
    3 * 3_600_000,
    6 * 3_600_000,
    24 * 3_600_000,
    7 * 24 * 3_600_000,
];
/// Most steps of a chart.
const MAX_STEPS: i64 = 180;
/// Steps of the small charts in the table.
const SPARK_STEPS: i64 = 32;

/// The table.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// The range it is about.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// One per model, version and target.
    pub rows: Vec<OverviewRow>,
    /// Fleets that there are, for choosing.
    pub fleets: Vec<String>,
    /// Sites that there are.
    pub sites: Vec<String>,
    /// Rows of the store that were left out because their checksum does not match.
    pub damaged_rows: u64,
}

/// A model, version and target.
#[derive(Debug, Serialize)]
pub struct OverviewRow {
    /// Name of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Where it runs.
    pub target: String,
    /// Runs in the range.
    pub runs: u64,
    /// Failed ones.
    pub errors: u64,
    /// Runs per second.
    pub runs_per_s: f64,
    /// Failed runs out of all.
    pub error_rate: Option<f64>,
    /// Latency, in milliseconds.
    pub p50_ms: Option<f64>,
    /// Latency, in milliseconds.
    pub p95_ms: Option<f64>,
    /// Latency, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Age of the oldest bundle that is in use, in seconds.
    pub age_s: Option<f64>,
    /// Peak memory, in bytes.
    pub memory_bytes: Option<f64>,
    /// The mean drift score of the tensor that has moved most, at the site where it did.
    pub drift_score: Option<f64>,
    /// Devices that call it drift in their newest report.
    pub drifting: u64,
    /// Devices.
    pub devices: u64,
    /// Devices that have said nothing for a while.
    pub silent: u64,
    /// Runs over the range, in equal steps.
    pub spark: Vec<u64>,
}

/// A chart's numbers. All lists are as long as `times_ms`.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// Width of a step.
    pub step_ms: i64,
    /// Where each step begins.
    pub times_ms: Vec<i64>,
    /// Runs.
    pub runs: Vec<u64>,
    /// Failed runs by code.
    pub errors: BTreeMap<String, Vec<u64>>,
    /// Latency, in milliseconds.
    pub p50_ms: Vec<Option<f64>>,
    /// Latency, in milliseconds.
    pub p95_ms: Vec<Option<f64>>,
    /// Latency, in milliseconds.
    pub p99_ms: Vec<Option<f64>>,
    /// How long runs had waited, in milliseconds.
    pub queue_p99_ms: Vec<Option<f64>>,
    /// Peak memory, in bytes.
    pub memory_bytes: Vec<Option<f64>>,
    /// Mean drift score of each tensor.
    pub drift: Vec<Line>,
}

/// The drift of a tensor over time.
#[derive(Debug, Serialize)]
pub struct Line {
    /// `input` or `output`
    pub role: String,
    /// Name of the tensor.
    pub tensor: String,
    /// `psi`, `js` or `ks`
    pub method: String,
    /// Scores.
    pub values: Vec<Option<f64>>,
}

/// Reads the table. `devices` are those of the filter.
///
/// # Errors
/// See [`Store::read`](crate::store::Store::read).
pub fn overview(
    reader: &Reader,
    devices: &[Device],
    range: Range,
    filter: &Filter,
    silent_before_ms: i64,
) -> Result<Overview, Error> {
    type Key = (String, String, String);
    let span_ms = (range.to_ms - range.from_ms).max(1);
    let mut groups: BTreeMap<Key, (Totals, Vec<u64>)> = BTreeMap::new();
    // What drifts at one site would not be seen among all of them.
    let mut cohorts: BTreeMap<Cohort, Totals> = BTreeMap::new();
    let damaged_rows = reader.summaries(range, filter, |row| {
        let key = (row.cohort.model.clone(), row.cohort.version.clone(), row.cohort.target.clone());
        let (totals, spark) = groups
            .entry(key)
            .or_insert_with(|| (Totals::default(), vec![0; usize::try_from(SPARK_STEPS).unwrap_or(0)]));
        let before = totals.runs;
        if !cohorts.contains_key(&*row.cohort) {
            cohorts.insert((*row.cohort).clone(), Totals::default());
        }
        let mut cohort = cohorts.get_mut(&*row.cohort);
        for (id, value) in &row.points {
            if let Some(series) = reader.series(*id) {
                totals.add(&series, value);
                if let (Some(cohort), names::DRIFT_SCORE) = (&mut cohort, series.metric.as_str()) {
                    cohort.add(&series, value);
                }
            }
        }
        let at = (row.time_ms - range.from_ms).max(0).saturating_mul(SPARK_STEPS) / span_ms;
        if let Some(step) = usize::try_from(at).ok().and_then(|at| spark.get_mut(at)) {
            *step += totals.runs - before;
        }
        Ok(())
    })?;
    let mut rows: Vec<OverviewRow> = Vec::new();
    for ((model, version, target), (totals, spark)) in groups {
        let own = || {
            let cohort = |device: &&Device| {
                device.cohort.model == model && device.cohort.version == version && device.cohort.target == target
            };
            devices.iter().filter(cohort)
        };
        rows.push(OverviewRow {
            runs: totals.runs,
            errors: totals.error_count(),
            runs_per_s: totals.runs as f64 / (span_ms as f64 / 1e3),
            error_rate: totals.error_rate(),
            p50_ms: totals.latency_ms(0.5),
            p95_ms: totals.latency_ms(0.95),
            p99_ms: totals.latency_ms(0.99),
            age_s: own().filter_map(|device| device.newest.age_s).reduce(f64::max),
            memory_bytes: totals.memory.map(|memory| memory.max),
            drift_score: cohorts
                .iter()
                .filter(|(cohort, _)| cohort.model == model && cohort.version == version && cohort.target == target)
                .filter_map(|(_, totals)| totals.worst_score())
                .reduce(f64::max),
            drifting: own().filter(|device| device.newest.drifting).count() as u64,
            devices: own().count() as u64,
            silent: own().filter(|device| device.newest.received_ms < silent_before_ms).count() as u64,
            spark,
            model,
            version,
            target,
        });
    }
    let mut names = (Vec::new(), Vec::new());
    for device in devices {
        names.0.push(device.cohort.fleet.clone());
        names.1.push(device.cohort.site.clone());
    }
    for list in [&mut names.0, &mut names.1] {
        list.sort();
        list.dedup();
        list.retain(|name| !name.is_empty());
    }
    Ok(Overview { from_ms: range.from_ms, to_ms: range.to_ms, rows, fleets: names.0, sites: names.1, damaged_rows })
}

/// Reads a chart's numbers.
///
/// # Errors
/// See [`Store::read`](crate::store::Store::read).
pub fn timeline(reader: &Reader, range: Range, filter: &Filter) -> Result<Timeline, Error> {
    let span_ms = range.to_ms - range.from_ms;
    let step_ms = STEPS_MS.into_iter().find(|step| span_ms / step <= MAX_STEPS).unwrap_or(STEPS_MS[8]);
    let first = range.from_ms - range.from_ms.rem_euclid(step_ms);
    let count = usize::try_from((range.to_ms - first).div_euclid(step_ms) + 1).unwrap_or(0).min(4 * MAX_STEPS as usize);
    let mut steps = vec![Totals::default(); count];
    reader.summaries(Range { from_ms: first, ..range }, filter, |row| {
        let at = usize::try_from((row.time_ms - first).div_euclid(step_ms)).ok();
        if let Some(totals) = at.and_then(|at| steps.get_mut(at)) {
            for (id, value) in &row.points {
                if let Some(series) = reader.series(*id) {
                    totals.add(&series, value);
                }
            }
        }
        Ok(())
    })?;
    // The step that has just begun is mostly empty; it would be drawn as a fall.
    if steps.last().is_some_and(|last| last.runs == 0) {
        steps.pop();
    }
    let mut errors: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut drift: BTreeMap<(String, String, String), Vec<Option<f64>>> = BTreeMap::new();
    for (at, totals) in steps.iter().enumerate() {
        for (code, count) in &totals.errors {
            put(errors.entry(code.clone()).or_insert_with(|| vec![0; steps.len()]), at, *count);
        }
        for ((role, tensor), methods) in &totals.scores {
            for (method, gauge) in methods {
                let key = (role.clone(), tensor.clone(), method.clone());
                put(drift.entry(key).or_insert_with(|| vec![None; steps.len()]), at, Some(gauge.mean()));
            }
        }
    }
    let each = |read: &dyn Fn(&Totals) -> Option<f64>| steps.iter().map(read).collect();
    Ok(Timeline {
        step_ms,
        times_ms: (0..steps.len()).map(|at| first + at as i64 * step_ms).collect(),
        runs: steps.iter().map(|totals| totals.runs).collect(),
        errors,
        p50_ms: each(&|totals| totals.latency_ms(0.5)),
        p95_ms: each(&|totals| totals.latency_ms(0.95)),
        p99_ms: each(&|totals| totals.latency_ms(0.99)),
        queue_p99_ms: each(&|totals| totals.queue_ms(0.99)),
        memory_bytes: each(&|totals| totals.memory.map(|memory| memory.max)),
        drift: drift
            .into_iter()
            .map(|((role, tensor, method), values)| Line { role, tensor, method, values })
            .collect(),
    })
}

fn put<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}
