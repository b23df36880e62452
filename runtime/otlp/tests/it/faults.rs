//! Receivers that are away, that flap, that ask for patience, that take half.

use crate::receiver::{Answer, Receiver};
use crate::session::{attribute, config, counter, payload, receiver_config, recorder, run, runs};
use pannier_otlp::{Compression, Exporter, Protocol};
use pannier_telemetry::otlp::Message;
use pannier_telemetry::otlp::messages::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use std::time::Duration;

fn status(status: u16) -> Answer {
    Answer(status, "", Vec::new())
}

#[test]
fn windows_arrive_as_the_protocol_wants_them() {
    let receiver = Receiver::start([]);
    let spool = tempfile::tempdir().unwrap();
    let mut config = receiver_config(&receiver, Some(spool.path()));
    config.headers.push(("authorization".into(), "Bearer abc".into()));
    config.resource.push(("pannier.site".into(), "Halle 4".into()));
    let (exporter, recorder) = (Exporter::start(&config), recorder());
    exporter.watch(recorder.clone());
    run(&recorder);
    exporter.flush();
    run(&recorder);
    assert_eq!(exporter.shutdown().spool_bytes, 0);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "one each window");
    for request in &requests {
        assert_eq!(request.line, "POST /v1/metrics");
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        assert_eq!(request.header("authorization"), Some("Bearer abc"));
    }
    let [first, second] = [0, 1].map(|index| payload(&requests[index]));
    let (one, two) = (runs(&first), runs(&second));
    assert_eq!((one.0, two.0), (1, 2), "counts are cumulative");
    assert!(one.1 == two.1 && one.1 <= one.2 && one.2 < two.2, "{one:?} {two:?}");
    assert_eq!(attribute(&first, "pannier.site").as_deref(), Some("Halle 4"));
    assert_eq!(attribute(&first, "service.name").as_deref(), Some("pannier"));
    assert_eq!(attribute(&first, "pannier.model.name").as_deref(), Some("scale"));

    // The next process is the same device.
    let exporter = Exporter::start(&config);
    exporter.watch(recorder.clone());
    exporter.shutdown();
    let again = payload(&receiver.requests()[2]);
    assert_eq!(attribute(&again, "service.instance.id"), attribute(&first, "service.instance.id"));
}

#[test]
fn json_is_sent_where_it_is_asked_for() {
    let receiver = Receiver::start([]);
    let mut config = receiver_config(&receiver, None);
    (config.protocol, config.compression) = (Protocol::Json, Compression::None);
    let (exporter, recorder) = (Exporter::start(&config), recorder());
    exporter.watch(recorder.clone());
    run(&recorder);
    exporter.shutdown();
    let request = &receiver.requests()[0];
    assert_eq!((request.header("content-type"), request.header("content-encoding")), (Some("application/json"), None));
    let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let metric = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!(metric["name"], "pannier.inference.duration");
    assert_eq!(metric["exponentialHistogram"]["dataPoints"][0]["count"], "1");
}

#[test]
fn what_a_receiver_that_is_away_misses_it_gets_later_from_another_process() {
    let spool = tempfile::tempdir().unwrap();
    // Nobody listens on the port of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config_of = |url: &str| config(url, Some(spool.path()));
    let exporter = Exporter::start(&config_of(&format!("http://{gone}")));
    let recorder = recorder();
    exporter.watch(recorder.clone());
    for _ in 0..5 {
        run(&recorder);
        exporter.flush();
    }
    let counts = exporter.shutdown();
    assert!(counts.failed >= 1 && counts.spool_bytes > 0 && counts.rejected == 0, "{counts:?}");

    let receiver = Receiver::start([]);
    let exporter = Exporter::start(&config_of(&receiver.url));
    let requests = receiver.wait_for(6);
    exporter.shutdown();
    let counted: Vec<u64> = requests.iter().map(|request| runs(&payload(request)).0).collect();
    // The last window had no run of its own; those before come in their order.
    assert_eq!(counted, [1, 2, 3, 4, 5, 5]);
}

#[test]
fn a_flapping_receiver_gets_everything_once_and_in_order() {
    let receiver = Receiver::start([status(503), status(0), status(200), status(502), status(504)]);
    let spool = tempfile::tempdir().unwrap();
    let (exporter, recorder) = (Exporter::start(&receiver_config(&receiver, Some(spool.path()))), recorder());
    exporter.watch(recorder.clone());
    for _ in 0..3 {
        run(&recorder);
        exporter.flush();
    }
    let requests = receiver.wait_for(3);
    let counts = exporter.counts();
    let taken: Vec<u64> = requests.iter().filter(|it| it.taken).map(|it| runs(&payload(it)).0).collect();
    assert_eq!(taken, [1, 2, 3]);
    assert!(counts.rejected == 0 && counts.failed >= 3, "{counts:?}");
    run(&recorder);
    exporter.shutdown();
    let last = payload(receiver.requests().last().unwrap());
    assert_eq!(counter(&last, "pannier.telemetry.failed"), 4, "the exporter tells of its failures");
}

#[test]
fn retry_after_is_respected() {
    let receiver = Receiver::start([Answer(429, "retry-after: 3\r\n", Vec::new())]);
    let (exporter, recorder) = (Exporter::start(&receiver_config(&receiver, None)), recorder());
    exporter.watch(recorder.clone());
    run(&recorder);
    exporter.flush();
    let requests = receiver.wait_for(1);
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    exporter.shutdown();
}

#[test]
fn what_is_refused_for_good_is_dropped_and_counted() {
    let receiver = Receiver::start([status(400), status(401), status(413), status(200)]);
    let (exporter, recorder) = (Exporter::start(&receiver_config(&receiver, None)), recorder());
    exporter.watch(recorder.clone());
    for _ in 0..4 {
        run(&recorder);
        exporter.flush();
    }
    let counts = exporter.shutdown();
    assert_eq!((counts.rejected, counts.failed, counts.spool_bytes), (3, 3, 0));
    let last = receiver.requests().iter().find(|request| request.taken).map(payload).unwrap();
    assert_eq!(runs(&last).0, 4, "and the counts of the lost windows are in the next");
    assert_eq!(counter(&last, "pannier.telemetry.dropped"), 3);
}

#[test]
fn a_partial_success_is_counted_and_not_sent_again() {
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "too old".into() };
    let protobuf = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let json = br#"{"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "too old"}}"#.to_vec();
    for (kind, body, rejected) in [
        ("content-type: application/x-protobuf\r\n", protobuf, 1),
        ("content-type: application/json\r\n", json, 1),
        ("content-type: text/html\r\n", b"<html>".to_vec(), 0),
    ] {
        let receiver = Receiver::start([Answer(200, kind, body)]);
        let (exporter, recorder) = (Exporter::start(&receiver_config(&receiver, None)), recorder());
        exporter.watch(recorder.clone());
        run(&recorder);
        let counts = exporter.shutdown();
        assert_eq!((counts.rejected, counts.failed, receiver.requests().len()), (rejected, 0, 1), "{kind}");
    }
}

#[test]
fn a_full_spool_drops_the_oldest_and_tells_so() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spool = tempfile::tempdir().unwrap();
    let mut config = config(&format!("http://{gone}"), Some(spool.path()));
    config.spool_bytes = 8 << 10;
    let (exporter, recorder) = (Exporter::start(&config), recorder());
    exporter.watch(recorder.clone());
    for _ in 0..30 {
        run(&recorder);
        exporter.flush();
    }
    let counts = exporter.shutdown();
    assert!(counts.spool_full > 10 && counts.spool_bytes <= 8 << 10, "{counts:?}");
    let receiver = Receiver::start([]);
    config.url = format!("{}/v1/metrics", receiver.url);
    let exporter = Exporter::start(&config);
    let requests = receiver.wait_for(1);
    exporter.shutdown();
    assert!(runs(&payload(&requests[0])).0 > 10, "the oldest are gone");
    let last = payload(receiver.requests().last().unwrap());
    assert!(counter(&last, "pannier.telemetry.dropped") > 10);
}
