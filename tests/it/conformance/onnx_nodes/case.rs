//! The tests as files: one folder each, with `model.onnx` and `test_data_set_0/{input,output}_N.pb`.

use crate::support::paths::python_package;
use prost::Message;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tract_onnx::pb;

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name, for example `test_add_bcast`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The operator that it is about, with its domain unless that is `ai.onnx`.
    pub operator: String,
    /// Version of that domain's operator set.
    pub opset: i64,
}

/// All tests of the installed `onnx` package, by name.
///
/// # Panics
/// When the package is not there or holds none.
pub fn all() -> Vec<Case> {
    let data = python_package("onnx").join("backend/test/data/node");
    let folders = std::fs::read_dir(&data).unwrap_or_else(|error| panic!("{}: {error}", data.display()));
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|folder| folder.join("model.onnx").is_file());
    folders.sort();
    assert!(folders.len() > 1_000, "only {} node tests in {}", folders.len(), data.display());
    let mut cases: Vec<Case> = folders.into_iter().map(describe).collect();
    attribute_expansions(&mut cases);
    cases
}

/// The model of a test.
pub fn read_model(folder: &Path) -> pb::ModelProto {
    let bytes = std::fs::read(folder.join("model.onnx")).expect("model.onnx is read");
    pb::ModelProto::decode(&*bytes).expect("model.onnx is ONNX")
}

/// Files `input_0.pb`, `input_1.pb`, ... or `output_0.pb`, ..., as far as they go.
pub fn data_files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let file = |index: usize| folder.join(format!("test_data_set_0/{kind}_{index}.pb"));
    (0..).map(file).take_while(|path| path.is_file()).collect()
}

fn describe(folder: PathBuf) -> Case {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let model = read_model(&folder);
    let graph = model.graph.unwrap_or_default();
    // Where several nodes prepare something for the one that is tested, that one comes last.
    let node = graph.node.last().cloned().unwrap_or_default();
    let import = model.opset_import.iter().find(|import| import.domain == node.domain);
    let opset = import.or(model.opset_import.first()).map_or(0, |import| import.version);
    let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain) };
    Case { name, folder, operator: format!("{domain}{}", node.op_type), opset }
}

/// `test_x_expanded...` is `test_x` written in simpler operators: it counts for the operator of `test_x`.
fn attribute_expansions(cases: &mut [Case]) {
    let operators: BTreeMap<String, String> =
        cases.iter().map(|case| (case.name.clone(), case.operator.clone())).collect();
    for case in cases {
        if let Some(original) = case.name.find("_expanded").and_then(|end| operators.get(&case.name[..end])) {
            case.operator = original.clone();
        }
    }
}
