use super::*;
use crate::recorder::tests::{about, manifest, run};
use crate::{Recorder, Run};
use pannier_bundle::Code;
use std::collections::BTreeMap;
use std::time::Duration;

fn export() -> Export {
    let recorder = Recorder::new(&manifest(), &[], None, about());
    let long =
        Run { duration: Some(Duration::from_secs(1)), queue: Some(Duration::ZERO), peak_memory_bytes: Some(&|| 4096) };
    run(&recorder, &long, &[0.5, 0.25, 3.0, f32::NAN], &[0.1, 0.2, 0.7]);
    recorder.installed_at(100);
    recorder.failed(&long, Code::Deadline);
    Export {
        resource: vec![("service.name".into(), "line 4".into())],
        time_unix_ns: 160_000_000_000,
        sessions: vec![Session { start_unix_ns: 100_000_000_000, snapshot: recorder.close_window() }],
        delivery: Some(DeliveryCounts { start_unix_ns: 90_000_000_000, failed: 3, ..DeliveryCounts::default() }),
    }
}

/// Name, unit and number of points of each metric.
fn summary(request: &ExportMetricsServiceRequest) -> BTreeMap<&str, (&str, usize)> {
    let metrics = request.resource_metrics.iter().flat_map(|it| &it.scope_metrics).flat_map(|it| &it.metrics);
    let points = |metric: &Metric| {
        let numbers = [metric.gauge.as_ref().map(|it| &it.data_points), metric.sum.as_ref().map(|it| &it.data_points)];
        let counts = numbers.map(|points| points.map(Vec::len)).into_iter();
        let histogram = metric.histogram.as_ref().map(|it| it.data_points.len());
        let exponential = metric.exponential_histogram.as_ref().map(|it| it.data_points.len());
        let kinds: Vec<usize> = counts.chain([histogram, exponential]).flatten().collect();
        assert_eq!(kinds.len(), 1, "{} is of one kind", metric.name);
        kinds[0]
    };
    metrics.map(|metric| (&*metric.name, (&*metric.unit, points(metric)))).collect()
}

#[test]
fn metrics_have_their_names_units_and_points() {
    let request = export().request();
    let expected = BTreeMap::from([
        ("pannier.inference.duration", ("s", 2)),
        ("pannier.inference.queue.duration", ("s", 1)),
        ("pannier.model.load.duration", ("s", 1)),
        ("pannier.memory.peak", ("By", 1)),
        ("pannier.bundle.age", ("s", 1)),
        ("pannier.tensor.values", ("1", 3)),
        ("pannier.tensor.invalid", ("{element}", 2)),
        ("pannier.tensor.min", ("1", 3)),
        ("pannier.tensor.max", ("1", 3)),
        ("pannier.tensor.mean", ("1", 3)),
        ("pannier.tensor.quantile", ("1", 15)),
        ("pannier.output.class", ("{prediction}", 1)),
        ("pannier.output.confidence", ("1", 1)),
        ("pannier.telemetry.dropped", ("{export}", 3)),
        ("pannier.telemetry.failed", ("{attempt}", 1)),
        ("pannier.telemetry.spool.size", ("By", 1)),
    ]);
    assert_eq!(summary(&request), expected);
}

#[test]
fn sums_have_their_start_and_gauges_their_window() {
    let request = export().request();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let of = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().clone();
    let durations = of("pannier.inference.duration").exponential_histogram.unwrap();
    let point = &durations.data_points[1];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (100_000_000_000, 160_000_000_000));
    let attributes: Vec<_> =
        point.attributes.iter().map(|it| (&*it.key, it.value.clone().unwrap().string_value.unwrap())).collect();
    assert_eq!(attributes, [("pannier.engine", "executor".into()), ("error.type", "E_DEADLINE".into())]);
    let age = of("pannier.bundle.age").gauge.unwrap();
    assert_eq!(age.data_points[0].as_double, Some(60.0));
    assert_eq!(age.data_points[0].start_time_unix_nano, 0);
    let failed = of("pannier.telemetry.failed").sum.unwrap();
    assert_eq!((failed.data_points[0].start_time_unix_nano, failed.is_monotonic), (90_000_000_000, true));
}

#[test]
fn what_the_operator_names_stands_before_what_is_known() {
    let mut export = export();
    export.resource.push(("pannier.model.name".into(), "renamed".into()));
    let resource = export.request().resource_metrics.remove(0).resource.unwrap();
    let values: Vec<_> = resource.attributes.iter().filter(|it| it.key == "pannier.model.name").collect();
    assert_eq!(values.len(), 1);
    assert_eq!(values[0].value.clone().unwrap().string_value.as_deref(), Some("renamed"));
}

#[test]
fn json_is_as_the_specification_says() {
    let json = serde_json::to_value(export().request()).unwrap();
    let metrics = json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
    let of = |name: &str| metrics.iter().find(|metric| metric["name"] == name).unwrap().clone();
    let duration = of("pannier.inference.duration");
    assert_eq!(duration["exponentialHistogram"]["aggregationTemporality"], 2, "enums are numbers");
    let point = &duration["exponentialHistogram"]["dataPoints"][0];
    assert_eq!(point["timeUnixNano"], "160000000000", "64-bit integers are texts");
    assert_eq!(point["positive"]["bucketCounts"][0], "1");
    assert!(point["scale"].is_number());
    assert_eq!(of("pannier.telemetry.failed")["sum"]["dataPoints"][0]["asInt"], "3");
    assert_eq!(of("pannier.memory.peak")["gauge"]["dataPoints"][0]["asDouble"], 4096.0);
    assert_eq!(point["attributes"][0]["value"]["stringValue"], "executor");
}

#[test]
fn protobuf_comes_back_as_it_went() {
    let request = export().request();
    let bytes = request.encode_to_vec();
    assert_eq!(ExportMetricsServiceRequest::decode(&*bytes), Ok(request));
}
