//! `packager build`, `run`, `bench` and `init` as people call them.

use crate::support::onnx::{self, Onnx};
use crate::support::packager::Ran;
use crate::support::{Failures, packager, temp_dir};
use pannier::{DType, Tensor};
use pannier_packager::content::{Array, Npz, write_array, write_npz};
use std::io::Cursor;
use std::path::Path;

/// `y = 2 x + b`, with symbols for batch and width.
fn affine() -> Onnx {
    Onnx::new(17)
        .input("x", DType::F32, "batch,width")
        .input("b", DType::F32, "1")
        .floats("two", "1", &[2.0])
        .node("Mul", &["x", "two"], &["double"])
        .node("Add", &["double", "b"], &["y"])
        .output("y", DType::F32, "batch,width")
}

/// Scores of three classes, with state: `scores = softmax(x + h)`, `hn = h + x`.
fn stateful() -> Onnx {
    Onnx::new(17)
        .input("x", DType::F32, "1,3")
        .input("h", DType::F32, "1,3")
        .node("Add", &["x", "h"], &["hn"])
        .node("Softmax", &["hn"], &["scores"])
        .output("scores", DType::F32, "1,3")
        .output("hn", DType::F32, "1,3")
}

const STATEFUL: &str = r#"
[model.stateful]
source = "model.onnx"
[model.stateful.inputs.h]
kind = "state"
output = "hn"
[model.stateful.outputs.hn]
kind = "next-state"
[model.stateful.outputs.scores]
kind = "classes"
labels = "labels.txt"
"#;

fn row(values: &[f32]) -> Tensor {
    Tensor::from_slice([1, values.len()], values).expect("a row")
}

fn save_npz(path: &Path, arrays: &[(&str, Tensor)]) {
    let mut file = Cursor::new(Vec::new());
    write_npz(&mut file, arrays.iter().map(|(name, tensor)| (*name, tensor))).expect("memory is writable");
    std::fs::write(path, file.into_inner()).expect("the file is written");
}

fn save_npy(path: &Path, tensor: &Tensor) {
    let mut file = Vec::new();
    write_array(tensor, &mut file).expect("memory is writable");
    std::fs::write(path, file).expect("the file is written");
}

fn load_npz(path: &Path) -> Vec<(String, Vec<f32>)> {
    let file = std::fs::File::open(path).expect("the file is there");
    let mut npz = Npz::open("answers", Box::new(file)).expect("it is an archive");
    let names = npz.names();
    let read = |name: String| {
        let Ok(Array::Tensor(tensor)) = npz.read(&name) else { panic!("`{name}` is no tensor") };
        let values = tensor.as_slice::<f32>().expect("binary32").to_vec();
        (name, values)
    };
    names.into_iter().map(read).collect()
}

/// A folder with the stateful model, its configuration and its bundle `stateful.pannier`.
fn stateful_folder() -> tempfile::TempDir {
    let folder = temp_dir();
    stateful().save(folder.path());
    write(folder.path(), "packager.toml", STATEFUL);
    write(folder.path(), "labels.txt", "red\ngreen\nblue\n");
    packager(folder.path(), ["build", "-q"]).expect(0);
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the file is written");
}

fn code(ran: &Ran) -> &str {
    ran.stderr.split("error[").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or("no error")
}

#[test]
fn a_failed_build_says_why_and_leaves_no_file() {
    struct Row {
        name: &'static str,
        setup: fn(&Path),
        arguments: &'static [&'static str],
        status: i32,
        code: &'static str,
    }
    let good = |folder: &Path| drop(affine().save(folder));
    let rows = [
        Row { name: "no such model", setup: |_| (), arguments: &["no.onnx"], status: 3, code: "E_INPUT_MISSING" },
        Row { name: "nothing to build", setup: |_| (), arguments: &[], status: 2, code: "E_USAGE" },
        Row {
            name: "not a model",
            setup: |folder| write(folder, "model.onnx", "not a model"),
            arguments: &["model.onnx"],
            status: 13,
            code: "E_INVALID_MODEL",
        },
        Row {
            name: "an operator that nobody has",
            setup: |folder| {
                let model = Onnx::new(17).input("x", DType::F32, "1").node("Frobnicate", &["x"], &["y"]);
                model.output("y", DType::F32, "1").save(folder);
            },
            arguments: &["model.onnx"],
            status: 20,
            code: "E_UNSUPPORTED_OPERATOR",
        },
        Row {
            name: "no such evaluation",
            setup: good,
            arguments: &["model.onnx", "--evaluate", "no.npz"],
            status: 3,
            code: "E_INPUT_MISSING",
        },
        Row {
            name: "an evaluation that is no archive",
            setup: |folder| {
                affine().save(folder);
                write(folder, "e.npz", "not an archive");
            },
            arguments: &["model.onnx", "--evaluate", "e.npz"],
            status: 1,
            code: "E_INVALID_CONTENT",
        },
        Row {
            name: "an evaluation of another model",
            setup: |folder| {
                affine().save(folder);
                save_npz(&folder.join("e.npz"), &[("0/in/z", row(&[1.0]))]);
            },
            arguments: &["model.onnx", "--evaluate", "e.npz"],
            status: 1,
            code: "E_INVALID_CONTENT",
        },
        Row {
            name: "a case of another shape",
            setup: |folder| {
                affine().save(folder);
                save_npz(&folder.join("e.npz"), &[("x", row(&[1.0])), ("b", row(&[1.0]))]);
            },
            arguments: &["model.onnx", "--evaluate", "e.npz"],
            status: 1,
            code: "E_INVALID_INPUT",
        },
        Row {
            name: "a reference that is another model's",
            setup: |folder| {
                affine().save(folder);
                let b = Tensor::from_slice([1], &[1.0f32]).expect("a tensor");
                let case = |x: f32, y: f32| [row(&[x]), b.clone(), row(&[y])];
                let ([x0, b0, y0], [x1, b1, y1]) = (case(1.0, 3.0), case(2.0, 5.01));
                let arrays =
                    [("0/in/x", x0), ("0/in/b", b0), ("0/out/y", y0), ("1/in/x", x1), ("1/in/b", b1), ("1/out/y", y1)];
                save_npz(&folder.join("e.npz"), &arrays);
            },
            arguments: &["model.onnx", "--evaluate", "e.npz"],
            status: 21,
            code: "E_ACCURACY",
        },
        Row {
            name: "a description of an input that is not there",
            setup: |folder| {
                affine().save(folder);
                write(
                    folder,
                    "packager.toml",
                    "[model.m]\nsource = \"model.onnx\"\n[model.m.inputs.z]\nkind = \"tensor\"\n",
                );
            },
            arguments: &[],
            status: 2,
            code: "E_USAGE",
        },
        Row {
            name: "sound of another length than the input",
            setup: |folder| {
                let model = Onnx::new(17).input("x", DType::F32, "1,8").node("Neg", &["x"], &["y"]);
                model.output("y", DType::F32, "1,8").save(folder);
                let port = "kind = \"pcm\"\nsample_rate_hz = 8000\nframe = 9\n";
                write(
                    folder,
                    "packager.toml",
                    &format!("[model.m]\nsource = \"model.onnx\"\n[model.m.inputs.x]\n{port}"),
                );
            },
            arguments: &[],
            status: 2,
            code: "E_USAGE",
        },
        Row {
            name: "too few labels",
            setup: |folder| {
                stateful().save(folder);
                write(folder, "packager.toml", STATEFUL);
                write(folder, "labels.txt", "red\ngreen\n");
            },
            arguments: &[],
            status: 2,
            code: "E_USAGE",
        },
        Row {
            name: "more memory than is stated",
            setup: |folder| {
                affine().save(folder);
                write(folder, "packager.toml", "[model.m]\nsource = \"model.onnx\"\npeak_memory_bytes = 1\n");
            },
            arguments: &[],
            status: 22,
            code: "E_MEMORY_BUDGET",
        },
        Row {
            name: "a constant for an input that is not there",
            setup: good,
            arguments: &["model.onnx", "--constant", "z=1"],
            status: 2,
            code: "E_USAGE",
        },
    ];
    let mut failures = Failures::default();
    for Row { name, setup, arguments, status, code: expected } in rows {
        failures.check(name, || {
            let folder = temp_dir();
            setup(folder.path());
            let ran = packager(folder.path(), ["build"].iter().chain(arguments));
            let bundles = std::fs::read_dir(folder.path()).expect("the folder is readable").filter_map(|file| {
                let name = file.ok()?.file_name().to_string_lossy().into_owned();
                (name.ends_with(".pannier") || name.ends_with(".tmp")).then_some(name)
            });
            let left: Vec<String> = bundles.collect();
            match (ran.status, code(&ran)) == (Some(status), expected) && left.is_empty() {
                true => Ok(()),
                false => Err(format!("status {:?}, left {left:?}, stderr:\n{}", ran.status, ran.stderr)),
            }
        });
    }
    failures.assert_none();
}

#[test]
fn in_ci_the_error_is_an_annotation_too() {
    let folder = temp_dir();
    let ran = packager(folder.path(), ["build", "no.onnx", "--ci"]).expect(3);
    assert!(ran.stderr.lines().any(|line| line.starts_with("::error title=E_INPUT_MISSING::")), "{}", ran.stderr);
}

#[test]
fn without_data_the_self_test_is_made_up_and_the_bytes_repeat() {
    let folder = temp_dir();
    affine().save(folder.path());
    let build = |output: &str| packager(folder.path(), ["build", "model.onnx", "--json", "-o", output]).expect(0);
    let first = build("a.pannier");
    let report = &first.json()["bundles"][0];
    assert_eq!(report["golden"]["origin"], "made_up");
    assert_eq!(report["envelope"]["peak_memory_bytes"], serde_json::Value::Null, "shapes have symbols");
    assert!(first.stderr.contains("made-up numbers"), "{}", first.stderr);
    build("b.pannier");
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("the bundle is there");
    assert!(read("a.pannier") == read("b.pannier"), "two builds give different bytes");

    let pinned = packager(folder.path(), ["build", "model.onnx", "--json", "--shape", "x=1x4"]).expect(0);
    let report = &pinned.json()["bundles"][0];
    assert!(report["envelope"]["peak_memory_bytes"].as_u64().is_some(), "every shape is fixed: {report}");
    assert_eq!(report["inputs"][0]["shape"], "[1, 4]");
}

#[test]
fn a_rebuild_proves_where_a_bundle_comes_from() {
    let folder = temp_dir();
    affine().save(folder.path());
    packager(folder.path(), ["build", "model.onnx", "-q", "--shape", "x=1x4", "--constant", "b=0.5"]).expect(0);
    let verify =
        |model: &str| packager(folder.path(), ["verify", "model.pannier", "--allow-unsigned", "--rebuild", model]);
    verify("model.onnx").expect(0);
    let other = affine().edit(|model| model.producer_name = "somebody else".to_owned());
    std::fs::write(folder.path().join("other.onnx"), other.bytes()).expect("the model is written");
    let ran = verify("other.onnx");
    assert_ne!(ran.status, Some(0), "another file: {}", ran.stdout);
}

#[test]
fn cases_come_in_as_arrays_and_go_out_under_the_same_prefix() {
    let folder = temp_dir();
    let path = |name: &str| folder.path().join(name);
    affine().save(folder.path());
    packager(folder.path(), ["build", "model.onnx", "-q", "-o", "m.pannier"]).expect(0);
    let run = |arguments: &[&str]| {
        let common = ["run", "m.pannier", "--allow-unsigned"];
        packager(folder.path(), common.iter().chain(arguments))
    };
    let b = || Tensor::from_slice([1], &[0.5f32]).expect("a tensor");
    save_npz(&path("one.npz"), &[("x", row(&[1.0, 2.0])), ("b", b())]);
    run(&["one.npz", "-o", "out.npz"]).expect(0);
    assert_eq!(load_npz(&path("out.npz")), [("y".to_owned(), vec![2.5, 4.5])]);

    let cases = [("7/in/x", row(&[1.0])), ("7/in/b", b()), ("12/in/x", row(&[2.0])), ("12/in/b", b())];
    save_npz(&path("many.npz"), &cases);
    for threads in ["1", "3"] {
        run(&["many.npz", "-o", "out.npz", "--threads", threads]).expect(0);
        let expected = [("12/out/y".to_owned(), vec![4.5]), ("7/out/y".to_owned(), vec![2.5])];
        assert_eq!(load_npz(&path("out.npz")), expected, "{threads} threads");
    }
    let first = std::fs::read(path("out.npz")).expect("the answers are there");
    run(&["many.npz", "-o", "out.npz"]).expect(0);
    assert!(
        first == std::fs::read(path("out.npz")).expect("the answers are there"),
        "the same answers, the same bytes"
    );

    save_npy(&path("x.npy"), &row(&[3.0]));
    save_npy(&path("b.npy"), &b());
    run(&["x=x.npy", "b=b.npy", "-o", "y.npy"]).expect(0);
    run(&["one.npz", "many.npz", "-o", "out.npz"]).expect(0);
    let names: Vec<String> = load_npz(&path("out.npz")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["000/out/y", "001/out/y", "002/out/y"], "several files: in the order of the command line");

    let refused: &[(&[&str], i32, &str)] = &[
        (&["x=x.npy"], 1, "E_INVALID_INPUT"),
        (&["x=x.npy", "b.npy"], 2, "E_USAGE"),
        (&["z=x.npy"], 1, "E_INVALID_CONTENT"),
        (&["x.npy"], 1, "E_INVALID_CONTENT"),
        (&["m.pannier"], 1, "E_INVALID_CONTENT"),
        (&["no.npz"], 3, "E_INPUT_MISSING"),
        (&["one.npz", "-o", "out.txt"], 2, "E_USAGE"),
        (&["many.npz", "-o", "out.npy"], 2, "E_USAGE"),
        (&["one.npz", "-o", "out.png"], 2, "E_USAGE"),
        (&["-", "-"], 2, "E_USAGE"),
    ];
    let mut failures = Failures::default();
    for (arguments, status, expected) in refused {
        failures.check(format!("{arguments:?}"), || {
            let ran = run(arguments);
            let same = ran.status == Some(*status) && code(&ran) == *expected;
            if same { Ok(()) } else { Err(format!("status {:?}, stderr:\n{}", ran.status, ran.stderr)) }
        });
    }
    failures.assert_none();
}

#[test]
fn state_is_the_files_own_unless_it_is_to_be_carried() {
    let folder = stateful_folder();
    let ones = || row(&[1.0, 1.0, 1.0]);
    let with_state = [("0/in/x", ones()), ("0/in/h", ones()), ("1/in/x", ones()), ("1/in/h", row(&[5.0, 0.0, 0.0]))];
    save_npz(&folder.path().join("own.npz"), &with_state);
    save_npz(&folder.path().join("none.npz"), &[("0/in/x", ones()), ("1/in/x", ones())]);
    let states = |arguments: &[&str]| {
        let common = ["run", "stateful.pannier", "--allow-unsigned", "-o", "out.npz"];
        packager(folder.path(), common.iter().chain(arguments)).expect(0);
        let arrays = load_npz(&folder.path().join("out.npz"));
        arrays.into_iter().filter(|(name, _)| name.ends_with("hn")).map(|(_, values)| values[0]).collect::<Vec<_>>()
    };
    assert_eq!(states(&["own.npz"]), [2.0, 6.0], "each case has its own");
    assert_eq!(states(&["own.npz", "--carry-state"]), [2.0, 3.0], "only the first one's is used");
    assert_eq!(states(&["none.npz"]), [1.0, 2.0], "zeros at first, then carried");
}

#[test]
fn labels_are_compared_and_counted() {
    let folder = stateful_folder();
    let zeros = || row(&[0.0; 3]);
    let green = || row(&[0.0, 9.0, 0.0]);
    let index = |index: i64| Tensor::scalar(index);
    let arrays = [
        ("0/in/x", green()),
        ("0/in/h", zeros()),
        ("0/label", index(1)),
        ("1/in/x", green()),
        ("1/in/h", zeros()),
        ("1/label", index(2)),
    ];
    save_npz(&folder.path().join("cases.npz"), &arrays);
    let run = |json: &[&str]| {
        let arguments = ["run", "stateful.pannier", "--allow-unsigned", "cases.npz"];
        packager(folder.path(), arguments.iter().chain(json)).expect(0)
    };
    let document = run(&["--json"]).json();
    let runs = document["files"][0]["runs"].as_array().expect("a list").clone();
    let right: Vec<_> = runs.iter().map(|run| run["right"].as_bool()).collect();
    assert_eq!(right, [Some(true), Some(false)]);
    assert_eq!(runs[0]["answers"][0]["rows"][0][0]["label"], "green");
    let text = run(&[]).stdout;
    assert!(text.contains("1 of 2 answers right"), "{text}");
}

#[test]
fn bench_gives_the_promised_fields() {
    let folder = stateful_folder();
    save_npz(&folder.path().join("case.npz"), &[("x", row(&[0.0; 3]))]);
    let arguments = ["bench", "stateful.pannier", "case.npz", "--allow-unsigned", "--runs", "5", "--json"];
    let document = packager(folder.path(), arguments).expect(0).json();
    for field in ["min", "median", "p99"] {
        assert!(document["latency_ms"][field].as_f64().is_some_and(|ms| ms > 0.0), "{field}: {document}");
    }
    assert!(document["load_ms"].as_f64().is_some() && document["peak_bytes"].as_u64().is_some(), "{document}");
    assert_eq!((&document["engine"], &document["runs"]), (&"executor".into(), &5.into()));
}

#[test]
fn init_writes_a_configuration_that_builds() {
    let models: [(&str, Onnx); 3] = [
        ("two inputs with symbols", affine()),
        ("state", stateful()),
        (
            "names that have to be quoted",
            Onnx::new(17)
                .input("in put/\"1\".x", DType::I64, "n,4")
                .node("Cast", &["in put/\"1\".x"], &["out#1"])
                .with(onnx::int("to", DType::F32.onnx_number().into()))
                .output("out#1", DType::F32, "n,4"),
        ),
    ];
    let mut failures = Failures::default();
    for (name, model) in models {
        failures.check(name, || {
            let folder = temp_dir();
            model.save(folder.path());
            packager(folder.path(), ["init", "model.onnx"]).expect(0);
            packager(folder.path(), ["build"]).expect(0);
            let again = packager(folder.path(), ["init", "model.onnx"]);
            assert_eq!(code(&again), "E_FAILED", "it replaces nothing: {}", again.stderr);
            packager(folder.path(), ["init", "model.onnx", "--force"]).expect(0);
            Ok(())
        });
    }
    failures.assert_none();
}
