//! ONNX attributes as the graph's attributes.

use super::error::Why;
use super::tensor;
use pannier_graph::{Attribute, Literal};
use std::path::Path;
use tract_onnx::pb::AttributeProto;
use tract_onnx::pb::attribute_proto::AttributeType;

/// The value of an attribute that is not a graph.
///
/// # Errors
/// [`Why::Attribute`] for contents that do not fit the stated type, [`Why::Feature`] for a type that bundles lack,
/// or what is wrong with a tensor.
pub(super) fn value(proto: &mut AttributeProto, folder: Option<&Path>) -> Result<Attribute, Why> {
    let wrong = |reason| Why::Attribute { name: proto.name.clone(), reason };
    Ok(match kind(proto) {
        AttributeType::Int => Attribute::Int(proto.i),
        AttributeType::Float => Attribute::Float(proto.f),
        AttributeType::String => Attribute::String(std::mem::take(&mut proto.s)),
        AttributeType::Ints => Attribute::Ints(std::mem::take(&mut proto.ints)),
        AttributeType::Floats => Attribute::Floats(std::mem::take(&mut proto.floats)),
        AttributeType::Strings => Attribute::Strings(std::mem::take(&mut proto.strings)),
        AttributeType::Tensor => {
            let tensor = proto.t.as_mut().ok_or(Why::Attribute { name: proto.name.clone(), reason: "no tensor" })?;
            let constant = tensor::constant(tensor, folder)?;
            let bytes = std::sync::Arc::unwrap_or_clone(constant.bytes);
            Attribute::Tensor(Literal { dtype: constant.dtype, shape: constant.shape, bytes })
        }
        AttributeType::Graph => return Err(wrong("a graph is not expected here")),
        AttributeType::Undefined => return Err(wrong("it has no type")),
        AttributeType::Graphs | AttributeType::Tensors => return Err(Why::Feature("lists of graphs or tensors")),
        AttributeType::SparseTensor | AttributeType::SparseTensors => return Err(Why::Feature("sparse tensors")),
        AttributeType::TypeProto | AttributeType::TypeProtos => return Err(Why::Feature("types as attributes")),
    })
}

/// The type of an attribute. Files before IR version 2 do not state it; there it is what is filled in.
pub(super) fn kind(proto: &AttributeProto) -> AttributeType {
    match proto.r#type() {
        AttributeType::Undefined if proto.g.is_some() => AttributeType::Graph,
        AttributeType::Undefined if proto.t.is_some() => AttributeType::Tensor,
        AttributeType::Undefined if !proto.ints.is_empty() => AttributeType::Ints,
        AttributeType::Undefined if !proto.floats.is_empty() => AttributeType::Floats,
        AttributeType::Undefined if !proto.strings.is_empty() => AttributeType::Strings,
        AttributeType::Undefined if !proto.s.is_empty() => AttributeType::String,
        AttributeType::Undefined if proto.f != 0.0 => AttributeType::Float,
        AttributeType::Undefined if proto.i != 0 => AttributeType::Int,
        known => known,
    }
}
