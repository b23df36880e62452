//! Data points of each kind, at one time.

use crate::sketch::Sketch;
use crate::tensor;
use pannier_otlp_messages::{
    AnyValue, Buckets, CUMULATIVE, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, KeyValue, Metric, NumberDataPoint, Sum,
};

/// The times of all points of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points {
    pub(super) start_unix_ns: u64,
    pub(super) time_unix_ns: u64,
}

pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { string_value: Some(value.to_owned()), ..AnyValue::default() };
    KeyValue { key: key.to_owned(), value: Some(value) }
}

/// A metric without points says nothing.
pub(super) fn has_points(metric: &Metric) -> bool {
    let Metric { gauge, sum, histogram, exponential_histogram, .. } = metric;
    gauge.as_ref().is_some_and(|it| !it.data_points.is_empty())
        || sum.as_ref().is_some_and(|it| !it.data_points.is_empty())
        || histogram.as_ref().is_some_and(|it| !it.data_points.is_empty())
        || exponential_histogram.as_ref().is_some_and(|it| !it.data_points.is_empty())
}

impl Points {
    pub(super) fn gauge(
        &self,
        name: &str,
        unit: &str,
        description: &str,
        values: impl IntoIterator<Item = (f64, Vec<KeyValue>)>,
    ) -> Metric {
        // A gauge describes the window: it has no start.
        let point = |(value, attributes)| NumberDataPoint {
            time_unix_nano: self.time_unix_ns,
            as_double: Some(value),
            attributes,
            ..NumberDataPoint::default()
        };
        let gauge = Gauge { data_points: values.into_iter().map(point).collect() };
        Metric { gauge: Some(gauge), ..metric(name, unit, description) }
    }

    pub(super) fn sum(
        &self,
        name: &str,
        unit: &str,
        description: &str,
        counts: impl IntoIterator<Item = (u64, Vec<KeyValue>)>,
    ) -> Metric {
        let point = |(count, attributes)| NumberDataPoint {
            start_time_unix_nano: self.start_unix_ns,
            time_unix_nano: self.time_unix_ns,
            as_int: Some(i64::try_from(count).unwrap_or(i64::MAX)),
            attributes,
            ..NumberDataPoint::default()
        };
        let data_points = counts.into_iter().map(point).collect();
        let sum = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
        Metric { sum: Some(sum), ..metric(name, unit, description) }
    }

    pub(super) fn histograms<'h>(
        &self,
        name: &str,
        unit: &str,
        description: &str,
        histograms: impl IntoIterator<Item = (&'h tensor::Histogram, Vec<KeyValue>)>,
    ) -> Metric {
        let point = |(histogram, attributes): (&tensor::Histogram, _)| HistogramDataPoint {
            start_time_unix_nano: self.start_unix_ns,
            time_unix_nano: self.time_unix_ns,
            count: histogram.counts.iter().sum(),
            // The standard would leave it out where values may be negative; receivers that store histograms as
            // Prometheus does drop those without it.
            sum: Some(histogram.sum),
            bucket_counts: histogram.counts.clone(),
            explicit_bounds: histogram.edges.clone(),
            attributes,
            flags: 0,
        };
        let data_points = histograms.into_iter().map(point).collect();
        let histogram = Histogram { data_points, aggregation_temporality: CUMULATIVE };
        Metric { histogram: Some(histogram), ..metric(name, unit, description) }
    }

    /// Sketches of values of at least 0.
    pub(super) fn sketches<'s>(
        &self,
        name: &str,
        unit: &str,
        description: &str,
        sketches: impl IntoIterator<Item = (&'s Sketch, Vec<KeyValue>)>,
    ) -> Metric {
        let point = |(sketch, attributes): (&Sketch, _)| ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start_unix_ns,
            time_unix_nano: self.time_unix_ns,
            count: sketch.count(),
            sum: Some(sketch.sum()),
            scale: sketch.scale(),
            zero_count: sketch.zero(),
            positive: Some(Buckets {
                offset: sketch.positive().offset(),
                bucket_counts: sketch.positive().counts().to_vec(),
            }),
            min: sketch.min(),
            max: sketch.max(),
            ..ExponentialHistogramDataPoint::default()
        };
        let data_points = sketches.into_iter().map(point).collect();
        let histogram = ExponentialHistogram { data_points, aggregation_temporality: CUMULATIVE };
        Metric { exponential_histogram: Some(histogram), ..metric(name, unit, description) }
    }
}

fn metric(name: &str, unit: &str, description: &str) -> Metric {
    Metric { name: name.to_owned(), description: description.to_owned(), unit: unit.to_owned(), ..Metric::default() }
}
