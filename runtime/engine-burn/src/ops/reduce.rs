//! Reductions.

use super::{Call, Operator, one};
use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::host::{Host, Numbers};
use crate::shape;
use crate::value::Value;
use burn_backend::IntDType;
use burn_backend::ops::{FloatTensorOps, IntTensorOps};
use burn_dispatch::DispatchTensor as T;
use pannier_engine::DType;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("ArgMax", arg).check(check_arg),
    Operator::new("ArgMin", arg).check(check_arg),
    Operator::new("CumSum", cumulative_sum).needs(&[1]),
    Operator::new("ReduceL1", reduce).needs(&[1]),
    Operator::new("ReduceL2", reduce).needs(&[1]),
    Operator::new("ReduceLogSum", reduce).needs(&[1]),
    Operator::new("ReduceLogSumExp", reduce).needs(&[1]),
    Operator::new("ReduceMax", reduce).host(reduce_host).needs(&[1]),
    Operator::new("ReduceMean", reduce).needs(&[1]),
    Operator::new("ReduceMin", reduce).host(reduce_host).needs(&[1]),
    Operator::new("ReduceProd", reduce).host(reduce_host).needs(&[1]),
    Operator::new("ReduceSum", reduce).host(reduce_host).needs(&[1]),
    Operator::new("ReduceSumSquare", reduce).needs(&[1]),
    Operator::new("TopK", top_k).check(check_top_k).needs(&[1]),
];

/// The axes to reduce, and the shape of the result.
fn axes(call: &Call<'_>) -> Outcome<(Vec<usize>, Vec<usize>)> {
    let shape = call.value(0)?.shape();
    let named = call.ints_if_any(1)?.filter(|axes| !axes.is_empty());
    let axes = match named {
        Some(axes) => shape::axes(&axes, shape.len())?,
        None if call.attributes.flag("noop_with_empty_axes", false)? => Vec::new(),
        None => (0..shape.len()).collect(),
    };
    let keep = call.attributes.flag("keepdims", true)?;
    let sizes = shape.iter().enumerate().filter(|(axis, _)| keep || !axes.contains(axis));
    let result = sizes.map(|(axis, size)| if axes.contains(&axis) { 1 } else { *size }).collect();
    Ok((axes, result))
}

fn reduce(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope) = (call.array(0)?, &call.scope);
    let (axes, shape) = axes(call)?;
    let over = |x: &Array, compute: fn(T, usize) -> T| scope.reduce(x, &axes, compute);
    let squares = || scope.mul(&x, &x);
    let reduced = match (call.op(), x.kind()) {
        ("ReduceSum", Kind::Float) => over(&x, B::float_sum_dim)?,
        ("ReduceMean", Kind::Float) => over(&x, B::float_mean_dim)?,
        ("ReduceMax", Kind::Float) => over(&x, B::float_max_dim)?,
        ("ReduceMin", Kind::Float) => over(&x, B::float_min_dim)?,
        ("ReduceProd", Kind::Float) => over(&x, B::float_prod_dim)?,
        ("ReduceL1", Kind::Float) => over(&scope.each(&x, B::float_abs)?, B::float_sum_dim)?,
        ("ReduceL2", Kind::Float) => scope.each(&over(&squares()?, B::float_sum_dim)?, B::float_sqrt)?,
        ("ReduceSumSquare", Kind::Float) => over(&squares()?, B::float_sum_dim)?,
        ("ReduceLogSum", Kind::Float) => scope.each(&over(&x, B::float_sum_dim)?, B::float_log)?,
        ("ReduceLogSumExp", Kind::Float) => {
            // The largest number is taken out first, or the others' exponentials overflow.
            let most = over(&x, B::float_max_dim)?;
            let rest = scope.each(&scope.sub(&x, &most)?, B::float_exp)?;
            scope.add(&scope.each(&over(&rest, B::float_sum_dim)?, B::float_log)?, &most)?
        }
        ("ReduceSum", Kind::Int) => over(&x, B::int_sum_dim)?,
        ("ReduceMax", Kind::Int) => over(&x, B::int_max_dim)?,
        ("ReduceMin", Kind::Int) => over(&x, B::int_min_dim)?,
        ("ReduceProd", Kind::Int) => over(&x, B::int_prod_dim)?,
        (op, _) => return Err(Failure::Unsupported(format!("{op} of {}", x.dtype.name()))),
    };
    one(scope.reshape(&reduced, shape)?)
}

fn reduce_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let x = call.known(0)?;
    let Numbers::Ints(values) = &x.numbers else { return Ok(None) };
    let (axes, shape) = axes(call)?;
    let combine: fn(i64, i64) -> i64 = match call.op() {
        "ReduceMax" => i64::max,
        "ReduceMin" => i64::min,
        "ReduceProd" => i64::wrapping_mul,
        _ => i64::wrapping_add,
    };
    let kept: Vec<usize> =
        x.shape.iter().enumerate().map(|(axis, size)| if axes.contains(&axis) { 1 } else { *size }).collect();
    let strides: Vec<usize> =
        shape::strides(&kept).into_iter().zip(&kept).map(|(s, n)| if *n == 1 { 0 } else { s }).collect();
    let mut results: Vec<Option<i64>> = vec![None; shape::product(&kept)];
    for (value, slot) in values.iter().zip(shape::walk(&x.shape, &strides)) {
        if let Some(result) = results.get_mut(slot) {
            *result = Some(result.map_or(*value, |so_far| combine(so_far, *value)));
        }
    }
    let results: Option<Vec<i64>> = results.into_iter().collect();
    Ok(results.map(|results| vec![Host::ints(x.dtype, shape, results)]))
}

fn check_arg(attributes: &Attributes<'_>) -> Outcome<()> {
    let last = attributes.flag("select_last_index", false)?;
    if last { Err(Failure::Unsupported("attribute select_last_index=1".into())) } else { Ok(()) }
}

fn arg(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    if x.kind() != Kind::Float {
        return Err(Failure::Unsupported(format!("{} of {}", call.op(), x.dtype.name())));
    }
    let axis = shape::axis(call.attributes.int("axis", 0)?, x.rank())?;
    let compute = if call.op() == "ArgMax" { B::float_argmax } else { B::float_argmin };
    let found =
        call.scope.make(DType::I64, shape::with(&x.shape, axis, 1), || compute(x.data.clone(), axis, IntDType::I32))?;
    let mut shape = found.shape.clone();
    if !call.attributes.flag("keepdims", true)? {
        shape.remove(axis);
    }
    one(call.scope.reshape(&found, shape)?)
}

fn cumulative_sum(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    let axis = shape::axis(call.ints(1)?.first().copied().unwrap_or(0), x.rank())?;
    let reverse = call.attributes.flag("reverse", false)?;
    if call.attributes.flag("exclusive", false)? {
        return Err(Failure::Unsupported("attribute exclusive=1".into()));
    }
    let turn = |x: &Array| if reverse { call.scope.flip(x, &[axis]) } else { Ok(x.clone()) };
    let turned = turn(&x)?;
    let summed = match x.kind() {
        Kind::Float => call.scope.each(&turned, |x| B::float_cumsum(x, axis))?,
        Kind::Int => call.scope.each(&turned, |x| B::int_cumsum(x, axis))?,
        Kind::Bool => return Err(Failure::Unsupported("CumSum of booleans".into())),
    };
    one(turn(&summed)?)
}

fn check_top_k(attributes: &Attributes<'_>) -> Outcome<()> {
    let largest = attributes.flag("largest", true)?;
    if largest { Ok(()) } else { Err(Failure::Unsupported("attribute largest=0".into())) }
}

fn top_k(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    let axis = shape::axis(call.attributes.int("axis", -1)?, x.rank())?;
    let k = shape::size(call.ints(1)?.first().copied().unwrap_or(0))?;
    if k == 0 || k > x.shape[axis] || x.kind() != Kind::Float {
        return Err(Failure::Unsupported(format!("the {k} largest of {:?} {}", x.shape, x.dtype.name())));
    }
    let shape = shape::with(&x.shape, axis, k);
    let (values, indices) = (call.scope.lease(&shape)?, call.scope.lease(&shape)?);
    let (best, at) = B::float_topk_with_indices(x.data, axis, k, IntDType::I32);
    let best = Array { data: best, shape: shape.clone(), dtype: x.dtype, lease: values, strided: false };
    let at = Array { data: at, shape, dtype: DType::I64, lease: indices, strided: false };
    Ok(vec![Value::array(best), Value::array(at)])
}
