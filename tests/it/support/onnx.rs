//! Tiny ONNX files, written in a few lines.

use pannier_graph::DType;
use prost::Message;
use std::path::{Path, PathBuf};
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};

/// A model in the making.
///
/// ```ignore
/// let bytes = Onnx::new(17)
///     .input("x", DType::F32, "batch,2")
///     .floats("w", "2,3", &[1.0; 6])
///     .node("MatMul", &["x", "w"], &["y"])
///     .output("y", DType::F32, "batch,3")
///     .bytes();
/// ```
#[derive(Debug, Clone)]
pub struct Onnx {
    model: pb::ModelProto,
}

impl Onnx {
    /// An empty model at this version of the `ai.onnx` operator set.
    pub fn new(opset: i64) -> Onnx {
        let graph = pb::GraphProto { name: "test".to_owned(), ..Default::default() };
        let model = pb::ModelProto { ir_version: 8, graph: Some(graph), ..Default::default() };
        Onnx { model }.domain("", opset)
    }

    /// Imports another operator set.
    pub fn domain(mut self, domain: &str, version: i64) -> Onnx {
        self.model.opset_import.push(pb::OperatorSetIdProto { domain: domain.to_owned(), version });
        self
    }

    /// Adds a graph input. `shape` as in [`value`].
    pub fn input(mut self, name: &str, dtype: DType, shape: &str) -> Onnx {
        self.graph().input.push(value(name, dtype, shape));
        self
    }

    /// Adds a graph output. `shape` as in [`value`].
    pub fn output(mut self, name: &str, dtype: DType, shape: &str) -> Onnx {
        self.graph().output.push(value(name, dtype, shape));
        self
    }

    /// Adds an initialiser of binary32 numbers.
    pub fn floats(self, name: &str, shape: &str, values: &[f32]) -> Onnx {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(tensor(name, DType::F32, shape, bytes))
    }

    /// Adds an initialiser of 64-bit integers.
    pub fn ints(self, name: &str, shape: &str, values: &[i64]) -> Onnx {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(tensor(name, DType::I64, shape, bytes))
    }

    /// Adds an initialiser.
    pub fn initializer(mut self, tensor: pb::TensorProto) -> Onnx {
        self.graph().initializer.push(tensor);
        self
    }

    /// Adds a node, named after its first output.
    pub fn node(mut self, op: &str, inputs: &[&str], outputs: &[&str]) -> Onnx {
        self.graph().node.push(node(op, inputs, outputs));
        self
    }

    /// Gives the last node an attribute.
    pub fn with(mut self, attribute: pb::AttributeProto) -> Onnx {
        self.graph().node.last_mut().expect("a node comes before its attributes").attribute.push(attribute);
        self
    }

    /// Changes anything else.
    pub fn edit(mut self, change: impl FnOnce(&mut pb::ModelProto)) -> Onnx {
        change(&mut self.model);
        self
    }

    /// The graph alone, for the body of an `If` or a `Loop`.
    pub fn into_graph(self) -> pb::GraphProto {
        self.model.graph.unwrap_or_default()
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// Writes `model.onnx` into `folder` and returns its path.
    pub fn save(&self, folder: &Path) -> PathBuf {
        let path = folder.join("model.onnx");
        std::fs::write(&path, self.bytes()).expect("the model is written");
        path
    }

    fn graph(&mut self) -> &mut pb::GraphProto {
        self.model.graph.get_or_insert_default()
    }
}

/// A node, named after its first output.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> pb::NodeProto {
    pb::NodeProto {
        name: format!("{}_{op}", outputs.first().copied().unwrap_or_default()),
        op_type: op.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: outputs.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

/// A typed value. `shape` lists its dimensions, separated by commas: numbers or names of symbols; empty for a scalar.
pub fn value(name: &str, dtype: DType, shape: &str) -> pb::ValueInfoProto {
    let dim = dimensions(shape)
        .map(|text| match text.parse() {
            Ok(number) => dimension::Value::DimValue(number),
            Err(_) => dimension::Value::DimParam(text.to_owned()),
        })
        .map(|value| Dimension { value: Some(value), ..Default::default() })
        .collect();
    let tensor = pb::type_proto::Tensor { elem_type: dtype.onnx_number(), shape: Some(pb::TensorShapeProto { dim }) };
    let r#type = pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), ..Default::default() }
}

/// A tensor with raw bytes. `shape` as in [`value`], numbers only.
pub fn tensor(name: &str, dtype: DType, shape: &str, raw_data: Vec<u8>) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        dims: dimensions(shape).map(|text| text.parse().expect("a number")).collect(),
        data_type: dtype.onnx_number(),
        raw_data,
        ..Default::default()
    }
}

/// A tensor whose bytes lie in another file. Keys as in the ONNX documentation: `location`, `offset`, `length`.
pub fn external_tensor(name: &str, dtype: DType, shape: &str, entries: &[(&str, &str)]) -> pb::TensorProto {
    let entry =
        |(key, value): &(&str, &str)| pb::StringStringEntryProto { key: (*key).to_owned(), value: (*value).to_owned() };
    pb::TensorProto {
        data_location: Some(pb::tensor_proto::DataLocation::External as i32),
        external_data: entries.iter().map(entry).collect(),
        ..tensor(name, dtype, shape, Vec::new())
    }
}

/// `INT` attribute.
pub fn int(name: &str, i: i64) -> pb::AttributeProto {
    pb::AttributeProto { i, ..attribute(name, AttributeType::Int) }
}

/// `INTS` attribute.
pub fn ints(name: &str, ints: &[i64]) -> pb::AttributeProto {
    pb::AttributeProto { ints: ints.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// `FLOAT` attribute.
pub fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto { f, ..attribute(name, AttributeType::Float) }
}

/// `STRING` attribute.
pub fn string(name: &str, text: &str) -> pb::AttributeProto {
    pb::AttributeProto { s: text.as_bytes().to_vec(), ..attribute(name, AttributeType::String) }
}

/// `TENSOR` attribute.
pub fn tensor_attribute(name: &str, t: pb::TensorProto) -> pb::AttributeProto {
    pb::AttributeProto { t: Some(t), ..attribute(name, AttributeType::Tensor) }
}

/// `GRAPH` attribute.
pub fn graph(name: &str, g: pb::GraphProto) -> pb::AttributeProto {
    pb::AttributeProto { g: Some(g), ..attribute(name, AttributeType::Graph) }
}

fn attribute(name: &str, kind: AttributeType) -> pb::AttributeProto {
    pb::AttributeProto { name: name.to_owned(), r#type: kind as i32, ..Default::default() }
}

fn dimensions(shape: &str) -> impl Iterator<Item = &str> {
    shape.split(',').map(str::trim).filter(|text| !text.is_empty())
}
