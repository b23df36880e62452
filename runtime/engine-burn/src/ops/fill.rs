//! Tensors out of nothing.

use super::{Call, Operator, one};
use crate::array::{B, Kind, by_kind};
use crate::failure::{Failure, Outcome};
use crate::host::{Host, MAX_ELEMENTS, Numbers, is_float};
use crate::shape;
use crate::value::Value;
use burn_backend::Scalar;
use burn_backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use pannier_engine::{DType, Tensor};
use pannier_graph::{Attribute, Literal};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Constant", super::on_cpu_only).host(constant),
    Operator::new("ConstantOfShape", constant_of_shape).host(constant_of_shape_host).needs(&[0]),
    Operator::new("Range", super::on_cpu_only).host(range).needs(&[0, 1, 2]),
    Operator::new("Trilu", trilu).needs(&[1]),
];

fn literal(literal: &Literal) -> Outcome<Host> {
    let shape: Option<Vec<usize>> = literal.shape.iter().map(|size| usize::try_from(*size).ok()).collect();
    let tensor = shape.and_then(|shape| Tensor::new(literal.dtype, shape, &literal.bytes).ok());
    let host = tensor.as_ref().and_then(|tensor| Host::read(tensor.view()));
    host.ok_or_else(|| Failure::Unsupported("a large tensor in an attribute".into()))
}

fn constant(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let attribute = call.attributes.0.attributes.first().map(|(name, value)| (name.as_str(), value));
    let host = match attribute {
        Some(("value", Attribute::Tensor(value))) => literal(value)?,
        Some(("value_int", Attribute::Int(value))) => Host::ints(DType::I64, Vec::new(), vec![*value]),
        Some(("value_ints", Attribute::Ints(values))) => Host::list(values.clone()),
        Some(("value_float", Attribute::Float(value))) => Host::floats(DType::F32, Vec::new(), vec![f64::from(*value)]),
        Some(("value_floats", Attribute::Floats(values))) => {
            Host::floats(DType::F32, vec![values.len()], values.iter().map(|value| f64::from(*value)).collect())
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![host]))
}

/// Type and number of the elements.
fn element(call: &Call<'_>) -> Outcome<(DType, f64, i64)> {
    match call.attributes.0.attribute("value") {
        None => Ok((DType::F32, 0.0, 0)),
        Some(Attribute::Tensor(value)) => {
            let host = literal(value)?;
            let float = host.to_floats().first().copied().unwrap_or(0.0);
            let int = host.as_ints().and_then(|values| values.first().copied()).unwrap_or(0);
            Ok((host.dtype, float, int))
        }
        Some(_) => Err(Failure::Invalid("attribute value has the wrong type".into())),
    }
}

fn wanted(call: &Call<'_>) -> Outcome<Vec<usize>> {
    call.ints(0)?.into_iter().map(shape::size).collect()
}

fn constant_of_shape(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (dtype, value, _) = element(call)?;
    one(call.scope.full(dtype, wanted(call)?, value)?)
}

fn constant_of_shape_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let shape = wanted(call)?;
    let Some(len) = shape::len(&shape).filter(|len| *len <= MAX_ELEMENTS) else { return Ok(None) };
    let (dtype, float, int) = element(call)?;
    let host = if is_float(dtype) {
        Host::floats(dtype, shape, vec![float; len])
    } else {
        Host::ints(dtype, shape, vec![int; len])
    };
    Ok(Some(vec![host]))
}

fn range(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let (start, limit, step) = (call.known(0)?, call.known(1)?, call.known(2)?);
    let number = |host: &Host| host.to_floats().first().copied().unwrap_or(f64::NAN);
    let count = ((number(limit) - number(start)) / number(step)).ceil().max(0.0);
    if !count.is_finite() || count > MAX_ELEMENTS as f64 {
        return Ok(None);
    }
    let count = count as i64;
    let host = match (&start.numbers, step.as_ints()) {
        (Numbers::Ints(first), Some([step])) => {
            let first = first.first().copied().unwrap_or(0);
            let values = (0..count).map(|index| first.wrapping_add(index.wrapping_mul(*step))).collect();
            Host::ints(start.dtype, vec![count as usize], values)
        }
        _ => {
            let values = (0..count).map(|index| number(start) + index as f64 * number(step)).collect();
            Host::floats(start.dtype, vec![count as usize], values)
        }
    };
    Ok(Some(vec![host]))
}

fn trilu(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    let offset = call.ints_if_any(1)?.and_then(|values| values.first().copied()).unwrap_or(0);
    let [.., rows, columns] = x.shape.as_slice() else { return Err(Failure::Invalid("Trilu of no matrix".into())) };
    let upper = call.attributes.flag("upper", true)?;
    let drop = |row: usize, column: usize| {
        let diagonal = (column as i64).saturating_sub(row as i64);
        if upper { diagonal < offset } else { diagonal > offset }
    };
    let mask: Vec<bool> = (0..*rows).flat_map(|row| (0..*columns).map(move |column| drop(row, column))).collect();
    let mask = Tensor::from_bools(vec![*rows, *columns], &mask).map_err(|why| Failure::Invalid(why.to_string()))?;
    let mask = call.scope.expand(&call.scope.upload(mask.view())?, &x.shape)?;
    let zero = if x.kind() == Kind::Float { Scalar::Float(0.0) } else { Scalar::Int(0) };
    one(call.scope.each(&x, |data| {
        by_kind!(x.kind(), B::float_mask_fill, B::int_mask_fill, B::bool_mask_fill, (data, mask.data, zero))
    })?)
}
