//! What the importer makes of models, checked with ONNX Runtime through what is exported again.

use crate::support::onnx::{self, Onnx};
use crate::support::paths::{python, python_package};
use crate::support::{Failures, model, project_root, temp_dir};
use pannier_engine_tract::TractEngine;
use pannier_graph::DType::{F32, I64};
use pannier_graph::{Attribute, Dim, GraphLimits};
use pannier_packager::export;
use pannier_packager::import::{self, ImportError, ImportOptions, Imported};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tract_onnx::pb;

fn options(shapes: &[(&str, &str)], constants: &[(&str, &str)]) -> ImportOptions {
    let shape = |(name, text): &(&str, &str)| ((*name).to_owned(), import::parse_shape(text).expect("a shape"));
    ImportOptions {
        shapes: shapes.iter().map(shape).collect(),
        constants: constants.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    import::import(path, options, &TractEngine::new())
}

fn import_bytes(model: &Onnx) -> Imported {
    let imported = import::from_bytes(&model.bytes(), None, &ImportOptions::default(), &TractEngine::new());
    imported.expect("the model is imported")
}

fn operators(imported: &Imported) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    let _: Result<(), ()> = imported.program.graph.body.try_visit(&mut |body| {
        body.nodes.iter().for_each(|node| *count.entry(node.op.clone()).or_default() += 1);
        Ok(())
    });
    count
}

/// A model that is imported, exported and compared.
struct Pair {
    name: String,
    original: PathBuf,
    exported: PathBuf,
    inputs: PathBuf,
}

/// Imports a model, checks that the graph survives encoding, and exports it into `folder`.
fn pair(
    name: &str,
    original: &Path,
    inputs: &Path,
    options: &ImportOptions,
    folder: &Path,
) -> Result<Pair, ImportError> {
    let imported = import(original, options)?;
    let bytes = imported.program.graph.encode().expect("the graph is encoded");
    let decoded = pannier_graph::Graph::decode(&bytes, &GraphLimits::default()).expect("the graph is decoded");
    let again = decoded.encode().expect("the graph is encoded again");
    assert!(again == bytes, "{name}: the graph comes back as it was");
    let onnx = export::to_onnx(&imported.program, &imported.inputs, &imported.outputs).expect("it is exported");
    let exported = folder.join(format!("{name}.onnx"));
    std::fs::write(&exported, onnx).expect("the export is written");
    Ok(Pair { name: name.to_owned(), original: original.to_owned(), exported, inputs: inputs.to_owned() })
}

/// Runs the comparison. Returns how many were compared; the others ONNX Runtime does not run.
fn compare(pairs: &[Pair], failures: &mut Failures) -> usize {
    let script = project_root().join("tests/it/import/compare.py");
    let mut child = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Python starts");
    let mut lines = String::new();
    for pair in pairs {
        let paths = [&pair.original, &pair.exported, &pair.inputs].map(|path| path.display().to_string());
        lines.push_str(&format!("{}\t{}\n", pair.name, paths.join("\t")));
    }
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("Python ends");
    writer.join().expect("no panic").expect("the list is written");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let results: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    for pair in pairs {
        failures.check(&pair.name, || match results.get(pair.name.as_str()) {
            Some(result) if *result == "ok" || result.starts_with("skipped") => Ok(()),
            other => Err(other.map_or("no result".to_owned(), |result| (*result).to_owned())),
        });
    }
    results.values().filter(|result| **result == "ok").count()
}

#[test]
fn the_real_models_answer_as_before() {
    let folder = temp_dir();
    let silero = options(&[("input", "1x576")], &[("sr", "16000")]);
    let models = [
        ("magika", ImportOptions::default()),
        ("ocr-cls", options(&[("x", "1x3x48x192")], &[])),
        ("ocr-det", ImportOptions::default()),
        ("ocr-rec", options(&[("x", "batchx3x48xwidth")], &[])),
        ("silero-vad", silero),
    ];
    let mut failures = Failures::default();
    let mut pairs = Vec::new();
    for (name, options) in models {
        let from = model(name);
        // silero-vad's `sr` is no input any more, so its file is compared with the value given to both.
        let inputs = from.join("evaluation.npz");
        pairs.push(pair(name, &from.join("model.onnx"), &inputs, &options, folder.path()).expect("it is imported"));
    }
    assert_eq!(compare(&pairs, &mut failures), pairs.len());
    failures.assert_none();
}

#[test]
fn older_operator_sets_answer_as_before() {
    let compared = made_models_answer_as_before("older.py");
    assert!(compared >= 90, "only {compared} models were compared");
}

#[test]
fn operators_of_onnx_runtime_answer_as_before() {
    let compared = made_models_answer_as_before("contributed.py");
    assert!(compared >= 35, "only {compared} models were compared");
}

/// Imports the models that a script writes, and compares answers. Returns how many were compared.
fn made_models_answer_as_before(script: &str) -> usize {
    let folder = temp_dir();
    let script = project_root().join("tests/it/import").join(script);
    let made = Command::new(python()).arg(script).arg(folder.path()).status().expect("Python starts");
    assert!(made.success(), "the models are written");
    let mut failures = Failures::default();
    let mut pairs = Vec::new();
    let mut entries: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let files = (entry.join("model.onnx"), entry.join("inputs.npz"));
        failures.check(format!("import of {name}"), || {
            let pair = pair(&name, &files.0, &files.1, &ImportOptions::default(), folder.path());
            pair.map(|pair| pairs.push(pair)).map_err(|error| error.to_string())
        });
    }
    let compared = compare(&pairs, &mut failures);
    failures.assert_none();
    compared
}

#[test]
fn node_tests_answer_as_before() {
    let folder = temp_dir();
    let data = python_package("onnx").join("backend/test/data/node");
    let mut tests: Vec<PathBuf> =
        std::fs::read_dir(data).expect("the node tests").map(|entry| entry.expect("an entry").path()).collect();
    tests.sort();
    let mut failures = Failures::default();
    let mut pairs = Vec::new();
    // Every seventh: the whole set runs through the engine elsewhere.
    for test in tests.iter().step_by(7) {
        let name = test.file_name().and_then(|name| name.to_str()).expect("a name");
        let files = (test.join("model.onnx"), test.join("test_data_set_0"));
        match pair(name, &files.0, &files.1, &ImportOptions::default(), folder.path()) {
            Ok(pair) => pairs.push(pair),
            Err(ImportError::Unsupported(_) | ImportError::Opset { .. }) => {}
            Err(error) => failures.check(name, || Err(error.to_string())),
        }
    }
    let compared = compare(&pairs, &mut failures);
    failures.assert_none();
    assert!(compared >= 150, "only {compared} models were compared");
}

#[test]
fn the_operator_table_is_that_of_the_standard() {
    let folder = temp_dir();
    let source = project_root().join("packager/src/import/schema");
    let script = folder.path().join("generate.py");
    std::fs::copy(source.join("generate.py"), &script).expect("the script is copied");
    assert!(Command::new(python()).arg(&script).status().expect("Python starts").success());
    let written = std::fs::read_to_string(folder.path().join("table.rs")).expect("a table");
    let kept = std::fs::read_to_string(source.join("table.rs")).expect("a table");
    assert!(written == kept, "run packager/src/import/schema/generate.py");
}

#[test]
fn real_models_become_small_and_plain() {
    let silero = options(&[("input", "1x576")], &[("sr", "16000")]);
    let cases: [(&str, ImportOptions, &[&str]); 4] = [
        ("silero-vad", silero, &["If", "Identity", "Constant", "Shape"]),
        ("ocr-cls", ImportOptions::default(), &["BatchNormalization", "Shape", "Constant", "Identity"]),
        ("ocr-rec", ImportOptions::default(), &["BatchNormalization", "Constant"]),
        ("magika", ImportOptions::default(), &["Identity"]),
    ];
    let mut failures = Failures::default();
    for (name, options, absent) in cases {
        failures.check(name, || {
            let imported = import(&model(name).join("model.onnx"), &options).map_err(|error| error.to_string())?;
            let found = operators(&imported);
            let left: Vec<_> = absent.iter().filter(|op| found.contains_key(**op)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left; {:?}", imported.notes)) }
        });
    }
    failures.assert_none();
}

#[test]
fn the_same_file_gives_the_same_program() {
    for name in ["magika", "ocr-rec"] {
        let path = model(name).join("model.onnx");
        let [first, second] = [(); 2].map(|()| import(&path, &ImportOptions::default()).expect("it is imported"));
        assert!(first.program.graph.encode() == second.program.graph.encode(), "{name}: the graph");
        let sections =
            |imported: &Imported| imported.program.sections.iter().map(|section| section.to_vec()).collect::<Vec<_>>();
        assert!(sections(&first) == sections(&second), "{name}: the weights");
    }
}

#[test]
fn symbols_are_kept_named_and_pinned() {
    let model = Onnx::new(17)
        .input("x", F32, "batch,3,?,p2o.DynamicDimension.1")
        .input("z", F32, "batch,1,-1,p2o.DynamicDimension.1")
        .node("Add", &["x", "z"], &["y"])
        .output("y", F32, "anything");
    let shapes = |options: ImportOptions| {
        let imported = import::from_bytes(&model.bytes(), None, &options, &TractEngine::new()).expect("imported");
        let written = |shape: &[Dim]| {
            let sizes = shape.iter().map(|dim| match dim {
                Dim::Fixed(size) => size.to_string(),
                Dim::Symbol(name) => name.clone(),
            });
            sizes.collect::<Vec<_>>().join(",")
        };
        let ports = imported.inputs.iter().chain(&imported.outputs);
        ports.map(|port| written(&port.shape)).collect::<Vec<_>>()
    };
    let cases = [
        (options(&[], &[]), ["batch,3,x_2,x_3", "batch,1,z_2,x_3", "batch,3,y_2,x_3"]),
        (options(&[("x", "1x3x8x16")], &[]), ["1,3,8,16", "1,1,z_2,16", "1,3,8,16"]),
        (options(&[("z", "n,1,8,width")], &[]), ["n,3,x_2,width", "n,1,8,width", "n,3,8,width"]),
    ];
    for (options, expected) in cases {
        assert_eq!(shapes(options), expected);
    }
}

#[test]
fn options_that_do_not_fit_are_refused_with_the_reason() {
    let model = Onnx::new(17)
        .input("x", F32, "n,3")
        .input("rate", I64, "")
        .node("Relu", &["x"], &["y"])
        .output("y", F32, "n,3")
        .bytes();
    let cases = [
        (options(&[("z", "1x3")], &[]), "the model has no such input; it has x, rate"),
        (options(&[("x", "1x3x4")], &[]), "the input has 2 dimensions, the option has 3"),
        (options(&[("x", "1x4")], &[]), "dimension 1 is 3 in the model, 4 in the option"),
        (options(&[("x", "1x3"), ("x", "2x3")], &[]), "the input is named twice"),
        (options(&[], &[("rate", "fast")]), "`fast` is not a int64"),
        (options(&[], &[("rate", "1,2")]), "2 value(s) do not fill the input's shape"),
        (options(&[], &[("other", "1")]), "the model has no such input; it has x, rate"),
    ];
    for (options, expected) in cases {
        let error = import::from_bytes(&model, None, &options, &TractEngine::new()).map(drop).expect_err(expected);
        assert_eq!(error.code(), pannier::Code::Usage);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    assert!(import::parse_shape("1x3x-4").is_err());
}

#[test]
fn external_data_is_inlined() {
    let folder = temp_dir();
    let bytes: Vec<u8> = [9.0f32, 1.0, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), bytes).expect("written");
    let entries = [("location", "weights.bin"), ("offset", "4"), ("length", "12")];
    let path = Onnx::new(17)
        .input("x", F32, "3")
        .initializer(onnx::external_tensor("w", F32, "3", &entries))
        .node("Add", &["x", "w"], &["y"])
        .output("y", F32, "3")
        .save(folder.path());
    let imported = import(&path, &ImportOptions::default()).expect("it is imported");
    let weight = &imported.program.graph.body.weights[0];
    let expected: Vec<u8> = [1.0f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(imported.program.bytes(&weight.data), Some(expected.as_slice()));
}

#[test]
fn functions_are_replaced_by_their_bodies() {
    let body = |op: &str, input: &str, output: &str| onnx::node(op, &[input], &[output]);
    let mut leaky = body("LeakyRelu", "a", "b");
    leaky.attribute = vec![pb::AttributeProto {
        name: "alpha".to_owned(),
        ref_attr_name: "slope".to_owned(),
        r#type: pb::attribute_proto::AttributeType::Float.into(),
        ..Default::default()
    }];
    let function = pb::FunctionProto {
        name: Some("Bend".to_owned()),
        domain: Some("mine".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["c".to_owned()],
        attribute: vec!["slope".to_owned()],
        node: vec![leaky, body("Neg", "b", "c")],
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..Default::default()
    };
    let model = Onnx::new(17)
        .domain("mine", 1)
        .input("x", F32, "2")
        .node("Bend", &["x"], &["h"])
        .with(onnx::float("slope", 0.25))
        .node("Bend", &["h"], &["y"])
        .output("y", F32, "2")
        .edit(|model| {
            model.functions.push(function);
            let nodes = model.graph.iter_mut().flat_map(|graph| &mut graph.node);
            nodes.for_each(|node| node.domain = "mine".to_owned());
        });
    let imported = import_bytes(&model);
    let found: Vec<_> = imported.program.graph.body.nodes.iter().map(|node| node.op.as_str()).collect();
    assert_eq!(found, ["LeakyRelu", "Neg", "LeakyRelu", "Neg"]);
    let slopes = [0, 2].map(|index| imported.program.graph.body.nodes[index].attribute("alpha").cloned());
    assert_eq!(slopes, [Some(Attribute::Float(0.25)), None], "what a call leaves out, the body leaves out");
    assert!(imported.program.graph.domains.is_empty());
}

#[test]
fn nodes_are_sorted_and_problems_are_listed_together() {
    let unsorted = Onnx::new(17)
        .input("x", F32, "2")
        .node("Neg", &["h"], &["y"])
        .node("Abs", &["x"], &["h"])
        .output("y", F32, "2");
    let found: Vec<_> = import_bytes(&unsorted).program.graph.body.nodes.iter().map(|node| node.op.clone()).collect();
    assert_eq!(found, ["Abs", "Neg"]);

    let wrong = Onnx::new(17)
        .input("x", F32, "2")
        .node("Frobnicate", &["x"], &["a"])
        .node("Relu", &["x"], &["b"])
        .node("Twist", &["b"], &["y"])
        .output("y", F32, "2")
        .bytes();
    let outcome = import::from_bytes(&wrong, None, &ImportOptions::default(), &TractEngine::new());
    let Err(ImportError::Unsupported(problems)) = outcome else { panic!("it is refused") };
    let listed: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed,
        ["node `a_Frobnicate` (Frobnicate): unknown operator", "node `y_Twist` (Twist): unknown operator"]
    );
}
