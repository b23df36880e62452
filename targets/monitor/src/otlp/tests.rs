use super::*;
use crate::series::{Kind, Series};
use crate::simulate::{Device, Mood};
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000_000_000_000;
const LIMITS: Limits = Limits { latest_ns: NOW.cast_signed(), earliest_ns: NOW.cast_signed() - 1_000_000_000_000 };

/// What a simulated device says, decoded from one encoding.
fn said(json: bool) -> ExportMetricsServiceRequest {
    let payload = Device::new(5, NOW - 10_000_000_000).report(NOW, 10.0, Mood::default(), json, false);
    let encoding = Encoding::of(payload.content_type).expect("an encoding");
    encoding.decode(&payload.body, 10_000).expect("its own payload")
}

#[test]
fn both_encodings_say_the_same() {
    assert_eq!(said(true), said(false));
}

#[test]
fn a_payload_becomes_one_report() {
    let export = normalise(said(false), "north", LIMITS);
    assert_eq!(export.rejected.count(), 0, "{}", export.rejected.message());
    let [report] = &export.reports[..] else { panic!("{} reports", export.reports.len()) };
    assert_eq!((report.start_ns, report.time_ns), ((NOW - 10_000_000_000).cast_signed(), NOW.cast_signed()));
    assert_eq!(report.source.cohort().site, "Chiba");
    let kinds: std::collections::BTreeSet<Kind> =
        report.points.iter().map(|point| serde_json::from_str::<Series>(&point.series).expect("a key").kind).collect();
    assert_eq!(kinds.len(), 5, "every kind is in it: {kinds:?}");
}

#[test]
fn numbers_in_json_may_be_strings_or_numbers() {
    for (point, expected) in [
        (r#"{"timeUnixNano":"1799999999999999999","asInt":"7"}"#, Some(7.0)),
        (r#"{"timeUnixNano":1799999999999999999,"asInt":7,"unknownField":{}}"#, Some(7.0)),
        (r#"{"timeUnixNano":"1799999999999999999","asDouble":0.5}"#, Some(0.5)),
        (r#"{"timeUnixNano":"1799999999999999999","asDouble":"NaN"}"#, None),
    ] {
        let body = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"g","gauge":{{"dataPoints":[{point}]}}}}]}}]}}]}}"#
        );
        let request = Encoding::Json.decode(body.as_bytes(), 100).expect(point);
        let export = normalise(request, "f", LIMITS);
        let value = export.reports.first().map(|report| match &report.points[0].value {
            crate::value::Value::Gauge(gauge) => gauge.last,
            other => panic!("{other:?}"),
        });
        assert_eq!(value, expected, "{point}");
        assert_eq!(export.rejected.count(), u64::from(expected.is_none()), "{point}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_reason() {
    use pannier_otlp_messages as message;
    use pannier_otlp_messages::{Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Skipped, Sum, Summary};
    let time = NOW - 5;
    let number = NumberDataPoint { time_unix_nano: time, as_double: Some(1.0), ..Default::default() };
    let bins = HistogramDataPoint {
        time_unix_nano: time,
        count: 3,
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.0],
        ..Default::default()
    };
    let gauge =
        |point: NumberDataPoint| Metric { gauge: Some(Gauge { data_points: vec![point] }), ..Default::default() };
    let histogram = |point: HistogramDataPoint| Metric {
        histogram: Some(Histogram { data_points: vec![point], aggregation_temporality: message::CUMULATIVE }),
        ..Default::default()
    };
    let sum = |temporality| Metric {
        sum: Some(Sum { data_points: vec![number.clone()], aggregation_temporality: temporality, is_monotonic: true }),
        ..Default::default()
    };
    let many = vec![message::KeyValue { key: "k".to_owned(), value: None }; 65];
    let cases = [
        (gauge(number.clone()), None),
        (histogram(bins.clone()), None),
        (gauge(NumberDataPoint { time_unix_nano: NOW + 1, ..number.clone() }), Some(Reason::Future)),
        (gauge(NumberDataPoint { time_unix_nano: u64::MAX, ..number.clone() }), Some(Reason::Future)),
        (gauge(NumberDataPoint { time_unix_nano: 0, ..number.clone() }), Some(Reason::Past)),
        (gauge(NumberDataPoint { as_double: None, ..number.clone() }), Some(Reason::Inconsistent)),
        (gauge(NumberDataPoint { as_double: Some(f64::INFINITY), ..number.clone() }), Some(Reason::Inconsistent)),
        (gauge(NumberDataPoint { attributes: many, ..number.clone() }), Some(Reason::Limit)),
        (sum(message::CUMULATIVE), None),
        (sum(1), Some(Reason::Temporality)),
        (histogram(HistogramDataPoint { count: 4, ..bins.clone() }), Some(Reason::Inconsistent)),
        (histogram(HistogramDataPoint { explicit_bounds: vec![], ..bins.clone() }), Some(Reason::Inconsistent)),
        (histogram(HistogramDataPoint { explicit_bounds: vec![f64::NAN], ..bins }), Some(Reason::Inconsistent)),
        (Metric { summary: Some(Summary { data_points: vec![Skipped {}] }), ..Default::default() }, Some(Reason::Kind)),
    ];
    for (metric, expected) in cases {
        let metric = Metric { name: "m".to_owned(), ..metric };
        let scope = message::ScopeMetrics { scope: None, metrics: vec![metric.clone()] };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![message::ResourceMetrics { resource: None, scope_metrics: vec![scope] }],
        };
        let export = normalise(request, "f", LIMITS);
        let reasons: Vec<(Reason, u64)> = export.rejected.iter().collect();
        assert_eq!(reasons, expected.map(|reason| (reason, 1)).into_iter().collect::<Vec<_>>(), "{metric:?}");
        assert_eq!(export.reports.len(), usize::from(expected.is_none()), "{metric:?}");
    }
}

#[test]
fn a_body_of_too_many_objects_is_refused_before_they_are_made() {
    // 2 bytes each on the wire, 200 in memory.
    let body = [0x0a, 0x00].repeat(1_000_000);
    assert!(matches!(Encoding::Protobuf.decode(&body, 200_000), Err(Error::TooLarge { .. })));
    let body = format!(r#"{{"resourceMetrics":[{}{{}}]}}"#, "{},".repeat(300_000));
    assert!(matches!(Encoding::Json.decode(body.as_bytes(), 200_000), Err(Error::TooLarge { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..256), at in any::<prop::sample::Index>(), json in any::<bool>()) {
        let payload = Device::new(1, 1).report(NOW, 1.0, Mood::default(), json, false);
        let mut body = payload.body;
        let at = at.index(body.len());
        let end = (at + bytes.len()).min(body.len());
        body.splice(at..end, bytes);
        let encoding = if json { Encoding::Json } else { Encoding::Protobuf };
        if let Ok(request) = encoding.decode(&body, 10_000) {
            let _ = normalise(request, "f", LIMITS);
        }
    }
}
