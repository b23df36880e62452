//! Normalisation.

use super::{Call, Operator, one};
use crate::array::{Array, B};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;
use burn_backend::ops::FloatTensorOps;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("BatchNormalization", batch).check(check_batch),
    Operator::new("GroupNormalization", group),
    Operator::new("InstanceNormalization", instance),
    Operator::new("LayerNormalization", layer).check(check_layer),
    Operator::new("RMSNormalization", root_mean_square),
];

/// `(x - mean) / sqrt(variance + epsilon)` over some axes, or without the mean.
fn normalised(scope: &Scope<'_>, x: &Array, axes: &[usize], epsilon: f64, centre: bool) -> Outcome<Array> {
    let x = if centre { scope.sub(x, &scope.reduce(x, axes, B::float_mean_dim)?)? } else { x.clone() };
    let variance = scope.reduce(&scope.mul(&x, &x)?, axes, B::float_mean_dim)?;
    scope.div(&x, &scope.each(&scope.shift(&variance, epsilon)?, B::float_sqrt)?)
}

/// A vector over the channels, which are the second axis.
fn of_channels(scope: &Scope<'_>, vector: &Array, rank: usize) -> Outcome<Array> {
    let mut shape = vec![1; rank.max(2)];
    shape[1] = vector.len();
    scope.reshape(vector, shape)
}

fn check_batch(attributes: &Attributes<'_>) -> Outcome<()> {
    let training = attributes.flag("training_mode", false)? || (1..5).any(|output| attributes.wants(output));
    if training { Err(Failure::Unsupported("training".into())) } else { Ok(()) }
}

fn batch(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope) = (call.float(0)?, &call.scope);
    let parameter = |index| of_channels(scope, &call.array(index)?, x.rank());
    let (scale, bias, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let deviation = scope.each(&scope.shift(&variance, call.attributes.float("epsilon", 1e-5)?)?, B::float_sqrt)?;
    // One product and one sum over the large tensor; the rest is over channels.
    let factor = scope.div(&scale, &deviation)?;
    let summand = scope.sub(&bias, &scope.mul(&mean, &factor)?)?;
    one(scope.add(&scope.mul(&x, &factor)?, &summand)?)
}

fn instance(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope) = (call.float(0)?, &call.scope);
    let axes: Vec<usize> = (2..x.rank()).collect();
    let normal = normalised(scope, &x, &axes, call.attributes.float("epsilon", 1e-5)?, true)?;
    let (scale, bias) =
        (of_channels(scope, &call.array(1)?, x.rank())?, of_channels(scope, &call.array(2)?, x.rank())?);
    one(scope.add(&scope.mul(&normal, &scale)?, &bias)?)
}

fn group(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope) = (call.float(0)?, &call.scope);
    let [batch, channels, sizes @ ..] = x.shape.as_slice() else {
        return Err(Failure::Invalid(format!("groups of {:?}", x.shape)));
    };
    let groups = shape::size(call.attributes.int("num_groups", 0)?)?;
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(Failure::Invalid(format!("{groups} groups of {channels} channels")));
    }
    let inner = channels / groups * shape::product(sizes);
    let grouped = scope.reshape(&x, vec![*batch, groups, inner])?;
    let normal = normalised(scope, &grouped, &[2], call.attributes.float("epsilon", 1e-5)?, true)?;
    let normal = scope.reshape(&normal, x.shape.clone())?;
    let (scale, bias) =
        (of_channels(scope, &call.array(1)?, x.rank())?, of_channels(scope, &call.array(2)?, x.rank())?);
    one(scope.add(&scope.mul(&normal, &scale)?, &bias)?)
}

fn check_layer(attributes: &Attributes<'_>) -> Outcome<()> {
    let statistics = attributes.wants(1) || attributes.wants(2);
    if statistics { Err(Failure::Unsupported("outputs Mean and InvStdDev".into())) } else { Ok(()) }
}

/// `x` normalised over the axes from `axis` on, times the scale.
fn over_last_axes(call: &Call<'_>, centre: bool) -> Outcome<Array> {
    let (x, scope) = (call.float(0)?, &call.scope);
    let axis = shape::axis(call.attributes.int("axis", -1)?, x.rank())?;
    // The axes lie together: they are one.
    let flat = vec![shape::product(&x.shape[..axis]), shape::product(&x.shape[axis..])];
    let rows = scope.reshape(&x, flat)?;
    let normal = normalised(scope, &rows, &[1], call.attributes.float("epsilon", 1e-5)?, centre)?;
    scope.mul(&scope.reshape(&normal, x.shape.clone())?, &call.array(1)?)
}

fn layer(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let normal = over_last_axes(call, true)?;
    one(match call.array_if_any(2)? {
        Some(bias) => call.scope.add(&normal, &bias)?,
        None => normal,
    })
}

fn root_mean_square(call: &Call<'_>) -> Outcome<Vec<Value>> {
    one(over_last_axes(call, false)?)
}
