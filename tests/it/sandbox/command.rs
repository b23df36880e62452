//! The command with `--sandbox`: the same refusals with the same codes, limits, Ctrl-C.

use crate::cli::fixture::{folder, path};
use crate::support::packager::{packager, packager_command};
use crate::support::{Failures, Onnx, sandbox, temp_dir};
use pannier::DType::F32;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `error[E_CODE]` in the last line that is an error's.
fn code(stderr: &str) -> String {
    let line = stderr.lines().find(|line| line.starts_with("error[")).unwrap_or_default();
    line.split(']').next().unwrap_or_default().to_owned()
}

#[test]
fn what_is_refused_natively_is_refused_in_the_sandbox_with_the_same_code() {
    sandbox::fast();
    let folder = folder();
    let mut file = std::fs::read(path(&folder, "model.pannier")).expect("it is there");
    *file.last_mut().expect("it is not empty") ^= 1;
    std::fs::write(path(&folder, "damaged.pannier"), &file).expect("a file can be written");
    file.truncate(200);
    std::fs::write(path(&folder, "cut.pannier"), &file).expect("a file can be written");
    let newer = std::fs::read_to_string(path(&folder, "policy.toml")).expect("it is there");
    let newer = newer.replace("[roles]", "[minimum_version]\n\"*\" = \"9.0.0\"\n\n[roles]");
    std::fs::write(path(&folder, "newer.toml"), newer).expect("a file can be written");

    let table = [
        ("run model.pannier notes.txt --key publisher.pub", 0),
        ("run model.pannier notes.txt --policy policy.toml", 0),
        ("run unsigned.pannier notes.txt --allow-unsigned", 0),
        ("run model.pannier notes.txt", 2),
        ("run nowhere.pannier notes.txt --key publisher.pub", 3),
        ("run model.pannier nowhere.txt --key publisher.pub", 3),
        ("run unsigned.pannier notes.txt --key publisher.pub", 10),
        ("run model.pannier notes.txt --key stranger.pub", 11),
        ("run model.pannier notes.txt --policy strict.toml", 11),
        ("run model.pannier notes.txt --policy newer.toml", 11),
        ("run damaged.pannier notes.txt --key publisher.pub", 13),
        ("run cut.pannier notes.txt --key publisher.pub", 13),
        ("run notes.txt notes.txt --key publisher.pub", 13),
        ("run model.pannier notes.txt --key publisher.pub --max-memory 10B", 22),
        ("run model.pannier notes.txt --key publisher.pub --max-memory many", 2),
        ("run model.pannier notes.txt --key publisher.pub --timeout 3", 2),
        ("bench unsigned.pannier notes.txt --key publisher.pub", 10),
        ("bench model.pannier notes.txt --key publisher.pub -o out.npz", 2),
    ];
    let mut failures = Failures::default();
    for (line, status) in table {
        failures.check(line, || {
            let native = packager(folder.path(), line.split_whitespace());
            let sandboxed = packager(folder.path(), line.split_whitespace().chain(["--sandbox"]));
            if (native.status, code(&native.stderr)) != (Some(status), code(&sandboxed.stderr)) {
                return Err(format!("expected {status}, natively {native:?}, in the sandbox {sandboxed:?}"));
            }
            match sandboxed.status == native.status {
                true => Ok(()),
                false => Err(format!("natively {native:?}, in the sandbox {sandboxed:?}")),
            }
        });
    }
    failures.assert_none();
}

#[test]
fn deterministic_mode_gives_the_same_bits_natively_and_in_the_sandbox() {
    sandbox::deterministic();
    let folder = folder();
    let run = |flags: &str| {
        let line = format!("run model.pannier notes.txt --key publisher.pub --json {flags}");
        packager(folder.path(), line.split_whitespace())
    };
    let native = run("--deterministic").expect(0).json();
    let document = run("--sandbox --deterministic").expect(0).json();
    let answers = |document: &serde_json::Value| document["files"][0]["runs"][0]["answers"].clone();
    assert_eq!(answers(&document), answers(&native));
    assert_eq!((&document["deterministic"], &native["deterministic"]), (&true.into(), &true.into()));
    assert_eq!(document["flavour"], "simd128", "relaxed SIMD is not the same everywhere");
    assert_eq!(run("--sandbox").expect(0).json()["deterministic"], false);
    assert_eq!(run("").expect(0).json()["deterministic"], false);
}

#[test]
fn bench_says_what_it_measured() {
    sandbox::fast();
    let folder = folder();
    let line = "bench model.pannier cases.npz --runs 20 --key publisher.pub --sandbox";
    let document = packager(folder.path(), line.split_whitespace().chain(["--json"])).expect(0).json();
    let median = |times: &str| document[times]["median"].as_f64().expect("a time");
    assert!(median("instance_ms") > 0.0, "{document}");
    assert!(median("latency_ms") > median("instance_ms"), "a run includes a fresh instance: {document}");
    let text = packager(folder.path(), line.split_whitespace()).expect(0).stdout;
    for part in ["executor in the sandbox (", "each in a fresh instance", "until one is ready", "shared by all"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

/// A model that multiplies a matrix with itself a hundred times, as `slow.pannier`, and a large matrix, as `x.npy`.
fn slow_model(folder: &std::path::Path) {
    let mut model = Onnx::new(17).input("x", F32, "n,n");
    let mut before = "x".to_owned();
    for index in 0..100 {
        let after = format!("v{index}");
        model = model.node("MatMul", &[&before, "x"], &[&after]);
        before = after;
    }
    model.output(&before, F32, "n,n").save(folder);
    packager(folder, ["build", "model.onnx", "-o", "slow.pannier"]).expect(0);
    use npyz::WriterBuilder;
    let file = std::fs::File::create(folder.join("x.npy")).expect("a file can be created");
    let options = npyz::WriteOptions::new().default_dtype().shape(&[1024, 1024]).writer(file);
    let mut array = options.begin_nd().expect("its header can be written");
    array.extend(std::iter::repeat_n(0.5_f32, 1 << 20)).expect("its numbers can be written");
    array.finish().expect("it can be finished");
}

#[test]
fn a_run_that_takes_too_long_ends_with_its_deadline() {
    sandbox::fast();
    let folder = temp_dir();
    slow_model(folder.path());
    let mut failures = Failures::default();
    for flags in ["", "--sandbox"] {
        failures.check(if flags.is_empty() { "natively" } else { flags }, || {
            let line = format!("run slow.pannier x.npy --allow-unsigned --timeout 200ms {flags}");
            let ran = packager(folder.path(), line.split_whitespace());
            match (ran.status, code(&ran.stderr).as_str()) {
                (Some(22), "error[E_DEADLINE") => Ok(()),
                _ => Err(format!("{ran:?}")),
            }
        });
    }
    failures.assert_none();
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_a_run_in_the_sandbox() {
    sandbox::fast();
    let folder = temp_dir();
    slow_model(folder.path());
    let line = "run slow.pannier x.npy x.npy --allow-unsigned --sandbox -o out.npz --progress plain";
    let mut child = packager_command(folder.path())
        .args(line.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("packager starts");
    // The run takes many seconds, loading a fraction of one.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().expect("it can be asked").is_none(), "it was over before it could be interrupted");
    let asked = Instant::now();
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    let status = child.wait().expect("it ends");
    let took = asked.elapsed();
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("UTF-8");
    println!("Ctrl-C: ended {:.1} ms later", took.as_secs_f64() * 1e3);
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("error[E_INTERRUPTED]"), "{stderr}");
    assert!(!path(&folder, "out.npz").exists(), "nothing is left");
    assert!(took < Duration::from_secs(5), "it took {took:?} to stop");
}
