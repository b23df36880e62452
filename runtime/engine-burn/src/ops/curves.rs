//! Functions whose usual formulas fail for numbers far from 0, computed so that they do not.
//!
//! WGSL leaves it to the device how it computes them, and allows these formulas. SwiftShader divides exponentials for `tanh`, which
//! is NaN above 88. NaN stays what it is here.

use crate::array::{Array, B};
use crate::failure::Outcome;
use crate::scope::Scope;
use burn_backend::Scalar;
use burn_backend::ops::FloatTensorOps;

/// `1 - tanh(x)` is `2 exp(-2x)`, less than half of the last digit of 1 from 9.02 on.
const TANH_LIMIT: f64 = 10.0;

/// `exp(87)` is finite, and one by it a normal number.
const SIGMOID_LIMIT: f64 = 87.0;

/// Of numbers that are clamped to where it is at its limit in binary32.
pub(super) fn tanh(scope: &Scope<'_>, x: &Array) -> Outcome<Array> {
    scope.each(&within(scope, x, TANH_LIMIT)?, B::float_tanh)
}

/// `1 / (1 + exp(-x))`. Of numbers below -87 it is 1.6e-38 in place of less.
pub(super) fn sigmoid(scope: &Scope<'_>, x: &Array) -> Outcome<Array> {
    let x = within(scope, x, SIGMOID_LIMIT)?;
    let beside = scope.each(&scope.each(&x, B::float_neg)?, B::float_exp)?;
    scope.each(&scope.shift(&beside, 1.0)?, B::float_recip)
}

/// Of the magnitude, with the sign of `x`: in `ln(x + sqrt(x x + 1))` the two summands cancel each other below 0.
pub(super) fn asinh(scope: &Scope<'_>, x: &Array) -> Outcome<Array> {
    let magnitude = scope.each(&scope.each(x, B::float_abs)?, B::float_asinh)?;
    scope.mul(&magnitude, &scope.each(x, B::float_sign)?)
}

fn within(scope: &Scope<'_>, x: &Array, limit: f64) -> Outcome<Array> {
    scope.each(x, |x| B::float_clamp(x, Scalar::Float(-limit), Scalar::Float(limit)))
}
