//! `/v1/metrics`: what is taken, what is refused, and how both are said.

use crate::support::{Server, eventually, now_ns, payload};
use pannier_monitor::simulate::{Device, Mood, Payload};
use pannier_monitor::{Config, Error, Monitor, Role, add_token};

#[test]
fn both_encodings_and_gzip_are_taken_and_answered_in_kind() {
    let server = Server::start();
    let mut runs = 0;
    for (number, (json, gzip)) in [(false, false), (false, true), (true, false), (true, true)].into_iter().enumerate() {
        let mut device = Device::new(u32::try_from(number).expect("small"), now_ns() - 1_000_000_000);
        let answer = server.client().post(&device.report(now_ns(), 10.0, Mood::default(), json, gzip));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kind = if json { "application/json" } else { "application/x-protobuf" };
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
        assert_eq!(answer.body, if json { &b"{}"[..] } else { b"" }, "all of it was taken");
        runs += device.runs();
    }
    assert_eq!(server.client().runs(), runs);
}

#[test]
fn a_part_that_is_not_taken_is_said_and_the_rest_is_kept() {
    let server = Server::start();
    let point = |time: u64, name: &str| {
        format!(r#"{{"name":"{name}","gauge":{{"dataPoints":[{{"timeUnixNano":"{time}","asDouble":1}}]}}}}"#)
    };
    let day = 86_400_000_000_000;
    let metrics =
        [point(now_ns(), "good"), point(now_ns() + day, "ahead"), point(now_ns() - 400 * day, "old")].join(",");
    let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#);
    let answer =
        server.client().post(&Payload { body: body.into_bytes(), content_type: "application/json", gzip: false });
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "2");
    let message = partial["errorMessage"].as_str().expect("a message");
    assert!(message.contains("1 lie in the future") && message.contains("1 are older"), "{message}");
    let text = server.client().get("/metrics").text();
    for line in [
        "pannier_monitor_points_stored_total 1",
        "points_rejected_total{reason=\"future\"} 1",
        "points_rejected_total{reason=\"past\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn what_is_refused_is_refused_with_a_status_and_advice() {
    let server = Server::with(|config| config.max_body_bytes = 10_000);
    let client = server.client();
    let good = payload(1).1.body;
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let cases: [Case; 8] = [
        ("no type", &[], &good, 415, "E_USAGE"),
        ("a wrong type", &[("content-type", "text/plain")], &good, 415, "E_USAGE"),
        (
            "a wrong encoding",
            &[("content-type", "application/json"), ("content-encoding", "br")],
            &good,
            415,
            "E_USAGE",
        ),
        (
            "gzip that is none",
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            b"{}",
            400,
            "E_INVALID_CONTENT",
        ),
        ("garbage", &[("content-type", "application/json")], b"\xff\x00garbage", 400, "E_INVALID_CONTENT"),
        ("half of it", &[("content-type", "application/json")], b"{\"resourceMetrics\":[{", 400, "E_INVALID_CONTENT"),
        ("too much", &[("content-type", "application/json")], &[b' '; 10_001], 413, "E_LIMIT"),
        (
            "a foreign name",
            &[("content-type", "application/json"), ("host", "evil.example")],
            b"{}",
            403,
            "E_UNAUTHORIZED",
        ),
    ];
    for (what, headers, body, status, code) in cases {
        let answer = client.send("POST", "/v1/metrics", headers, body).expect(what);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let message = answer.json()["message"].as_str().expect("a google.rpc.Status").to_owned();
        assert!(message.starts_with(code), "{what}: {message}");
    }
    assert_eq!(client.send("GET", "/v1/metrics", &[], b"").expect("an answer").status, 405);
    assert_eq!(client.post(&payload(1).1).status, 200, "and it still takes what is right");
}

#[test]
fn pages_may_send() {
    let server = Server::start();
    let headers = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let answer = server.client().send("OPTIONS", "/v1/metrics", &headers, b"").expect("an answer");
    assert_eq!(answer.status, 204);
    for header in ["access-control-allow-origin: *", "content-encoding", "authorization"] {
        assert!(answer.head.contains(header), "{}", answer.head);
    }
    assert!(server.client().post(&payload(1).1).head.contains("access-control-allow-origin: *"));
    assert!(!server.client().get("/api/v1/status").head.contains("access-control"), "but not read");
}

#[test]
fn tokens_decide_who_sends_and_who_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.toml");
    let (fleet, _) = add_token(&path, Role::Fleet("north".to_owned()), 0).expect("a token");
    let server = Server::in_folder(folder, |_| {});
    let client = server.client();
    assert_eq!(client.post(&payload(1).1).status, 401);
    assert_eq!(client.with_token("pmf_wrong").post(&payload(1).1).status, 401);
    assert_eq!(client.with_token(&fleet).post(&payload(1).1).status, 200);
    assert_eq!(client.get("/api/v1/devices").json()["devices"][0]["fleet"], "north");

    // A running monitor learns of new tokens.
    let (operator, _) = add_token(&path, Role::Operator("anna".to_owned()), 0).expect("a token");
    eventually("the operator's token takes effect", || client.get("/api/v1/status").status == 401);
    for path in ["/api/v1/overview", "/api/v1/devices", "/api/v1/audit", "/api/v1/alerts", "/metrics"] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("E_UNAUTHORIZED")), "{path}");
        assert_eq!(client.with_token(&fleet).get(path).status, 401, "{path} with a fleet's token");
        assert_eq!(client.with_token(&operator).get(path).status, 200, "{path}");
    }
    assert_eq!(client.with_token(&operator).post(&payload(1).1).status, 401, "an operator's token does not send");
    assert_eq!(client.get("/").status, 200, "the page asks for the token itself");
}

#[test]
fn without_tokens_it_is_for_this_machine_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { listen: ([0, 0, 0, 0], 0).into(), ..Config::new(folder.path().to_owned()) };
    assert!(matches!(Monitor::start(config).err(), Some(Error::Usage { .. })));
}

#[test]
fn a_day_of_spool_arrives_at_once() {
    let server = Server::start();
    let minute = 60_000_000_000;
    let begin = now_ns() - 24 * 60 * minute;
    let mut device = Device::new(2, begin);
    // What is new comes first, as from a device that sends what it has and then what it had kept.
    let mut spool: Vec<Payload> =
        (1..=288).map(|at| device.report(begin + at * 5 * minute, 300.0, Mood::default(), false, true)).collect();
    let newest = spool.pop().expect("many");
    assert_eq!(server.client().post(&newest).status, 200);
    for payload in spool.iter().chain([&newest]) {
        assert_eq!(server.client().post(payload).status, 200);
    }
    assert_eq!(server.client().runs(), device.runs());
    let path = format!("/api/v1/timeline?from_ms={}&to_ms={}", begin / 1_000_000, now_ns() / 1_000_000);
    let timeline = server.client().get(&path).json();
    let runs: Vec<u64> =
        timeline["runs"].as_array().expect("runs").iter().map(|runs| runs.as_u64().expect("a number")).collect();
    let (most, all) = (runs.iter().max().expect("some"), runs.iter().sum::<u64>());
    assert!(all == device.runs() && *most < all / 20, "no step got what belongs to others: {runs:?}");
}
