//! Model files that must be refused, each with the error it must give.

use crate::support::onnx::{self, Onnx};
use pannier::Code;
use pannier_graph::DType;
use pannier_graph::DType::{F32, I64};
use std::path::{Path, PathBuf};
use tract_onnx::pb;

/// A bad model.
pub struct Bad {
    /// What is wrong with it.
    pub name: &'static str,
    /// Writes it into a folder and returns its path.
    pub write: fn(&Path) -> PathBuf,
    /// The error.
    pub code: Code,
    /// What the message must name.
    pub says: &'static [&'static str],
}

const fn bad(name: &'static str, code: Code, says: &'static [&'static str], write: fn(&Path) -> PathBuf) -> Bad {
    Bad { name, write, code, says }
}

/// Every row of the table.
#[rustfmt::skip]
pub const TABLE: &[Bad] = &[
    bad("an empty file", Code::InvalidModel, &[], |folder| file(folder, b"")),
    bad("text", Code::InvalidModel, &[], |folder| file(folder, b"this is not a model\n")),
    bad("a gzip header", Code::InvalidModel, &[], |folder| file(folder, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])),
    bad("a field that claims 3 GB", Code::InvalidModel, &[], |folder| {
        // Field 7 (graph), length-delimited, 3,000,000,000 bytes; none follow.
        file(folder, &[0x3a, 0x80, 0xbc, 0xc1, 0x96, 0x0b])
    }),
    bad("no graph", Code::InvalidModel, &["graph"], |folder| good().edit(|model| model.graph = None).save(folder)),
    bad("no operator set", Code::InvalidModel, &["operator set"], |folder| good().edit(|model| model.opset_import.clear()).save(folder)),
    bad("an operator set of the future", Code::UnsupportedVersion, &["1000"], |folder| opset(1000).save(folder)),
    bad("the next operator set", Code::UnsupportedVersion, &["99"], |folder| opset(99).save(folder)),
    bad("operator set 6", Code::UnsupportedVersion, &["6"], |folder| opset(6).save(folder)),
    bad("operator set 0", Code::UnsupportedVersion, &["opset 0"], |folder| opset(0).save(folder)),
    bad("a negative operator set", Code::UnsupportedVersion, &["opset -1"], |folder| opset(-1).save(folder)),

    bad("a cycle", Code::InvalidModel, &["a_Add"], |folder| base()
        .node("Add", &["x", "b"], &["a"]).node("Relu", &["a"], &["b"]).output("b", F32, "2,3").save(folder)),
    bad("a node that uses itself", Code::InvalidModel, &["a_Add"], |folder| base()
        .node("Add", &["x", "a"], &["a"]).output("a", F32, "2,3").save(folder)),
    bad("a missing initialiser", Code::InvalidModel, &["weights_of_nobody"], |folder| base()
        .node("MatMul", &["x", "weights_of_nobody"], &["y"]).output("y", F32, "2,3").save(folder)),
    bad("an output that nobody makes", Code::InvalidModel, &["phantom"], |folder| good().output("phantom", F32, "1").save(folder)),
    bad("two nodes make one value", Code::InvalidModel, &["`y`"], |folder| good().node("Relu", &["x"], &["y"]).save(folder)),
    bad("two initialisers of one name", Code::InvalidModel, &["`w`"], |folder| base()
        .floats("w", "3,2", &[0.0; 6]).floats("w", "3,2", &[1.0; 6]).node("MatMul", &["x", "w"], &["y"]).output("y", F32, "2,2").save(folder)),
    bad("two inputs of one name", Code::InvalidModel, &["`x`"], |folder| good().input("x", F32, "2,3").save(folder)),
    bad("a node that makes an input", Code::InvalidModel, &["`x`"], |folder| good().node("Relu", &["y"], &["x"]).save(folder)),
    bad("an input without a type", Code::InvalidModel, &["`z`"], |folder| good()
        .edit(|model| graph(model).input.push(pb::ValueInfoProto { name: "z".into(), ..Default::default() })).save(folder)),
    bad("a required input left out", Code::InvalidModel, &["y_Conv"], |folder| Onnx::new(17)
        .input("x", F32, "1,1,8,8").node("Conv", &["x"], &["y"]).output("y", F32, "1,1,8,8").save(folder)),
    bad("an attribute of the wrong type", Code::InvalidModel, &["y_Softmax"], |folder| base()
        .node("Softmax", &["x"], &["y"]).with(onnx::string("axis", "last")).output("y", F32, "2,3").save(folder)),

    bad("shapes that do not multiply", Code::InvalidModel, &["y_MatMul"], |folder| base()
        .floats("w", "4,2", &[0.0; 8]).node("MatMul", &["x", "w"], &["y"]).output("y", F32, "2,2").save(folder)),
    bad("shapes that do not broadcast", Code::InvalidModel, &["y_Add"], |folder| base()
        .floats("w", "2,2", &[0.0; 4]).node("Add", &["x", "w"], &["y"]).output("y", F32, "2,3").save(folder)),
    bad("types that do not fit", Code::InvalidModel, &["y_Add"], |folder| base()
        .ints("w", "3", &[0; 3]).node("Add", &["x", "w"], &["y"]).output("y", F32, "2,3").save(folder)),
    bad("a tensor with too few bytes", Code::InvalidModel, &["`w`", "24", "20"], |folder| weight("2,3", vec![0; 20]).save(folder)),
    bad("a tensor with too many bytes", Code::InvalidModel, &["`w`", "24", "28"], |folder| weight("2,3", vec![0; 28]).save(folder)),
    bad("3 GB claimed in 1 KB", Code::InvalidModel, &["`w`"], |folder| weight("1024,1024,768", vec![0; 512]).save(folder)),
    bad("a negative dimension", Code::InvalidModel, &["`w`", "shape"], |folder| weight("-2,-3", vec![0; 24]).save(folder)),
    bad("a shape of 2^63 elements", Code::InvalidModel, &["`w`"], |folder| weight("4294967296,2147483648", vec![0; 24]).save(folder)),
    bad("a shape whose size overflows to what is there", Code::InvalidModel, &["`w`"], |folder| weight("4611686018427387904,4", Vec::new()).save(folder)),
    bad("an input of 2^63 elements", Code::InvalidModel, &["`x`"], |folder| Onnx::new(17)
        .input("x", F32, "9223372036854775807,9223372036854775807").node("Relu", &["x"], &["y"]).output("y", F32, "").save(folder)),
    bad("bodies nested a thousand deep", Code::InvalidModel, &[], |folder| nested_ifs(1_000).save(folder)),

    bad("unknown operators", Code::UnsupportedOperator, &["Frobnicate", "a_Frobnicate", "Twiddle", "b_Twiddle"], |folder| base()
        .node("Frobnicate", &["x"], &["a"]).node("Relu", &["a"], &["r"]).node("Twiddle", &["r"], &["b"]).output("b", F32, "2,3").save(folder)),
    bad("an unknown operator in a branch", Code::UnsupportedOperator, &["Frobnicate", "deep_Frobnicate"], |folder| Onnx::new(17)
        .input("c", DType::Bool, "").input("x", F32, "2")
        .node("If", &["c"], &["y"]).with(onnx::graph("then_branch", branch("Frobnicate"))).with(onnx::graph("else_branch", branch("Relu")))
        .output("y", F32, "2").save(folder)),
    bad("an unknown domain", Code::UnsupportedOperator, &["com.example", "Relu"], |folder| base()
        .domain("com.example", 1).node("Relu", &["x"], &["y"]).output("y", F32, "2,3")
        .edit(|model| graph(model).node[0].domain = "com.example".into()).save(folder)),
    bad("strings", Code::UnsupportedOperator, &["STRING"], |folder| good()
        .edit(|model| element_type(&mut graph(model).input[0], pb::tensor_proto::DataType::String as i32)).save(folder)),
    bad("an element type of the future", Code::UnsupportedOperator, &["77"], |folder| good()
        .edit(|model| element_type(&mut graph(model).input[0], 77)).save(folder)),

    bad("external data that is not there", Code::InputMissing, &["cannot read `weights.bin`"], |folder| external(folder, None, &[("location", "weights.bin")])),
    bad("external data in the folder above", Code::InvalidModel, &[".."], |folder| external(folder, None, &[("location", "../weights.bin")])),
    bad("external data above and back", Code::InvalidModel, &[".."], |folder| external(folder, None, &[("location", "sub/../../weights.bin")])),
    bad("external data at an absolute path", Code::InvalidModel, &["/etc/hostname"], |folder| external(folder, None, &[("location", "/etc/hostname")])),
    bad("external data without a location", Code::InvalidModel, &["location"], |folder| external(folder, None, &[("offset", "0")])),
    bad("external data with an empty location", Code::InvalidModel, &[], |folder| external(folder, None, &[("location", "")])),
    bad("external data that is a folder", Code::InputMissing, &["sub"], |folder| {
        std::fs::create_dir(folder.join("sub")).expect("a folder");
        external(folder, None, &[("location", "sub")])
    }),
    bad("external data past the end", Code::InvalidModel, &["weights.bin"], |folder| external(folder, Some(24), &[("location", "weights.bin"), ("offset", "8"), ("length", "24")])),
    bad("external data far past the end", Code::InvalidModel, &["weights.bin"], |folder| external(folder, Some(24), &[("location", "weights.bin"), ("offset", "18446744073709551615"), ("length", "24")])),
    bad("external data of negative length", Code::InvalidModel, &["`length`"], |folder| external(folder, Some(24), &[("location", "weights.bin"), ("length", "-24")])),
    bad("external data of another length", Code::InvalidModel, &["16", "24"], |folder| external(folder, Some(24), &[("location", "weights.bin"), ("length", "16")])),
    #[cfg(unix)]
    bad("external data behind a link out of the folder", Code::InvalidModel, &["`weights.bin` leads out"], |folder| {
        std::os::unix::fs::symlink("/dev/zero", folder.join("weights.bin")).expect("a link");
        external(folder, None, &[("location", "weights.bin")])
    }),
    #[cfg(unix)]
    bad("external data behind a linked folder", Code::InvalidModel, &["`sub/zero` leads out"], |folder| {
        std::os::unix::fs::symlink("/dev", folder.join("sub")).expect("a link");
        external(folder, None, &[("location", "sub/zero")])
    }),
];

/// A model without fault: `y = relu(x)`.
pub fn good() -> Onnx {
    base().node("Relu", &["x"], &["y"]).output("y", F32, "2,3")
}

/// `If` in `If` in `If` ...
pub fn nested_ifs(depth: usize) -> Onnx {
    let mut body = branch("Relu");
    for _ in 0..depth {
        let outer = Onnx::new(17)
            .node("If", &["c"], &["deep"])
            .with(onnx::graph("then_branch", body))
            .with(onnx::graph("else_branch", branch("Neg")))
            .output("deep", F32, "2");
        body = outer.into_graph();
    }
    Onnx::new(17)
        .input("c", DType::Bool, "")
        .input("x", F32, "2")
        .node("If", &["c"], &["y"])
        .with(onnx::graph("then_branch", body))
        .with(onnx::graph("else_branch", branch("Neg")))
        .output("y", F32, "2")
}

fn base() -> Onnx {
    Onnx::new(17).input("x", F32, "2,3")
}

fn opset(version: i64) -> Onnx {
    Onnx::new(version).input("x", F32, "2,3").node("Relu", &["x"], &["y"]).output("y", F32, "2,3")
}

/// `y = x + w` with these bytes for `w`.
fn weight(shape: &str, bytes: Vec<u8>) -> Onnx {
    base().initializer(onnx::tensor("w", F32, shape, bytes)).node("Add", &["x", "w"], &["y"]).output("y", F32, "2,3")
}

/// `y = x + w` with `w` (24 bytes) in another file, which is written if a size is given.
fn external(folder: &Path, size_bytes: Option<usize>, entries: &[(&str, &str)]) -> PathBuf {
    if let Some(size_bytes) = size_bytes {
        std::fs::write(folder.join("weights.bin"), vec![0; size_bytes]).expect("the weights are written");
    }
    base()
        .initializer(onnx::external_tensor("w", F32, "2,3", entries))
        .node("Add", &["x", "w"], &["y"])
        .output("y", F32, "2,3")
        .save(folder)
}

/// A branch that applies one operator to the outer `x`.
fn branch(op: &str) -> pb::GraphProto {
    Onnx::new(17).node(op, &["x"], &["deep"]).output("deep", F32, "2").into_graph()
}

fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("model.onnx");
    std::fs::write(&path, bytes).expect("the model is written");
    path
}

fn graph(model: &mut pb::ModelProto) -> &mut pb::GraphProto {
    model.graph.get_or_insert_default()
}

fn element_type(value: &mut pb::ValueInfoProto, number: i32) {
    let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    if let Some(pb::type_proto::Value::TensorType(tensor)) = kind {
        tensor.elem_type = number;
    }
}

/// A shape vector as an initialiser, for models that compute shapes.
pub fn shape_weight(dims: &[i64]) -> pb::TensorProto {
    let bytes = dims.iter().flat_map(|dim| dim.to_le_bytes()).collect();
    onnx::tensor("shape", I64, &dims.len().to_string(), bytes)
}
