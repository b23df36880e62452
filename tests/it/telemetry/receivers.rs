//! What independent receivers make of what the `packager` command sends.

use super::receiver::Receiver;
use crate::browser::{self, fixtures};
use crate::support::npz::cases;
use crate::support::packager::packager_command;
use crate::support::{model, packager, project_root, python, sandbox, temp_dir};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of magika in its evaluation.
fn runs() -> u64 {
    cases(&model("magika").join("evaluation.npz"), usize::MAX).len() as u64
}

/// A folder with a bundle of magika that has labels and a baseline.
fn folder() -> tempfile::TempDir {
    let folder = temp_dir();
    let example = project_root().join("docs/examples/magika");
    let copy =
        |from: &Path, name: &str| std::fs::copy(from.join(name), folder.path().join(name)).expect("it is copied");
    copy(&example, "packager.toml");
    for name in ["model.onnx", "labels.json", "calibration.npz", "evaluation.npz"] {
        copy(&model("magika"), name);
    }
    let build = ["build", "--calibrate", "calibration.npz", "-o", "magika.pannier"];
    packager(folder.path(), build).expect(0);
    let inspected = packager(folder.path(), ["inspect", "magika.pannier", "--allow-unsigned"]).expect(0);
    assert!(inspected.stdout.contains("baseline"), "inspect says that there is a baseline: {}", inspected.stdout);
    packager(folder.path(), ["verify", "magika.pannier", "--allow-unsigned", "--rebuild", "model.onnx"]).expect(0);
    folder
}

/// Runs the evaluation and sends what it was to `url`.
fn run(folder: &Path, url: &str, options: &[&str], variables: &[(&str, &str)]) {
    let mut command = packager_command(folder);
    command.args(["run", "magika.pannier", "evaluation.npz", "--allow-unsigned", "--telemetry", url]).args(options);
    command.env_remove("DO_NOT_TRACK").env("XDG_STATE_HOME", folder).envs(variables.iter().copied());
    let output = command.output().expect("packager starts");
    assert!(output.status.success(), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("warning"), "{errors}");
}

/// Runs the evaluation in a page, and writes what it sends to a file.
fn run_in_browser(folder: &Path, payload: &str) {
    browser::no_fixtures(folder);
    let cases = cases(&model("magika").join("evaluation.npz"), usize::MAX);
    let inputs: Value = cases.iter().map(|case| fixtures::named(&case.inputs)).collect();
    let mut command = browser::script("observed.mjs", folder, folder);
    command.arg("magika.pannier").arg(folder.join(payload)).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Node starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(inputs.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What OpenTelemetry's package for Python reads in these files.
fn decoded(folder: &Path, files: &[&str]) -> Vec<Value> {
    let script = project_root().join("tests/it/telemetry/decode.py");
    let output = Command::new(python()).arg(script).args(files).current_dir(folder).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it writes JSON")
}

fn total(session: &Value, metric: &str) -> u64 {
    session["metrics"][metric]["total"].as_f64().unwrap_or_else(|| panic!("no {metric} in {session}")) as u64
}

#[test]
fn every_target_tells_the_same_and_opentelemetry_reads_it() {
    sandbox::fast();
    let (folder, receiver) = (folder(), Receiver::start([]));
    let json = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    run(folder.path(), &receiver.url, &[], &[]);
    run(folder.path(), &receiver.url, &[], &[json, ("OTEL_SERVICE_NAME", "sorter")]);
    run(folder.path(), &receiver.url, &["--sandbox"], &[]);
    let shown = packager(folder.path(), ["telemetry", "show", "magika.pannier", "evaluation.npz", "--allow-unsigned"]);
    let shown = shown.expect(0).stdout;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    let names = ["native.pb", "native.json", "sandbox.pb", "shown.json", "browser.pb"];
    let contents = requests.iter().map(|request| request.content()).chain([shown.into_bytes()]);
    for (name, content) in names.iter().zip(contents) {
        std::fs::write(folder.path().join(name), content).expect("it is written");
    }
    run_in_browser(folder.path(), "browser.pb");
    let sessions = decoded(folder.path(), &names);
    let kinds = |session: &Value| -> BTreeMap<String, (Value, Value)> {
        let metrics = session["metrics"].as_object().expect("metrics");
        let of = |(name, it): (&String, &Value)| (name.clone(), (it["kind"].clone(), it["unit"].clone()));
        // How sending goes is no matter of what would be sent.
        metrics.iter().filter(|(name, _)| !name.starts_with("pannier.telemetry.")).map(of).collect()
    };
    for (name, session) in names.iter().zip(&sessions) {
        assert_eq!(kinds(session), kinds(&sessions[0]), "{name}: the same metrics");
        assert_eq!(total(session, "pannier.inference.duration"), runs(), "{name}");
        assert_eq!(total(session, "pannier.output.class"), total(session, "pannier.output.confidence"), "{name}");
        assert!(total(session, "pannier.tensor.values") > 10_000, "{name}: {session}");
        assert!(total(session, "pannier.drift.samples") > 0, "{name}");
        assert_eq!(session["resource"]["pannier.model.name"], "magika", "{name}");
        assert_eq!(session["resource"]["pannier.bundle.id"], sessions[0]["resource"]["pannier.bundle.id"], "{name}");
        println!("{name}: {}", serde_json::to_string(&session["metrics"]).expect("it was JSON"));
    }
    let resource = |index: usize, key: &str| sessions[index]["resource"][key].clone();
    let targets = [0, 2, 3, 4].map(|index| resource(index, "pannier.target"));
    assert_eq!(targets, ["native", "wasmtime", "native", "browser"]);
    assert_eq!([resource(0, "service.name"), resource(1, "service.name")], ["pannier", "sorter"]);
    assert_eq!(resource(0, "service.instance.id"), resource(2, "service.instance.id"), "one device");
}

#[test]
fn who_wants_no_telemetry_sends_none() {
    let (folder, receiver) = (folder(), Receiver::start([]));
    run(folder.path(), &receiver.url, &[], &[("DO_NOT_TRACK", "1")]);
    run(folder.path(), &receiver.url, &[], &[("OTEL_SDK_DISABLED", "true")]);
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str())];
    let mut command = packager_command(folder.path());
    command.args(["run", "magika.pannier", "evaluation.npz", "--allow-unsigned"]).envs(endpoint);
    assert!(command.output().expect("packager starts").status.success());
    assert_eq!(receiver.requests().len(), 0);
}

/// A real VictoriaMetrics, which goes away with this value.
struct Victoria {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Victoria {
    fn start(program: &str) -> Victoria {
        let folder = temp_dir();
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("a free port").to_string();
        let process = Command::new(program)
            .arg(format!("-storageDataPath={}", folder.path().join("data").display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-search.latencyOffset=0s", "-loggerLevel=ERROR"])
            .stderr(Stdio::null())
            .spawn()
            .expect("VictoriaMetrics starts");
        let victoria = Victoria { process, url: format!("http://{address}"), _folder: folder };
        let begun = Instant::now();
        while victoria.get("/health").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "VictoriaMetrics does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        victoria
    }

    fn get(&self, path: &str) -> Option<String> {
        let script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())";
        let url = format!("{}{path}", self.url);
        let output = Command::new(python()).args(["-c", script, &url]).output().expect("Python starts");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The value of a series by its name, all its labels together.
    fn sum(&self, name: &str, labels: &str) -> f64 {
        let query = format!("sum({{__name__=\"{name}\"{labels}}})");
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={query}")).expect("it answers");
        let answer: Value = serde_json::from_str(&answer).expect("it answers in JSON");
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}{labels}: {answer}"))
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs VictoriaMetrics: cargo xtask test --all"]
fn victoria_metrics_has_what_was_sent() {
    let program = std::env::var("PANNIER_VICTORIA").expect("`cargo xtask test --all` says where VictoriaMetrics is");
    let (folder, victoria) = (folder(), Victoria::start(&program));
    let url = format!("{}/opentelemetry", victoria.url);
    run(folder.path(), &url, &[], &[("OTEL_RESOURCE_ATTRIBUTES", "pannier.site=Halle%204")]);
    victoria.get("/internal/force_flush").expect("it flushes");
    let shown = packager(folder.path(), ["telemetry", "show", "magika.pannier", "evaluation.npz", "--allow-unsigned"]);
    std::fs::write(folder.path().join("shown.json"), shown.expect(0).stdout).expect("it is written");
    let shown = &decoded(folder.path(), &["shown.json"])[0];
    let site = ",pannier.site=\"Halle 4\",pannier.model.name=\"magika\"";
    let site = site.replace("pannier.site", "\"pannier.site\"").replace("pannier.model.name", "\"pannier.model.name\"");
    for (series, metric) in [
        ("pannier.inference.duration_count", "pannier.inference.duration"),
        ("pannier.tensor.baseline_count", "pannier.tensor.baseline"),
        ("pannier.output.confidence_count", "pannier.output.confidence"),
        ("pannier.output.class", "pannier.output.class"),
    ] {
        assert_eq!(victoria.sum(series, &site) as u64, total(shown, metric), "{series}");
    }
    assert_eq!(victoria.sum("pannier.inference.duration_count", "") as u64, runs());
    let load_s = victoria.sum("pannier.model.load.duration", &site);
    assert!(load_s > 0.0 && load_s < 600.0, "{load_s}");
    let p99 = ",\"pannier.quantile\"=\"0.99\",\"pannier.tensor.name\"=\"bytes\"";
    assert!((0.0..=256.0).contains(&victoria.sum("pannier.tensor.quantile", p99)));
}
