//! From our graph to the protobuf message that tract reads.
//!
//! Nothing of the source file's spelling reaches tract: values are called `v12`, nodes `n7` and symbols `s0`, so that
//! names from elsewhere can neither clash nor be taken for expressions, and every message of tract can be led back to
//! the node it is about. The main body's weights are not in the message: see `parse`.

use crate::ops;
use pannier_engine::{EngineError, Program};
use pannier_graph::{Attribute, Body, DType, Dim, Literal, Node, OPSET, ValueId, Weight};
use std::collections::{BTreeMap, HashSet};
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};

/// The message, and what the names in it stand for.
pub(crate) struct Proto {
    pub(crate) model: pb::ModelProto,
    pub(crate) nodes: NodeNames,
    /// Our symbols, in the order of tract's `s0`, `s1`, ...
    pub(crate) symbols: Vec<String>,
}

/// What to call our nodes in a message, by the number in tract's name for them.
pub(crate) struct NodeNames(Vec<NodeName>);

struct NodeName {
    /// Its own name, or its operator if it has none.
    name: String,
    op: String,
}

impl NodeNames {
    /// Our name of a node that tract calls `n7`, `n7.bias` or the like; empty if it is none of ours.
    pub(crate) fn of(&self, tract_name: &str) -> &str {
        self.find(tract_name).map_or("", |node| &node.name)
    }

    /// Our name of the first node that a text of tract mentions.
    pub(crate) fn mentioned(&self, text: &str) -> String {
        self.first(text).map(|node| node.name.clone()).unwrap_or_default()
    }

    /// The operator of the first node that a text of tract mentions.
    pub(crate) fn operator(&self, text: &str) -> String {
        self.first(text).map(|node| node.op.clone()).unwrap_or_default()
    }

    fn first(&self, text: &str) -> Option<&NodeName> {
        text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| self.find(word))
    }

    fn find(&self, tract_name: &str) -> Option<&NodeName> {
        let digits = tract_name.strip_prefix('n')?.split('.').next()?;
        self.0.get(digits.parse::<usize>().ok()?)
    }
}

/// The message for a program.
///
/// # Errors
/// [`EngineError::InvalidGraph`] for a nested weight whose bytes are not there.
pub(crate) fn proto(program: &Program) -> Result<Proto, EngineError> {
    let mut writer = Writer { program, nodes: Vec::new(), symbols: BTreeMap::new() };
    let mut graph = writer.body(&program.graph.body, false)?;
    lead_weights_out(&program.graph.body, &mut graph);
    let mut opset_import = vec![pb::OperatorSetIdProto { domain: String::new(), version: i64::from(OPSET) }];
    for (domain, version) in &program.graph.domains {
        opset_import.push(pb::OperatorSetIdProto { domain: domain.clone(), version: i64::from(*version) });
    }
    let mut symbols: Vec<(usize, String)> = writer.symbols.into_iter().map(|(name, index)| (index, name)).collect();
    symbols.sort();
    Ok(Proto {
        model: pb::ModelProto { ir_version: 10, opset_import, graph: Some(graph), ..Default::default() },
        nodes: NodeNames(writer.nodes),
        symbols: symbols.into_iter().map(|(_, name)| name).collect(),
    })
}

/// The name under which tract knows a value.
pub(crate) fn value_name(value: ValueId) -> String {
    format!("v{}", value.0)
}

/// An output that is a weight gets a node of its own: tract looks for outputs before we bring the weights.
fn lead_weights_out(body: &Body, graph: &mut pb::GraphProto) {
    let weights: HashSet<ValueId> = body.weights.iter().map(|weight| weight.value).collect();
    for (index, (value, output)) in body.outputs.iter().zip(&mut graph.output).enumerate() {
        if weights.contains(value) {
            output.name = format!("output{index}");
            graph.node.push(pb::NodeProto {
                name: output.name.clone(),
                op_type: "Identity".into(),
                input: vec![value_name(*value)],
                output: vec![output.name.clone()],
                ..Default::default()
            });
        }
    }
}

struct Writer<'a> {
    program: &'a Program,
    nodes: Vec<NodeName>,
    symbols: BTreeMap<String, usize>,
}

impl Writer<'_> {
    fn body(&mut self, body: &Body, nested: bool) -> Result<pb::GraphProto, EngineError> {
        let mut graph = pb::GraphProto { name: "g".into(), ..Default::default() };
        for input in &body.inputs {
            let value = input.dtype.map(|dtype| self.tensor_type(dtype, input.shape.as_deref()));
            graph.input.push(value_info(input.value, value));
        }
        graph.output = body.outputs.iter().map(|output| value_info(*output, None)).collect();
        if nested {
            for weight in &body.weights {
                graph.initializer.push(self.initializer(weight)?);
            }
        }
        for node in &body.nodes {
            let node = self.node(node)?;
            graph.node.push(node);
        }
        Ok(graph)
    }

    fn node(&mut self, node: &Node) -> Result<pb::NodeProto, EngineError> {
        let index = self.nodes.len();
        let name = if node.name.is_empty() { &node.op } else { &node.name };
        self.nodes.push(NodeName { name: name.clone(), op: node.op.clone() });
        let attributes = node.attributes.iter().map(|(name, value)| self.attribute(name, value));
        let mut attribute = attributes.collect::<Result<Vec<_>, _>>()?;
        // tract's default is a zero of binary64, the standard's one of binary32.
        if node.op == "ConstantOfShape" && node.attribute("value").is_none() {
            let zero = Literal { dtype: DType::F32, shape: vec![1], bytes: vec![0; 4] };
            attribute.push(self.attribute("value", &Attribute::Tensor(zero))?);
        }
        let to_i64 =
            node.op == "Cast" && node.attribute("to") == Some(&Attribute::Int(i64::from(DType::I64.onnx_number())));
        Ok(pb::NodeProto {
            name: format!("n{index}"),
            op_type: if to_i64 { ops::CAST_TO_I64.into() } else { node.op.clone() },
            domain: node.domain.clone(),
            input: names(&node.inputs),
            output: names(&node.outputs),
            attribute,
            ..Default::default()
        })
    }

    fn attribute(&mut self, name: &str, value: &Attribute) -> Result<pb::AttributeProto, EngineError> {
        let mut proto = pb::AttributeProto { name: name.to_string(), ..Default::default() };
        let kind = match value {
            Attribute::Int(value) => {
                proto.i = *value;
                AttributeType::Int
            }
            Attribute::Float(value) => {
                proto.f = *value;
                AttributeType::Float
            }
            Attribute::String(value) => {
                proto.s = value.clone();
                AttributeType::String
            }
            Attribute::Tensor(literal) => {
                proto.t = Some(literal_tensor(literal));
                AttributeType::Tensor
            }
            Attribute::Body(body) => {
                proto.g = Some(self.body(body, true)?);
                AttributeType::Graph
            }
            Attribute::Ints(values) => {
                proto.ints = values.clone();
                AttributeType::Ints
            }
            Attribute::Floats(values) => {
                proto.floats = values.clone();
                AttributeType::Floats
            }
            Attribute::Strings(values) => {
                proto.strings = values.clone();
                AttributeType::Strings
            }
        };
        proto.r#type = kind as i32;
        Ok(proto)
    }

    /// The initialiser of a nested body. Those are few and small, so their bytes go into the message.
    fn initializer(&self, weight: &Weight) -> Result<pb::TensorProto, EngineError> {
        let bytes = crate::weights::bytes(self.program, weight)?;
        let literal = Literal { dtype: weight.dtype, shape: weight.shape.clone(), bytes: bytes.to_vec() };
        Ok(pb::TensorProto { name: value_name(weight.value), ..literal_tensor(&literal) })
    }

    fn tensor_type(&mut self, dtype: DType, shape: Option<&[Dim]>) -> pb::TypeProto {
        let shape =
            shape.map(|dims| pb::TensorShapeProto { dim: dims.iter().map(|dim| self.dimension(dim)).collect() });
        let tensor = pb::type_proto::Tensor { elem_type: dtype.onnx_number(), shape };
        pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), ..Default::default() }
    }

    fn dimension(&mut self, dim: &Dim) -> Dimension {
        let value = match dim {
            Dim::Fixed(size) => dimension::Value::DimValue(i64::try_from(*size).unwrap_or(i64::MAX)),
            Dim::Symbol(name) => {
                let next = self.symbols.len();
                let index = *self.symbols.entry(name.clone()).or_insert(next);
                dimension::Value::DimParam(format!("s{index}"))
            }
        };
        Dimension { value: Some(value), ..Default::default() }
    }
}

fn value_info(value: ValueId, r#type: Option<pb::TypeProto>) -> pb::ValueInfoProto {
    pb::ValueInfoProto { name: value_name(value), r#type, ..Default::default() }
}

fn names(values: &[Option<ValueId>]) -> Vec<String> {
    let mut names: Vec<String> = values.iter().map(|value| value.map(value_name).unwrap_or_default()).collect();
    // Builders count names: an optional input that is absent at the end must not be there as an empty one.
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}

fn literal_tensor(literal: &Literal) -> pb::TensorProto {
    pb::TensorProto {
        dims: literal.shape.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
        data_type: literal.dtype.onnx_number(),
        raw_data: literal.bytes.clone(),
        ..Default::default()
    }
}
