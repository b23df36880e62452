//! Elements by their positions.

use super::{Call, Operator, one};
use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::host::Host;
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;
use burn_backend::Scalar;
use burn_backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use pannier_engine::DType;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Gather", gather).host(gather_host),
    Operator::new("GatherElements", gather_elements),
    Operator::new("GatherND", gather_nd).check(check_nd),
    Operator::new("OneHot", one_hot).needs(&[1, 2]),
];

/// Indices that burn takes: none negative, none beyond the axis. Those that the CPU knows are checked; of those that it does not
/// know, what lies outside is brought to the nearest element, so that no other memory is read.
pub(super) fn indices(value: &Value, size: usize, scope: &Scope<'_>) -> Outcome<Array> {
    let bound = i64::try_from(size).unwrap_or(i64::MAX);
    if let Some(values) = value.known().and_then(Host::as_ints) {
        let outside = values.iter().find(|index| **index < -bound || **index >= bound);
        if let Some(index) = outside {
            return Err(Failure::Invalid(format!("index {index} of an axis of {size}")));
        }
        if values.iter().all(|index| *index >= 0) {
            return value.on_device(scope);
        }
        let wrapped = values.iter().map(|index| if *index < 0 { index + bound } else { *index }).collect();
        return scope.upload_host(&Host::ints(DType::I64, value.shape().to_vec(), wrapped));
    }
    let array = value.on_device(scope)?;
    if array.kind() != Kind::Int {
        return Err(Failure::Invalid(format!("indices of {}", array.dtype.name())));
    }
    let (zero, bound) = (Scalar::Int(0), Scalar::Int(bound));
    let bools = scope.device.bool_type;
    let negative =
        scope.make(DType::Bool, array.shape.clone(), || B::int_lower_elem(array.data.clone(), zero, bools))?;
    let wrapped = scope.each(&array, |x| B::int_add_scalar(x, bound))?;
    let wrapped = scope.choose(&negative, &wrapped, &array)?;
    scope.each(&wrapped, |x| B::int_clamp(x, zero, Scalar::Int(size as i64 - 1)))
}

fn gather(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, index) = (call.array(0)?, call.value(1)?);
    let axis = shape::axis(call.attributes.int("axis", 0)?, x.rank())?;
    let mut shape = x.shape[..axis].to_vec();
    shape.extend_from_slice(index.shape());
    shape.extend_from_slice(&x.shape[axis + 1..]);
    let at = indices(index, x.shape[axis], &call.scope)?;
    let at = call.scope.reshape(&at, vec![at.len()])?;
    one(call.scope.reshape(&call.scope.select(&x, axis, &at)?, shape)?)
}

fn gather_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let (x, index) = (call.known(0)?, call.known(1)?);
    let axis = shape::axis(call.attributes.int("axis", 0)?, x.shape.len())?;
    let (size, inner) = (x.shape[axis] as i64, shape::product(&x.shape[axis + 1..]));
    let outer = shape::product(&x.shape[..axis]);
    let mut shape = x.shape[..axis].to_vec();
    shape.extend_from_slice(&index.shape);
    shape.extend_from_slice(&x.shape[axis + 1..]);
    if shape::len(&shape).is_none_or(|len| len > crate::host::MAX_ELEMENTS) {
        return Ok(None);
    }
    let mut flat = Vec::new();
    for block in 0..outer {
        for at in index.as_ints().unwrap_or_default() {
            let wrapped = if *at < 0 { at.saturating_add(size) } else { *at };
            let step = usize::try_from(wrapped).ok().filter(|step| *step < x.shape[axis]);
            let step = step.ok_or_else(|| Failure::Invalid(format!("index {at} of an axis of {size}")))?;
            flat.extend((0..inner).map(|element| (block * x.shape[axis] + step) * inner + element));
        }
    }
    Ok(x.pick(shape, &flat).map(|picked| vec![picked]))
}

fn gather_elements(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    let axis = shape::axis(call.attributes.int("axis", 0)?, x.rank())?;
    let at = indices(call.value(1)?, x.shape[axis], &call.scope)?;
    let fits = at.rank() == x.rank()
        && at.shape.iter().zip(&x.shape).enumerate().all(|(index, (a, b))| index == axis || a <= b);
    if !fits {
        return Err(Failure::Invalid(format!("indices {:?} of {:?}", at.shape, x.shape)));
    }
    // burn wants the other axes to be of the same size.
    let ranges = x.shape.iter().zip(&at.shape).enumerate();
    let ranges: Vec<_> =
        ranges.map(|(index, (size, wanted))| (0, if index == axis { *size } else { *wanted }, 1)).collect();
    let x = call.scope.slice(&x, &ranges)?;
    one(call.scope.make(x.dtype, at.shape.clone(), || match x.kind() {
        Kind::Float => B::float_gather(axis, x.data.clone(), at.data),
        Kind::Int => B::int_gather(axis, x.data.clone(), at.data),
        Kind::Bool => B::bool_gather(axis, x.data.clone(), at.data),
    })?)
}

fn check_nd(attributes: &Attributes<'_>) -> Outcome<()> {
    let batch = attributes.int("batch_dims", 0)?;
    if batch == 0 { Ok(()) } else { Err(Failure::Unsupported(format!("attribute batch_dims={batch}"))) }
}

/// The index of a row among the rows that the first axes of a tensor span, from a tensor of positions in its last axis.
pub(super) fn rows(value: &Value, sizes: &[usize], scope: &Scope<'_>) -> Outcome<Array> {
    let count = shape::at(value.shape(), value.shape().len().saturating_sub(1));
    let positions = value.on_device(scope)?;
    if positions.rank() == 0 || count == 0 || count > sizes.len() || positions.kind() != Kind::Int {
        return Err(Failure::Invalid(format!("positions {:?} in a tensor of {} axes", positions.shape, sizes.len())));
    }
    let points = positions.len() / count;
    let table = scope.reshape(&positions, vec![points, count])?;
    let strides = shape::strides(&sizes[..count]);
    let mut flat: Option<Array> = None;
    for (axis, stride) in strides.iter().enumerate() {
        let column = match value.known().and_then(Host::as_ints) {
            Some(values) => {
                let column = values.iter().skip(axis).step_by(count).copied().collect();
                indices(&Value::host(Host::list(column)), sizes[axis], scope)?
            }
            None => {
                let column = scope.slice_axis(&table, 1, axis, axis + 1)?;
                indices(&Value::array(scope.reshape(&column, vec![points])?), sizes[axis], scope)?
            }
        };
        let part = scope.each(&column, |x| B::int_mul_scalar(x, Scalar::Int(*stride as i64)))?;
        flat = Some(match flat {
            None => part,
            Some(sum) => scope.pair(&sum, &part, sum.dtype, B::int_add)?,
        });
    }
    flat.ok_or_else(|| Failure::Invalid("no positions".into()))
}

fn gather_nd(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, index) = (call.array(0)?, call.value(1)?);
    let Some((count, batch)) = index.shape().split_last() else {
        return Err(Failure::Invalid("no positions".into()));
    };
    let at = rows(index, &x.shape, &call.scope)?;
    let inner = &x.shape[*count..];
    let outer = shape::product(&x.shape[..*count]);
    let table = call.scope.reshape(&x, vec![outer, shape::product(inner)])?;
    let picked = call.scope.select(&table, 0, &at)?;
    one(call.scope.reshape(&picked, [batch, inner].concat())?)
}

fn one_hot(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let depth = usize::try_from(call.ints(1)?.first().copied().unwrap_or(0)).unwrap_or(0);
    let values = call.value(2)?;
    let [off, on] = call.floats(2)?[..] else { return Err(Failure::Invalid("OneHot without two values".into())) };
    if depth == 0 {
        return Err(Failure::Invalid("OneHot of no classes".into()));
    }
    let at = call.array(0)?;
    if at.kind() != Kind::Int {
        return Err(Failure::Unsupported(format!("OneHot of {}", at.dtype.name())));
    }
    let rank = at.rank() + 1;
    let axis = shape::axis(call.attributes.int("axis", -1)?, rank)?;
    let mut apart = at.shape.clone();
    apart.insert(axis, 1);
    // What lies outside of the classes is none of them.
    let classes = call.scope.indices(&(0..depth).collect::<Vec<_>>())?.named(at.dtype);
    let mut of_classes = vec![1; rank];
    of_classes[axis] = depth;
    let classes = call.scope.reshape(&classes, of_classes)?;
    let negative = Scalar::Int(0);
    let bools = call.scope.device.bool_type;
    let below =
        call.scope.make(DType::Bool, at.shape.clone(), || B::int_lower_elem(at.data.clone(), negative, bools))?;
    let wrapped = call.scope.each(&at, |x| B::int_add_scalar(x, Scalar::Int(depth as i64)))?;
    let at = call.scope.reshape(&call.scope.choose(&below, &wrapped, &at)?, apart)?;
    let hit = call.scope.pair(&at, &classes, DType::Bool, |x, y| B::int_equal(x, y, bools))?;
    let dtype = values.dtype();
    let (on, off) = (call.scope.full(dtype, vec![1], on)?, call.scope.full(dtype, vec![1], off)?);
    one(call.scope.choose(&hit, &on, &off)?)
}
