//! Types.

use super::{Call, Operator, one};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::host::{Host, Numbers, is_float};
use crate::value::Value;
use pannier_engine::DType;

pub(super) const OPERATORS: &[Operator] =
    &[Operator::new("Cast", cast).check(check).host(cast_host), Operator::new("CastLike", cast).host(cast_host)];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    dtype(attributes.int("to", 0)?).map(drop)
}

/// A type by its number in ONNX.
pub(super) fn dtype(number: i64) -> Outcome<DType> {
    let dtype = i32::try_from(number).ok().and_then(DType::from_onnx_number);
    dtype.ok_or_else(|| Failure::Unsupported(format!("element type {number}")))
}

fn wanted(call: &Call<'_>) -> Outcome<DType> {
    if call.op() == "CastLike" { Ok(call.value(1)?.dtype()) } else { dtype(call.attributes.int("to", 0)?) }
}

fn cast(call: &Call<'_>) -> Outcome<Vec<Value>> {
    one(call.scope.cast(&call.array(0)?, wanted(call)?)?)
}

fn cast_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let (x, to) = (call.known(0)?, wanted(call)?);
    let shape = x.shape.clone();
    let cast = match &x.numbers {
        _ if is_float(to) => Host::floats(to, shape, x.to_floats()),
        Numbers::Ints(values) => Host::ints(to, shape, values.clone()),
        Numbers::Floats(values) if to == DType::Bool => {
            Host::ints(to, shape, values.iter().map(|value| i64::from(*value != 0.0)).collect())
        }
        Numbers::Floats(values) => Host::ints(to, shape, values.iter().map(|value| *value as i64).collect()),
    };
    Ok(Some(vec![cast]))
}
