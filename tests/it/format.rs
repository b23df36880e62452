//! Programs in bundles: `runtime/bundle/SPEC.md`, the code, and a reader that was written from SPEC.md alone say the
//! same of them. (What SPEC.md says of the container is held to the code by the tests of `pannier-bundle`.)

mod example;

use crate::support::bundle::{signed, target};
use crate::support::{Failures, model, packager, project_root, python, temp_dir};
use example::Parts;
use pannier::{Options, Session, Tensor, Trust};
use pannier_bundle::manifest::Manifest;
use pannier_bundle::{Code, decode_versioned, encode_versioned};
use pannier_engine::golden::Golden;
use pannier_graph::{Attribute, DType, Dim, Encoding, Graph, GraphLimits, Span, ValueId, Weight};
use pannier_packager::quantize::{Record, attestation};
use pannier_telemetry::baseline::{Baseline, TensorBaseline};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The part of SPEC.md from one heading to another, or to the end.
fn spec(from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(project_root().join("runtime/bundle/SPEC.md")).expect("it is there");
    let (_, after) = text.split_once(&format!("\n{from}")).expect("SPEC.md has this heading");
    match to {
        "" => after.to_owned(),
        to => after.split_once(&format!("\n{to}")).expect("SPEC.md has this heading").0.to_owned(),
    }
}

/// The tables of a part of SPEC.md: rows of cells without back-quotes, the first row being the heads.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_prefix('|') {
            Some(row) if !row.starts_with("---") => {
                let cells = row.trim_end_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
                tables.last_mut().expect("there is one").push(cells);
            }
            Some(_) => {}
            None => tables.push(Vec::new()),
        }
    }
    tables.retain(|table| !table.is_empty());
    tables
}

/// The first column of the table whose first head is this.
fn column(name: &str) -> Vec<String> {
    let table = tables(&spec("### 6.2", "## 7.")).into_iter().find(|table| table[0][0] == name);
    table.unwrap_or_else(|| panic!("no table `{name}`"))[1..].iter().map(|row| row[0].clone()).collect()
}

/// Names of a structure's fields, in the order of their declaration, which is that of their encoding.
fn fields(structure: &impl Debug) -> Vec<String> {
    let text = format!("{structure:#?}");
    let field = |line: &str| line.strip_prefix("    ")?.split_once(':').map(|(name, _)| name.to_owned());
    text.lines().filter_map(field).filter(|name| !name.starts_with(' ')).collect()
}

#[test]
fn fields_are_those_of_the_code() {
    let Parts { graph, golden, .. } = example::everything();
    let (node, weight) = (&graph.body.nodes[0], &graph.body.weights[0]);
    let Some(Attribute::Tensor(literal)) = node.attribute("d") else { panic!("it has a literal") };
    let case = &golden.cases[0];
    let flattened = [fields(&golden.tolerance), vec!["cases".to_owned()]].concat();
    assert_eq!(fields(&golden), ["tolerance", "cases"]);
    let in_code = [
        ("graph", fields(&graph)),
        ("body", fields(&graph.body)),
        ("input", fields(&graph.body.inputs[0])),
        ("node", fields(node)),
        ("literal", fields(literal)),
        ("weight", fields(weight)),
        ("span", fields(&weight.data)),
        ("golden", flattened),
        ("case", fields(case)),
        ("tensor", fields(&case.inputs[0])),
        ("reference", fields(&case.outputs[0])),
        ("summary", fields(&TensorBaseline::default())),
    ];
    for (name, fields) in in_code {
        assert_eq!(column(name), fields, "{name}");
    }
}

#[test]
fn variants_are_those_of_the_code() {
    let span = Span { section: 0, offset: 0, size_bytes: 0 };
    let encodings = [
        Encoding::Raw,
        Encoding::F16,
        Encoding::Int8 { axis: None, scale: span, zero_point: None },
        Encoding::Int4 { block: 1, scale: span, zero_point: None },
    ];
    let encodings = encodings.iter().map(|value| variant(value, &encode_versioned(0, value)));
    assert_eq!(in_spec("encoding"), encodings.collect::<Vec<_>>());
    let attributes = example::everything().graph.body.nodes[0].attributes.clone();
    let attributes: BTreeMap<_, _> =
        attributes.iter().map(|(_, value)| variant(value, &encode_versioned(0, value))).collect();
    assert_eq!(in_spec("attribute"), attributes.into_iter().collect::<Vec<_>>());
    let dtypes = DType::ALL.iter().enumerate().map(|(number, dtype)| {
        assert_eq!(encode_versioned(0, dtype)[2] as usize, number);
        format!("{number} `{}`", variant(dtype, &encode_versioned(0, dtype)).1.to_lowercase())
    });
    let manifest = spec("### 6.1", "### 6.2").replace('\n', " ");
    assert!(manifest.contains(&dtypes.collect::<Vec<_>>().join(", ")), "{manifest}");
    assert_eq!(variant(&Dim::Fixed(0), &encode_versioned(0, &Dim::Fixed(0))).0, 0);
    assert!(manifest.contains("0 fixed (`u64`), 1 symbol (string)"));
}

fn in_spec(table: &str) -> Vec<(u8, String)> {
    let table = tables(&spec("### 6.2", "## 7.")).into_iter().find(|rows| rows[0][0] == table).expect("it is there");
    table[1..].iter().map(|row| (row[0].parse().expect("a number"), row[1].clone())).collect()
}

/// Number and name of a variant. The number is the byte after the version.
fn variant(value: &impl Debug, encoded: &[u8]) -> (u8, String) {
    let text = format!("{value:?}");
    (encoded[2], text.chars().take_while(|letter| letter.is_alphanumeric()).collect())
}

#[test]
fn constants_and_limits_are_those_of_the_code() {
    let limits = GraphLimits::default();
    let in_code = [
        ("GRAPH_VERSION", u64::from(Graph::VERSION)),
        ("OPSET", pannier_graph::OPSET.into()),
        ("GRAPH_NESTING_MAX", pannier_graph::MAX_DEPTH.into()),
        ("GRAPH_BYTES", limits.size_bytes as u64),
        ("GRAPH_VALUES", limits.values as u64),
        ("GRAPH_NODES", limits.nodes as u64),
        ("GRAPH_DEPTH", limits.depth.into()),
        ("GRAPH_RANK", limits.rank as u64),
        ("GRAPH_WEIGHT_BYTES", limits.weight_bytes),
        ("GOLDEN_VERSION", Golden::VERSION.into()),
        ("GOLDEN_CASES_MAX", Golden::MAX_CASES as u64),
        ("LABELS_VERSION", pannier_packager::build::LABELS_VERSION.into()),
        ("QUANTIZATION_VERSION", Record::VERSION.into()),
        ("QUANTIZATION_ITEMS_MAX", Record::ITEMS_MAX as u64),
        ("QUANTIZATION_STEPS_MAX", Record::STEPS_MAX as u64),
        ("ATTESTATION_BYTES_MAX", attestation::BYTES_MAX as u64),
        ("BASELINE_VERSION", Baseline::VERSION.into()),
        ("BASELINE_TENSORS_MAX", Baseline::MAX_TENSORS as u64),
        ("BASELINE_BINS_MAX", Baseline::MAX_BINS as u64),
    ];
    let rows =
        tables(&spec("### 6.2", "## 7.")).into_iter().filter(|rows| ["constant", "limit"].contains(&&*rows[0][0]));
    let in_spec: BTreeMap<String, u64> = rows
        .flat_map(|rows| rows[1..].to_vec())
        .map(|row| (row[0].clone(), row[1].parse().expect("a number")))
        .collect();
    assert_eq!(in_spec, in_code.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
}

#[test]
fn the_worked_example_is_the_vector_and_the_code() {
    let text = spec("### 13.2", "");
    let mut dumps = text.split("```text\n").skip(1).map(|part| part.split_once("```").expect("it ends"));
    let sections = example::small().sections();
    for name in ["graph", "golden", "labels"] {
        let (dump, explained) = dumps.next().unwrap_or_else(|| panic!("no dump of {name}"));
        assert_eq!(dump.trim_end(), hex(&sections[name]), "{name}");
        let mut next = 0;
        for row in &tables(explained)[0][1..] {
            let (from, to) = row[0].split_once('-').unwrap_or((&row[0], &row[0]));
            let [from, to] = [from, to].map(|place| usize::from_str_radix(place, 16).expect("a place"));
            assert_eq!(from, next, "{name}: {row:?}");
            next = to + 1;
        }
        assert_eq!(next, sections[name].len(), "{name}");
    }
    let path = project_root().join("tests/vectors/v1/programs/small.pannier");
    let bundle = example::small().bundle();
    if std::env::var_os("PANNIER_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &bundle).expect("the vector can be written");
    }
    assert!(std::fs::read(&path).is_ok_and(|vector| vector == bundle), "write it with PANNIER_WRITE_VECTORS=1");
}

/// Sixteen bytes a line, behind the place of the first one.
fn hex(bytes: &[u8]) -> String {
    let line = |(index, line): (usize, &[u8])| {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:02x}  {}", index * 16, bytes.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_worked_example_runs() {
    let session = open(example::small().bundle()).expect("it opens");
    let x = Tensor::from_slice([1, 2], &[1.0_f32, 2.0]).expect("a tensor");
    let outputs = session.run(pannier::inputs! { "x" => x }).expect("it runs");
    assert_eq!(outputs.get("y").and_then(|y| y.as_slice::<f32>()), Some(&[4.0_f32, 1.0][..]));
    assert_eq!(session.report().self_test.map(|test| test.elements), Some(2));
}

#[test]
fn a_reader_written_from_the_specification_reads_the_same() {
    let mut failures = Failures::default();
    for (name, mut parts) in [("small", example::small()), ("everything", example::everything())] {
        failures.check(name, || {
            parts.bundle();
            let folder = temp_dir();
            parts.unpack(folder.path());
            same_reading(folder.path())
        });
    }
    for name in ["silero-vad", "ocr-cls"] {
        failures.check(name, || {
            let (folder, source) = (temp_dir(), model(name).join("model.onnx"));
            let bundle = signed(&target(name, &source)).map_err(|error| error.to_string())?;
            std::fs::write(folder.path().join("m.pannier"), bundle).expect("a file can be written");
            packager(folder.path(), ["unpack", "m.pannier", "unpacked", "--allow-unsigned"]).expect(0);
            same_reading(&folder.path().join("unpacked"))
        });
    }
    failures.assert_none();
}

/// Compares both readings of an unpacked bundle.
fn same_reading(folder: &Path) -> Result<(), String> {
    let bytes = |name: &str| std::fs::read(folder.join(name)).expect("the section is there");
    let graph = Graph::decode(&bytes("graph"), &GraphLimits::default()).map_err(|error| error.to_string())?;
    let manifest: Manifest =
        decode_versioned(&bytes("manifest"), Manifest::VERSION).map_err(|error| error.to_string())?;
    let sections: Vec<Vec<u8>> =
        (0..).map_while(|index| std::fs::read(folder.join(format!("weights/{index}"))).ok()).collect();
    let weights: Vec<Value> = graph.body.weights.iter().map(|weight| digest(&graph, weight, &sections)).collect();
    let mut ours = json!({ "manifest": manifest, "graph": graph, "weights": weights });
    if folder.join("golden").exists() {
        let golden = Golden::decode(&bytes("golden")).map_err(|error| error.to_string())?;
        ours["golden"] = json!(golden);
    }
    if folder.join("labels").exists() {
        let labels: Vec<Vec<String>> = decode_versioned(&bytes("labels"), 1).map_err(|error| error.to_string())?;
        ours["labels"] = json!(labels);
    }
    let theirs = second_reader(folder).map_err(|(code, why)| format!("{code}: {why}"))?;
    differences("", &ours, &theirs).map_or(Ok(()), Err)
}

/// A weight's name, and the SHA-256 of its elements as operators see them.
fn digest(graph: &Graph, weight: &Weight, sections: &[Vec<u8>]) -> Value {
    let bytes = |span: &Span| {
        let from = usize::try_from(span.offset).ok()?;
        sections.get(span.section as usize)?.get(from..from + usize::try_from(span.size_bytes).ok()?)
    };
    let elements = weight.decode(bytes).expect("a valid weight can be decoded");
    let digest: String = Sha256::digest(&elements[..]).iter().map(|byte| format!("{byte:02x}")).collect();
    json!([graph.value_name(weight.value), digest])
}

/// The second reader's answer, or the code with which it refuses and why.
fn second_reader(folder: &Path) -> Result<Value, (String, String)> {
    let script: PathBuf = project_root().join("tests/it/format/reader.py");
    let output = Command::new(python()).arg(script).arg(folder).output().expect("Python starts");
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("it writes JSON"));
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (code, why) = text.split_once(':').unwrap_or((&text, ""));
    Err((code.to_owned(), why.trim().to_owned()))
}

/// The first difference of two documents. Numbers are equal if they are the same binary32, which is all that a bundle has.
fn differences(place: &str, ours: &Value, theirs: &Value) -> Option<String> {
    let differ = || Some(format!("{place}: {ours} here, {theirs} there"));
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            one.iter().find_map(|(key, value)| {
                differences(&format!("{place}/{key}"), value, other.get(key).unwrap_or(&Value::Null))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (a, b))| differences(&format!("{place}/{index}"), a, b))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            let single = |number: &serde_json::Number| number.as_f64().map(|number| (number as f32).to_bits());
            if single(one) == single(other) { None } else { differ() }
        }
        (one, other) if one == other => None,
        _ => differ(),
    }
}

/// What is done to a valid program, and the code with which both readers refuse it.
type Broken = (&'static str, fn(&mut Parts), Code);

#[test]
fn both_readers_refuse_the_same() {
    let cases: &[Broken] = &[
        ("nothing at all", |_| {}, Code::Failed),
        ("a value that does not exist", |p| p.graph.body.outputs[0] = ValueId(99), Code::InvalidModel),
        ("a value defined twice", |p| p.graph.body.weights[5].value = ValueId(14), Code::InvalidModel),
        ("a value never defined", |p| p.graph.values.push("z".into()), Code::InvalidModel),
        ("a value used before its definition", |p| p.graph.body.nodes.swap(0, 1), Code::InvalidModel),
        ("a nested value used outside", |p| p.graph.body.nodes[1].inputs[0] = Some(ValueId(5)), Code::InvalidModel),
        ("an output twice", |p| p.graph.body.outputs[1] = ValueId(15), Code::InvalidModel),
        ("two values of one name", |p| p.graph.values[1] = "x".into(), Code::InvalidModel),
        ("domains out of order", |p| p.graph.domains.swap(0, 1), Code::InvalidModel),
        ("a domain of version 0", |p| p.graph.domains[0].1 = 0, Code::InvalidModel),
        ("a domain that is not listed", |p| drop(p.graph.domains.pop()), Code::InvalidModel),
        ("a node without operator", |p| p.graph.body.nodes[0].op.clear(), Code::InvalidModel),
        ("attributes out of order", |p| p.graph.body.nodes[0].attributes.swap(0, 1), Code::InvalidModel),
        ("an input without type", |p| p.graph.body.inputs[0].dtype = None, Code::InvalidModel),
        ("a shape of 2^63 bytes", |p| shape(p).push(Dim::Fixed(1 << 20)), Code::InvalidModel),
        ("a shape of 2^63 bytes behind a 0", |p| shape(p).extend([0, 1 << 20].map(Dim::Fixed)), Code::InvalidModel),
        ("33 dimensions", |p| *shape(p) = vec![Dim::Fixed(1); 33], Code::Limit),
        ("a symbol without name", |p| shape(p)[0] = Dim::Symbol(String::new()), Code::InvalidModel),
        ("a boolean that is 2", |p| literal(p).bytes[0] = 2, Code::InvalidModel),
        ("a literal that is too short", |p| literal(p).bytes.truncate(1), Code::InvalidModel),
        ("weights out of order", |p| p.graph.body.weights.swap(0, 1), Code::InvalidModel),
        ("a weight off its alignment", |p| p.graph.body.weights[0].data.offset = 32, Code::InvalidModel),
        ("a weight of another size", |p| p.graph.body.weights[0].data.size_bytes = 7, Code::InvalidModel),
        ("a weight past its section", |p| p.graph.body.weights[0].data.offset = 960, Code::InvalidModel),
        ("a weight in no section", |p| p.graph.body.weights[0].data.section = 2, Code::InvalidModel),
        ("an axis that is not there", |p| p.graph.body.weights[1].shape = vec![6], Code::InvalidModel),
        ("whole numbers in half precision", |p| p.graph.body.weights[4].dtype = DType::I32, Code::InvalidModel),
        ("another name in the manifest", |p| p.manifest.inputs[0].name = "z".into(), Code::InvalidModel),
        ("another shape in the manifest", |p| drop(p.manifest.inputs[0].shape.pop()), Code::InvalidModel),
        ("257 golden cases", |p| p.golden.cases = vec![p.golden.cases[0].clone(); 257], Code::Limit),
        ("a negative tolerance", |p| p.golden.tolerance.absolute = -1.0, Code::Corrupt),
        ("a tolerance without end", |p| p.golden.tolerance.relative = f32::INFINITY, Code::Corrupt),
        ("a golden input that is too long", |p| p.golden.cases[0].inputs[0].bytes = vec![0; 9].into(), Code::Corrupt),
        ("a golden boolean that is 2", |p| p.golden.cases[0].inputs[12].bytes.as_mut()[1] = 2, Code::Corrupt),
        ("a stride of 0", |p| p.golden.cases[0].outputs[0].stride = 0, Code::Corrupt),
        ("too few kept elements", |p| p.golden.cases[0].outputs[0].stride = 2, Code::Corrupt),
    ];
    let mut failures = Failures::default();
    for (name, break_it, code) in cases {
        failures.check(name, || {
            let mut parts = example::everything();
            break_it(&mut parts);
            let folder = temp_dir();
            parts.bundle();
            parts.unpack(folder.path());
            let theirs = second_reader(folder.path()).err().map(|(code, _)| code);
            // The program is valid, but nothing can run it: what is not refused is refused for that.
            let ours = open(parts.bundle()).err().map(|error| error.code());
            if *code == Code::Failed {
                let unsupported = ours == Some(Code::UnsupportedOperator) && theirs.is_none();
                return if unsupported { Ok(()) } else { Err(format!("{ours:?} here, {theirs:?} there")) };
            }
            if ours == Some(*code) && theirs.as_deref() == Some(code.name()) {
                return Ok(());
            }
            Err(format!("{ours:?} here, {theirs:?} there, expected {code}"))
        });
    }
    failures.assert_none();
}

fn shape(parts: &mut Parts) -> &mut Vec<Dim> {
    parts.graph.body.inputs[0].shape.as_mut().expect("the input has a shape")
}

fn literal(parts: &mut Parts) -> &mut pannier_graph::Literal {
    let literal = parts.graph.body.nodes[0].attributes.iter_mut().find_map(|(_, value)| match value {
        Attribute::Tensor(literal) => Some(literal),
        _ => None,
    });
    literal.expect("the node has a literal")
}

fn open(bundle: Vec<u8>) -> Result<Session, pannier::Error> {
    Session::from_source(bundle, &Trust::AllowUnsigned, &Options::default())
}
