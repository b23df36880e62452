//! Quantization: the device computes with the numbers that 8-bit integers stand for.

use super::{Call, Operator, one};
use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::shape;
use crate::value::Value;
use burn_backend::Scalar;
use burn_backend::ops::FloatTensorOps;
use pannier_engine::DType;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("DequantizeLinear", dequantize).check(check),
    Operator::new("QuantizeLinear", quantize).check(check),
];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    let block = attributes.int("block_size", 0)?;
    if block == 0 { Ok(()) } else { Err(Failure::Unsupported(format!("attribute block_size={block}"))) }
}

/// Scale or zero point as numbers, along the axis where there are several.
fn along(call: &Call<'_>, x: &Array, index: usize) -> Outcome<Option<Array>> {
    let Some(parameter) = call.array_if_any(index)? else { return Ok(None) };
    let parameter = call.scope.cast(&parameter, DType::F32)?;
    if parameter.len() == 1 {
        return call.scope.reshape(&parameter, Vec::new()).map(Some);
    }
    let axis = shape::axis(call.attributes.int("axis", 1)?, x.rank())?;
    let mut shape = vec![1; x.rank()];
    shape[axis] = parameter.len();
    call.scope.reshape(&parameter, shape).map(Some)
}

fn scale(call: &Call<'_>, x: &Array) -> Outcome<Array> {
    along(call, x, 1)?.ok_or_else(|| Failure::Invalid("no scale".into()))
}

fn dequantize(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    if x.kind() != Kind::Int {
        return Err(Failure::Unsupported(format!("DequantizeLinear of {}", x.dtype.name())));
    }
    let mut numbers = call.scope.cast(&x, DType::F32)?;
    if let Some(zero) = along(call, &x, 2)? {
        numbers = call.scope.sub(&numbers, &zero)?;
    }
    one(call.scope.mul(&numbers, &scale(call, &x)?)?)
}

fn quantize(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.float(0)?;
    let dtype = call.get(2).map_or(DType::U8, Value::dtype);
    let (low, high) = match dtype {
        DType::U8 => (0.0, 255.0),
        DType::I8 => (-128.0, 127.0),
        DType::U16 => (0.0, 65535.0),
        DType::I16 => (-32768.0, 32767.0),
        _ => return Err(Failure::Unsupported(format!("QuantizeLinear to {}", dtype.name()))),
    };
    // Round first, then shift: the standard rounds to even before the zero point is added.
    let steps = call.scope.each(&call.scope.div(&x, &scale(call, &x)?)?, B::float_round)?;
    let shifted = match along(call, &x, 2)? {
        Some(zero) => call.scope.add(&steps, &zero)?,
        None => steps,
    };
    let clamped = call.scope.each(&shifted, |x| B::float_clamp(x, Scalar::Float(low), Scalar::Float(high)))?;
    one(call.scope.cast(&clamped, dtype)?)
}
