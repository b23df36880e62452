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
pub(super) fn dtype(code: i64) -> Outcome<DType> {
    Ok(match code {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        code => return Err(Failure::Unsupported(format!("element type {code}"))),
    })
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
