//! Devices: who was heard of when, and one of them over time.

use super::totals::Totals;
use crate::Error;
use crate::store::{Device, Newest, Range, Reader};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most devices of one answer.
const PAGE: usize = 500;
/// Most reports of one device's history.
const REPORTS: u32 = 2000;

/// A part of the devices.
#[derive(Debug, Serialize)]
pub struct DeviceList {
    /// How many there are with this filter.
    pub total: usize,
    /// How many of them are silent.
    pub silent: usize,
    /// The silent ones first, then those that drift, then by name; not more than 500.
    pub devices: Vec<DeviceRow>,
}

/// A model on a device.
#[derive(Debug, Serialize)]
pub struct DeviceRow {
    /// The fleet of its token.
    pub fleet: String,
    /// `service.instance.id`
    pub device: String,
    /// `pannier.site`
    pub site: String,
    /// Name of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Where it runs.
    pub target: String,
    /// `host.arch`
    pub arch: String,
    /// Whether it was last heard of long ago.
    pub silent: bool,
    /// What it said last.
    #[serde(flatten)]
    pub newest: Newest,
}

/// One model on one device over time. All lists are as long as `times_ms`.
#[derive(Debug, Default, Serialize)]
pub struct Hours {
    /// What time each report is about.
    pub times_ms: Vec<i64>,
    /// Runs since the report before.
    pub runs: Vec<u64>,
    /// Failed ones.
    pub errors: Vec<u64>,
    /// Latency, in milliseconds.
    pub p50_ms: Vec<Option<f64>>,
    /// Latency, in milliseconds.
    pub p99_ms: Vec<Option<f64>>,
    /// The worst tensor's drift score.
    pub drift_score: Vec<Option<f64>>,
}

/// Lists devices.
#[must_use]
pub fn devices(mut devices: Vec<Device>, silent_before_ms: i64) -> DeviceList {
    let silent = |device: &Device| device.newest.received_ms < silent_before_ms;
    devices.sort_by(|a, b| {
        let rank = |device: &Device| (!silent(device), !device.newest.drifting);
        rank(a).cmp(&rank(b)).then_with(|| a.source.device().cmp(b.source.device()))
    });
    let (total, silent_count) = (devices.len(), devices.iter().filter(|device| silent(device)).count());
    devices.truncate(PAGE);
    let rows = devices.into_iter().map(|device| DeviceRow {
        silent: silent(&device),
        fleet: device.source.fleet.clone(),
        device: device.source.device().to_owned(),
        site: device.cohort.site.clone(),
        model: device.cohort.model.clone(),
        version: device.cohort.version.clone(),
        target: device.cohort.target.clone(),
        arch: device.source.attributes.get("host.arch").cloned().unwrap_or_default(),
        newest: device.newest,
    });
    DeviceList { total, silent: silent_count, devices: rows.collect() }
}

/// Reads the newest reports of a source.
///
/// # Errors
/// See [`Store::read`](crate::store::Store::read).
pub fn device_history(reader: &Reader, source: u32, range: Range) -> Result<Hours, Error> {
    let mut hours = Hours::default();
    let mut before: BTreeMap<i64, BTreeMap<u32, crate::value::Value>> = BTreeMap::new();
    for (start_ns, time_ns, points) in reader.history(source, range, REPORTS)? {
        // The first report of a session in the range is what the next is compared with.
        let known = before.contains_key(&start_ns);
        let last = before.entry(start_ns).or_default();
        let mut totals = Totals::default();
        for (id, value) in points {
            let grown = last.get(&id).map_or_else(|| value.clone(), |last| value.since(last));
            if let Some(series) = reader.series(id) {
                totals.add(&series, &grown);
            }
            last.insert(id, value);
        }
        if known {
            hours.times_ms.push(time_ns / 1_000_000);
            hours.runs.push(totals.runs);
            hours.errors.push(totals.error_count());
            hours.p50_ms.push(totals.latency_ms(0.5));
            hours.p99_ms.push(totals.latency_ms(0.99));
            hours.drift_score.push(totals.worst_score());
        }
    }
    Ok(hours)
}
