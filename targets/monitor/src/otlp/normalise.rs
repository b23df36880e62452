//! From a request to reports: points of one session at one time.

use crate::series::{Attributes, Kind, Series, Source, names};
use crate::value::{Buckets, Exponential, Gauge, Histogram, MAX_BUCKETS, MAX_SCALE, MIN_SCALE, Value};
use pannier_otlp_messages::{
    CUMULATIVE, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, HistogramDataPoint, KeyValue, Metric,
    NO_RECORDED_VALUE, NumberDataPoint, ResourceMetrics,
};
use std::collections::BTreeMap;

/// Most attributes of a point or a resource.
const MAX_ATTRIBUTES: usize = 64;
/// Longest name of a metric, attribute or unit, in bytes.
const MAX_NAME: usize = 255;
/// Longest value of an attribute, in bytes.
const MAX_TEXT: usize = 1024;
/// Most points in one report.
const MAX_POINTS: usize = 4096;
/// Most bounds of a histogram.
const MAX_BOUNDS: usize = 1024;

/// What times are believed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nothing later than this.
    pub latest_ns: i64,
    /// Nothing earlier than this.
    pub earliest_ns: i64,
}

/// What a request holds.
#[derive(Debug, Default)]
pub struct Export {
    /// Reports, in the order of the request.
    pub reports: Vec<Report>,
    /// What was not taken.
    pub rejected: Rejected,
}

/// Points of one source, of one start, at one time.
#[derive(Debug)]
pub struct Report {
    /// Who says so.
    pub source: Source,
    /// When its counts began, in nanoseconds since 1970.
    pub start_ns: i64,
    /// What time this is about, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The points.
    pub points: Vec<Point>,
}

/// One value of one series.
#[derive(Debug)]
pub struct Point {
    /// Key of the series: [`Series::key`].
    pub series: String,
    /// Its value.
    pub value: Value,
}

/// Why a point is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its time lies in the future.
    Future,
    /// Its time lies before everything that is kept.
    Past,
    /// It counts from the last export, not from the start.
    Temporality,
    /// A kind that cannot be merged.
    Kind,
    /// Counts and bounds do not belong together, or a number is none.
    Inconsistent,
    /// Too many, or too long.
    Limit,
    /// The store has as many series or sources as it takes.
    Cardinality,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 7] = [
        Reason::Future,
        Reason::Past,
        Reason::Temporality,
        Reason::Kind,
        Reason::Inconsistent,
        Reason::Limit,
        Reason::Cardinality,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Future => "future",
            Reason::Past => "past",
            Reason::Temporality => "temporality",
            Reason::Kind => "kind",
            Reason::Inconsistent => "inconsistent",
            Reason::Limit => "limit",
            Reason::Cardinality => "cardinality",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Reason::Future => "lie in the future; set the device's clock",
            Reason::Past => "are older than anything kept here; set the device's clock",
            Reason::Temporality => {
                "are not cumulative; set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative"
            }
            Reason::Kind => "are summaries, or of no kind; use histograms",
            Reason::Inconsistent => "have counts that do not fit their bounds, or values that are not numbers",
            Reason::Limit => {
                "are over a limit (4096 points a report, 64 attributes, 255 bytes a name, 1024 a value, 1024 bounds)"
            }
            Reason::Cardinality => "belong to new series, of which this store takes no more",
        }
    }
}

/// How many points were not taken, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected(BTreeMap<Reason, u64>);

impl Rejected {
    /// Notes `count` points.
    pub fn note(&mut self, reason: Reason, count: u64) {
        *self.0.entry(reason).or_default() += count;
    }

    /// Takes over what `other` noted.
    pub fn add(&mut self, other: &Rejected) {
        for (reason, count) in &other.0 {
            self.note(*reason, *count);
        }
    }

    /// All of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }

    /// What to tell the sender.
    #[must_use]
    pub fn message(&self) -> String {
        let parts: Vec<String> = self.iter().map(|(reason, count)| format!("{count} {}", reason.advice())).collect();
        format!("points that were not taken: {}", parts.join("; "))
    }
}

/// Takes a request apart.
#[must_use]
pub fn normalise(request: ExportMetricsServiceRequest, fleet: &str, limits: Limits) -> Export {
    let mut export = Export::default();
    for resource in request.resource_metrics {
        Sorter::new(limits, &mut export.rejected).sort(resource, fleet, &mut export.reports);
    }
    export
}

/// Sorts the points of one resource by start and time.
struct Sorter<'a> {
    limits: Limits,
    rejected: &'a mut Rejected,
    points: BTreeMap<(i64, i64), Vec<Point>>,
}

impl Sorter<'_> {
    fn new(limits: Limits, rejected: &mut Rejected) -> Sorter<'_> {
        Sorter { limits, rejected, points: BTreeMap::new() }
    }

    fn sort(mut self, resource: ResourceMetrics, fleet: &str, reports: &mut Vec<Report>) {
        let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        let Some(attributes) = texts(attributes) else {
            let count = metrics.map(|metric| points_of(&metric)).sum();
            return self.rejected.note(Reason::Limit, count);
        };
        for metric in metrics {
            self.metric(metric);
        }
        // Gauges need no start. They belong to the session that was reported with them.
        let start = self.points.keys().map(|(start, _)| *start).filter(|start| *start > 0).max().unwrap_or(0);
        let mut sorted: BTreeMap<(i64, i64), Vec<Point>> = BTreeMap::new();
        for ((own, time), points) in self.points {
            sorted.entry((if own > 0 { own } else { start }, time)).or_default().extend(points);
        }
        let source = Source { fleet: fleet.to_owned(), attributes };
        for ((start_ns, time_ns), mut points) in sorted {
            if points.len() > MAX_POINTS {
                self.rejected.note(Reason::Limit, (points.len() - MAX_POINTS) as u64);
                points.truncate(MAX_POINTS);
            }
            reports.push(Report { source: source.clone(), start_ns, time_ns, points });
        }
    }

    fn metric(&mut self, metric: Metric) {
        let count = points_of(&metric);
        if metric.name.is_empty() || metric.name.len() > MAX_NAME || metric.unit.len() > MAX_NAME {
            return self.rejected.note(Reason::Limit, count);
        }
        let Metric { name, unit, gauge, sum, histogram, exponential_histogram, summary, .. } = metric;
        let series = |kind, attributes| Series {
            metric: name.clone(),
            kind,
            unit: unit.clone(),
            attributes,
            bounds: Vec::new(),
            counts: Vec::new(),
        };
        let temporality = [
            sum.as_ref().map(|sum| sum.aggregation_temporality),
            histogram.as_ref().map(|histogram| histogram.aggregation_temporality),
            exponential_histogram.as_ref().map(|histogram| histogram.aggregation_temporality),
        ];
        if temporality.into_iter().flatten().any(|temporality| temporality != CUMULATIVE) {
            return self.rejected.note(Reason::Temporality, count);
        }
        if let Some(summary) = summary {
            self.rejected.note(Reason::Kind, summary.data_points.len() as u64);
        }
        for point in gauge.into_iter().flat_map(|gauge| gauge.data_points) {
            let (time, flags) = ((0, point.time_unix_nano), point.flags);
            self.point(time, flags, || {
                let value = Value::Gauge(Gauge::new(number(&point)?));
                Ok((series(Kind::Gauge, attributes(point.attributes)?), value))
            });
        }
        for point in sum.into_iter().flat_map(|sum| sum.data_points) {
            let (time, flags) = ((point.start_time_unix_nano, point.time_unix_nano), point.flags);
            self.point(time, flags, || {
                let value = Value::Sum(number(&point)?);
                Ok((series(Kind::Sum, attributes(point.attributes)?), value))
            });
        }
        for point in histogram.into_iter().flat_map(|histogram| histogram.data_points) {
            let (time, flags) = ((point.start_time_unix_nano, point.time_unix_nano), point.flags);
            self.point(time, flags, || explicit(point, |attributes| series(Kind::Histogram, attributes)));
        }
        for point in exponential_histogram.into_iter().flat_map(|histogram| histogram.data_points) {
            let (time, flags) = ((point.start_time_unix_nano, point.time_unix_nano), point.flags);
            self.point(time, flags, || exponential(point, |attributes| series(Kind::Exponential, attributes)));
        }
    }

    fn point(&mut self, (start, time): (u64, u64), flags: u32, read: impl FnOnce() -> Result<(Series, Value), Reason>) {
        if flags & NO_RECORDED_VALUE != 0 {
            return;
        }
        let time_ns = i64::try_from(time).unwrap_or(i64::MAX);
        let start_ns = i64::try_from(start).unwrap_or(i64::MAX);
        let outcome = match () {
            () if time_ns > self.limits.latest_ns => Err(Reason::Future),
            () if time_ns < self.limits.earliest_ns => Err(Reason::Past),
            () if start_ns > time_ns => Err(Reason::Inconsistent),
            () => read(),
        };
        match outcome {
            Ok((series, value)) => {
                self.points.entry((start_ns, time_ns)).or_default().push(Point { series: series.key(), value })
            }
            Err(reason) => self.rejected.note(reason, 1),
        }
    }
}

fn points_of(metric: &Metric) -> u64 {
    let lens = [
        metric.gauge.as_ref().map(|gauge| gauge.data_points.len()),
        metric.sum.as_ref().map(|sum| sum.data_points.len()),
        metric.histogram.as_ref().map(|histogram| histogram.data_points.len()),
        metric.exponential_histogram.as_ref().map(|histogram| histogram.data_points.len()),
        metric.summary.as_ref().map(|summary| summary.data_points.len()),
    ];
    lens.into_iter().flatten().map(|len| len as u64).sum()
}

fn number(point: &NumberDataPoint) -> Result<f64, Reason> {
    let value = point.as_double.or(point.as_int.map(|value| value as f64));
    value.filter(|value| value.is_finite()).ok_or(Reason::Inconsistent)
}

fn explicit(point: HistogramDataPoint, series: impl FnOnce(Attributes) -> Series) -> Result<(Series, Value), Reason> {
    let HistogramDataPoint { explicit_bounds: bounds, bucket_counts: counts, sum, .. } = point;
    if bounds.len() > MAX_BOUNDS {
        return Err(Reason::Limit);
    }
    let ascending = bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|bound| bound.is_finite());
    let sum = sum.unwrap_or(0.0);
    let in_all = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
    if !ascending || counts.len() != bounds.len() + 1 || in_all != Some(point.count) || !sum.is_finite() {
        return Err(Reason::Inconsistent);
    }
    let series = Series { bounds, ..series(attributes(point.attributes)?) };
    if series.metric == names::BASELINE {
        return Ok((Series { kind: Kind::Baseline, counts, ..series }, Value::Present));
    }
    Ok((series, Value::Histogram(Histogram { sum, counts })))
}

fn exponential(
    point: ExponentialHistogramDataPoint,
    series: impl FnOnce(Attributes) -> Series,
) -> Result<(Series, Value), Reason> {
    let sum = point.sum.unwrap_or(0.0);
    let sides = [point.positive, point.negative].map(|side| {
        let side = side.unwrap_or_default();
        Buckets { offset: side.offset, counts: side.bucket_counts }
    });
    if sides.iter().any(|side| side.counts.len() > MAX_BUCKETS) {
        return Err(Reason::Limit);
    }
    let mut counts = sides.iter().flat_map(|side| &side.counts);
    let in_all = counts.try_fold(point.zero_count, |sum, count| sum.checked_add(*count));
    let offsets = sides.iter().all(|side| side.offset.unsigned_abs() < 1 << 30);
    if in_all != Some(point.count) || !sum.is_finite() || !(MIN_SCALE..=MAX_SCALE).contains(&point.scale) || !offsets {
        return Err(Reason::Inconsistent);
    }
    let [positive, negative] = sides;
    let value = Exponential { scale: point.scale, sum, zero_count: point.zero_count, positive, negative };
    Ok((series(attributes(point.attributes)?), Value::Exponential(value)))
}

fn attributes(list: Vec<KeyValue>) -> Result<Attributes, Reason> {
    texts(list).ok_or(Reason::Limit)
}

/// Attributes as text; `None` when they are too many or too long. Arrays, maps and bytes are left out.
fn texts(list: Vec<KeyValue>) -> Option<Attributes> {
    if list.len() > MAX_ATTRIBUTES {
        return None;
    }
    let mut attributes = Attributes::new();
    for KeyValue { key, value } in list {
        let value = value.unwrap_or_default();
        let text = value
            .string_value
            .or(value.bool_value.map(|value| value.to_string()))
            .or(value.int_value.map(|value| value.to_string()))
            .or(value.double_value.map(|value| value.to_string()));
        let Some(text) = text else { continue };
        if key.is_empty() || key.len() > MAX_NAME || text.len() > MAX_TEXT {
            return None;
        }
        attributes.insert(key, text);
    }
    Some(attributes)
}
