//! `Constant` nodes: their value goes where initialisers go.

use super::error::Why;
use super::model::Constant;
use pannier_graph::Attribute;
use std::sync::Arc;

/// The value of a `Constant` node with these attributes.
///
/// # Errors
/// [`Why::Feature`] for strings and sparse tensors, [`Why::AttributeMissing`] if there is no value.
pub(super) fn value(attributes: Vec<(String, Attribute)>) -> Result<Constant, Why> {
    let (name, value) = attributes.into_iter().next().ok_or(Why::AttributeMissing("value".to_owned()))?;
    Ok(match (name.as_str(), value) {
        ("value", Attribute::Tensor(literal)) => {
            Constant { dtype: literal.dtype, shape: literal.shape, bytes: Arc::new(literal.bytes) }
        }
        ("value_int", Attribute::Int(value)) => Constant::from_ints(&[], &[value]),
        ("value_ints", Attribute::Ints(values)) => Constant::ints_1d(&values),
        ("value_float", Attribute::Float(value)) => Constant::from_floats(&[], &[value]),
        ("value_floats", Attribute::Floats(values)) => Constant::from_floats(&[values.len() as u64], &values),
        ("value_string" | "value_strings", _) => return Err(Why::DType("STRING".to_owned())),
        _ => return Err(Why::Attribute { name, reason: "not a value of a constant" }),
    })
}
