//! Activations, and softmax.

use super::curves::{sigmoid, tanh};
use super::{Call, Operator, one};
use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;
use burn_backend::Scalar;
use burn_backend::ops::{ActivationOps, FloatTensorOps, IntTensorOps};
use pannier_engine::DType;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Celu", simple),
    Operator::new("Clip", clip).needs(&[1, 2]),
    Operator::new("Elu", simple),
    Operator::new("Gelu", gelu).check(check_gelu),
    Operator::new("HardSigmoid", simple),
    Operator::new("HardSwish", simple),
    Operator::new("LeakyRelu", simple),
    Operator::new("LogSoftmax", softmax),
    Operator::new("Mish", simple),
    Operator::new("PRelu", prelu),
    Operator::new("Relu", simple),
    Operator::new("Selu", simple),
    Operator::new("Sigmoid", simple),
    Operator::new("Softmax", softmax),
    Operator::new("Softplus", simple),
    Operator::new("Softsign", simple),
    Operator::new("Swish", simple),
    Operator::new("ThresholdedRelu", simple),
];

/// Those of one operand.
fn simple(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope, attributes) = (call.float(0)?, &call.scope, &call.attributes);
    let alpha = |default| attributes.float("alpha", default);
    one(match call.op() {
        "Relu" => scope.each(&x, B::relu)?,
        "Sigmoid" => sigmoid(scope, &x)?,
        "LeakyRelu" => {
            let alpha = alpha(0.01)?;
            scope.each(&x, |x| B::leaky_relu(x, Scalar::Float(alpha)))?
        }
        "HardSigmoid" => hard_sigmoid(scope, &x, alpha(0.2)?, attributes.float("beta", 0.5)?)?,
        "HardSwish" => scope.mul(&x, &hard_sigmoid(scope, &x, 1.0 / 6.0, 0.5)?)?,
        "Swish" => scope.mul(&x, &sigmoid(scope, &scope.scale(&x, alpha(1.0)?)?)?)?,
        "Elu" => exponential(scope, &x, alpha(1.0)?, 1.0, 1.0)?,
        "Celu" => {
            let alpha = alpha(1.0)?;
            exponential(scope, &x, alpha, 1.0 / alpha, 1.0)?
        }
        "Selu" => exponential(scope, &x, alpha(1.673_263_2)?, 1.0, attributes.float("gamma", 1.050_701)?)?,
        "Softplus" => softplus(scope, &x)?,
        "Mish" => scope.mul(&x, &tanh(scope, &softplus(scope, &x)?)?)?,
        "Softsign" => scope.div(&x, &scope.shift(&scope.each(&x, B::float_abs)?, 1.0)?)?,
        "ThresholdedRelu" => {
            let (alpha, bools) = (Scalar::Float(alpha(1.0)?), scope.device.bool_type);
            let below =
                scope.make(DType::Bool, x.shape.clone(), || B::float_lower_equal_elem(x.data.clone(), alpha, bools))?;
            scope.each(&x, |x| B::float_mask_fill(x, below.data, Scalar::Float(0.0)))?
        }
        op => return Err(Failure::Unsupported(op.to_string())),
    })
}

fn hard_sigmoid(scope: &Scope<'_>, x: &Array, alpha: f64, beta: f64) -> Outcome<Array> {
    let line = scope.shift(&scope.scale(x, alpha)?, beta)?;
    scope.each(&line, |x| B::float_clamp(x, Scalar::Float(0.0), Scalar::Float(1.0)))
}

/// `gamma * x` above zero, `gamma * alpha * (exp(x * inner) - 1)` below.
fn exponential(scope: &Scope<'_>, x: &Array, alpha: f64, inner: f64, gamma: f64) -> Outcome<Array> {
    let above = scope.each(x, B::relu)?;
    let below = scope.each(x, |x| B::float_clamp_max(x, Scalar::Float(0.0)))?;
    let curve = scope.shift(&scope.each(&scope.scale(&below, inner)?, B::float_exp)?, -1.0)?;
    scope.scale(&scope.add(&above, &scope.scale(&curve, alpha)?)?, gamma)
}

/// `ln(1 + exp(x))`, without a number that overflows.
fn softplus(scope: &Scope<'_>, x: &Array) -> Outcome<Array> {
    let magnitude = scope.each(&scope.each(x, B::float_abs)?, B::float_neg)?;
    let tail = scope.each(&scope.each(&magnitude, B::float_exp)?, B::float_log1p)?;
    scope.add(&scope.each(x, B::relu)?, &tail)
}

fn check_gelu(attributes: &Attributes<'_>) -> Outcome<()> {
    attributes.only("approximate", attributes.text("approximate", "none")?, &["none", "tanh"])
}

fn gelu(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope) = (call.float(0)?, &call.scope);
    if call.attributes.text("approximate", "none")? == "none" {
        return one(scope.each(&x, B::gelu)?);
    }
    let cube = scope.mul(&scope.mul(&x, &x)?, &x)?;
    let inner = scope.scale(&scope.add(&x, &scope.scale(&cube, 0.044715)?)?, (2.0 / std::f64::consts::PI).sqrt())?;
    let gate = scope.shift(&tanh(scope, &inner)?, 1.0)?;
    one(scope.scale(&scope.mul(&x, &gate)?, 0.5)?)
}

fn clip(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let mut x = call.array(0)?;
    let (low, high) = (call.number_if_any(1)?, call.number_if_any(2)?);
    for (bound, is_low) in [(low, true), (high, false)] {
        let Some(bound) = bound else { continue };
        x = match (x.kind(), is_low) {
            (Kind::Float, true) => call.scope.each(&x, |x| B::float_clamp_min(x, Scalar::Float(bound)))?,
            (Kind::Float, false) => call.scope.each(&x, |x| B::float_clamp_max(x, Scalar::Float(bound)))?,
            (Kind::Int, true) => call.scope.each(&x, |x| B::int_clamp_min(x, Scalar::Int(whole(bound))))?,
            (Kind::Int, false) => call.scope.each(&x, |x| B::int_clamp_max(x, Scalar::Int(whole(bound))))?,
            (Kind::Bool, _) => return Err(Failure::Unsupported("Clip of booleans".into())),
        };
    }
    one(x)
}

/// A bound that the device's integers can have.
fn whole(bound: f64) -> i64 {
    bound.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i64
}

fn prelu(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, slope) = (call.float(0)?, call.array(1)?);
    let negative = call.scope.each(&x, |x| B::float_clamp_max(x, Scalar::Float(0.0)))?;
    one(call.scope.add(&call.scope.each(&x, B::relu)?, &call.scope.mul(&negative, &slope)?)?)
}

fn softmax(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.float(0)?;
    let axis = shape::axis(call.attributes.int("axis", -1)?, x.rank())?;
    let compute = if call.op() == "Softmax" { B::softmax } else { B::log_softmax };
    one(call.scope.each(&x, |x| compute(x, axis))?)
}
