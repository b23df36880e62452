//! From a program back to an ONNX file: what is in a bundle can always be opened with other tools.

mod proto;
mod weights;

use pannier_bundle::manifest::Port;
use pannier_bundle::{Code, DType, Dim};
use pannier_engine::Program;
use pannier_graph::{Attribute, Body, Graph, Literal, Node, OPSET, ValueId};
use prost::Message;
use std::collections::BTreeSet;
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;

/// Version of the file format that came with operator set [`OPSET`].
const IR_VERSION: i64 = 13;

/// Why a program cannot be written as ONNX.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A weight's bytes are not in the program.
    #[error("weight `{weight}` lies outside its section or its encoding does not fit")]
    Weight {
        /// Name of the weight.
        weight: String,
    },
    /// The interface is not the graph's.
    #[error("the graph has {expected} {what}, {found} are described")]
    Ports {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Of the graph.
        expected: usize,
        /// In the description.
        found: usize,
    },
}

impl ExportError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code::Corrupt
    }
}

/// Writes a program as an ONNX file at opset [`OPSET`]. Weights that are stored as integers or as binary16 stay so, each with
/// the node behind it that decodes it: `DequantizeLinear` or `Cast`. `inputs` and `outputs` describe the
/// graph's interface in its order; their names are those of the graph.
///
/// The same program gives the same bytes.
///
/// # Errors
/// [`ExportError::Weight`] and [`ExportError::Ports`]. Never panics.
pub fn to_onnx(program: &Program, inputs: &[Port], outputs: &[Port]) -> Result<Vec<u8>, ExportError> {
    let graph = &program.graph;
    for (what, expected, found) in
        [("inputs", graph.body.inputs.len(), inputs.len()), ("outputs", graph.body.outputs.len(), outputs.len())]
    {
        if expected != found {
            return Err(ExportError::Ports { what, expected, found });
        }
    }
    let writer = Writer { program, graph, names: graph.values.iter().map(String::as_str).collect() };
    let mut main = writer.body(&graph.body, "main")?;
    main.input = main.input.into_iter().zip(inputs).map(typed).collect();
    main.output = main.output.into_iter().zip(outputs).map(typed).collect();
    let standard = proto::OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET.into()) };
    let others = graph.domains.iter().map(|(domain, version)| proto::OperatorSetIdProto {
        domain: Some(domain.clone()),
        version: Some((*version).into()),
    });
    let model = proto::ModelProto {
        ir_version: IR_VERSION,
        opset_import: std::iter::once(standard).chain(others).collect(),
        producer_name: "pannier".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(main),
    };
    Ok(model.encode_to_vec())
}

struct Writer<'a> {
    program: &'a Program,
    graph: &'a Graph,
    names: BTreeSet<&'a str>,
}

impl Writer<'_> {
    fn body(&self, body: &Body, name: &str) -> Result<proto::GraphProto, ExportError> {
        let inputs = body.inputs.iter();
        let inputs =
            inputs.map(|input| value_info(self.name(input.value), input.dtype, input.shape.as_deref())).collect();
        let outputs = body.outputs.iter().map(|value| value_info(self.name(*value), None, None)).collect();
        let (mut nodes, mut initializers) = (Vec::new(), Vec::new());
        for weight in &body.weights {
            let exported = weights::export(self, weight)?;
            initializers.extend(exported.initializers);
            nodes.extend(exported.node);
        }
        for node in &body.nodes {
            nodes.push(self.node(node)?);
        }
        Ok(proto::GraphProto {
            name: name.to_owned(),
            node: nodes,
            initializer: initializers,
            input: inputs,
            output: outputs,
        })
    }

    fn node(&self, node: &Node) -> Result<proto::NodeProto, ExportError> {
        let names = |values: &[Option<ValueId>]| {
            values.iter().map(|value| value.map(|value| self.name(value)).unwrap_or_default()).collect()
        };
        let attributes = node.attributes.iter().map(|(name, value)| self.attribute(name, value));
        Ok(proto::NodeProto {
            input: names(&node.inputs),
            output: names(&node.outputs),
            name: node.name.clone(),
            op_type: node.op.clone(),
            domain: node.domain.clone(),
            attribute: attributes.collect::<Result<_, _>>()?,
        })
    }

    fn attribute(&self, name: &str, value: &Attribute) -> Result<proto::AttributeProto, ExportError> {
        let mut written = proto::AttributeProto { name: name.to_owned(), ..proto::AttributeProto::default() };
        let kind = match value {
            Attribute::Int(value) => {
                written.i = Some(*value);
                AttributeType::Int
            }
            Attribute::Float(value) => {
                written.f = Some(*value);
                AttributeType::Float
            }
            Attribute::String(value) => {
                written.s = Some(value.clone());
                AttributeType::String
            }
            Attribute::Tensor(literal) => {
                written.t = Some(tensor(literal));
                AttributeType::Tensor
            }
            Attribute::Body(body) => {
                written.g = Some(self.body(body, name)?);
                AttributeType::Graph
            }
            Attribute::Ints(values) => {
                written.ints.clone_from(values);
                AttributeType::Ints
            }
            Attribute::Floats(values) => {
                written.floats.clone_from(values);
                AttributeType::Floats
            }
            Attribute::Strings(values) => {
                written.strings.clone_from(values);
                AttributeType::Strings
            }
        };
        written.r#type = kind.into();
        Ok(written)
    }

    /// A name that no value has.
    fn fresh(&self, name: &str) -> String {
        let mut name = name.to_owned();
        while self.names.contains(name.as_str()) {
            name.push('_');
        }
        name
    }

    fn name(&self, value: ValueId) -> String {
        self.graph.value_name(value).to_owned()
    }
}

fn tensor(literal: &Literal) -> pb::TensorProto {
    pb::TensorProto {
        dims: literal.shape.iter().map(|size| signed(*size)).collect(),
        data_type: literal.dtype.onnx_number(),
        raw_data: literal.bytes.clone(),
        ..pb::TensorProto::default()
    }
}

/// A value of the main graph with the type that its description states.
fn typed((value, port): (pb::ValueInfoProto, &Port)) -> pb::ValueInfoProto {
    value_info(value.name, Some(port.dtype), Some(&port.shape))
}

/// A value with what is known of its type. ONNX lets an element type stand without a shape, not the reverse.
fn value_info(name: String, dtype: Option<DType>, shape: Option<&[Dim]>) -> pb::ValueInfoProto {
    let shape = shape.map(|shape| pb::TensorShapeProto { dim: shape.iter().map(dimension).collect() });
    let r#type = dtype.map(|dtype| pb::TypeProto {
        value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
            elem_type: dtype.onnx_number(),
            shape,
        })),
        ..pb::TypeProto::default()
    });
    pb::ValueInfoProto { name, r#type, ..pb::ValueInfoProto::default() }
}

fn dimension(dim: &Dim) -> pb::tensor_shape_proto::Dimension {
    use pb::tensor_shape_proto::dimension::Value;
    let value = match dim {
        Dim::Fixed(size) => Value::DimValue(signed(*size)),
        Dim::Symbol(name) => Value::DimParam(name.clone()),
    };
    pb::tensor_shape_proto::Dimension { value: Some(value), ..Default::default() }
}

/// Sizes of a valid graph are below 2^63.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
