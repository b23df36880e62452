//! Elementwise work, as a list of steps: the epilogue of a matrix product or convolution, or a pass of its own.

use crate::error::{KernelError, long_enough, same};
use crate::view::View;

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`; NaN stays.
    Relu,
    /// `min(max(x, min), max)`; NaN stays.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// `x < 0 ? alpha * x : x`
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `min(max(alpha * x + beta, 0), 1)`
    HardSigmoid {
        /// Slope; ONNX's default is 0.2.
        alpha: f32,
        /// Value at zero; ONNX's default is 0.5.
        beta: f32,
    },
    /// `x * min(max(alpha * x + beta, 0), 1)`; ONNX's `HardSwish` has 1/6 and 0.5.
    HardSwish {
        /// Slope.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x / (1 + exp(-x))`
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * (1 + erf(x / sqrt 2)) / 2`
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`
    GeluTanh,
    /// Error function.
    Erf,
    /// `x < 0 ? alpha * (exp(x) - 1) : x`
    Elu {
        /// Limit below zero, negated.
        alpha: f32,
    },
    /// `ln(1 + exp(x))`
    Softplus,
    /// `exp(x)`
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / x`
    Reciprocal,
    /// `|x|`
    Abs,
    /// `-x`
    Neg,
    /// `x * x`
    Square,
    /// Every NaN becomes the same one (bits `0x7fc00000`); instruction sets differ in the sign of a NaN that they make.
    CanonicalNan,
}

/// The other number of an operation, for the element in row `r` and column `c` of what is computed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Operand<'a> {
    /// The same number everywhere.
    Scalar(f32),
    /// One number per column (channel): `v[c]`.
    Cols(&'a [f32]),
    /// One number per row: `v[r]`.
    Rows(&'a [f32]),
    /// A matrix of the same shape: `m[r][c]`.
    Full(View<'a>),
    /// What the destination held before: `C += ...` without a second buffer.
    Destination,
}

/// One operation on every element `x`.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Step<'a> {
    /// `f(x)`
    Activate(Activation),
    /// `x * scale + shift`, as one rounding or two by the table of kernels.
    Affine {
        /// Factor.
        scale: f32,
        /// Summand.
        shift: f32,
    },
    /// `x + y`
    Add(Operand<'a>),
    /// `x - y`
    Sub(Operand<'a>),
    /// `y - x`
    SubFrom(Operand<'a>),
    /// `x * y`
    Mul(Operand<'a>),
    /// `x / y`
    Div(Operand<'a>),
    /// `y / x`
    DivInto(Operand<'a>),
    /// `x < y ? x : y`; NaN in `x` or `y` gives NaN.
    Min(Operand<'a>),
    /// `x > y ? x : y`; NaN in `x` or `y` gives NaN.
    Max(Operand<'a>),
    /// `x < 0 ? x * y : x`
    PRelu(Operand<'a>),
}

impl<'a> Step<'a> {
    /// The operand, if the step has one.
    pub fn operand(&self) -> Option<&Operand<'a>> {
        match self {
            Step::Activate(_) | Step::Affine { .. } => None,
            Step::Add(y)
            | Step::Sub(y)
            | Step::SubFrom(y)
            | Step::Mul(y)
            | Step::Div(y)
            | Step::DivInto(y)
            | Step::Min(y)
            | Step::Max(y)
            | Step::PRelu(y) => Some(y),
        }
    }
}

/// Checks that every operand covers `rows x cols`, no more and no less. After this the kernels read operands without looking.
pub(crate) fn check(steps: &[Step<'_>], rows: usize, cols: usize) -> Result<(), KernelError> {
    for step in steps {
        if let Some(Operand::Full(view)) = step.operand() {
            same("rows of an operand", rows, view.rows())?;
        }
    }
    check_rows(steps, rows, cols)
}

/// Checks that every operand covers at least the first `rows` rows of `cols` columns.
pub(crate) fn check_rows(steps: &[Step<'_>], rows: usize, cols: usize) -> Result<(), KernelError> {
    for step in steps {
        match step.operand() {
            Some(Operand::Cols(values)) => long_enough("operand per column", cols, values.len())?,
            Some(Operand::Rows(values)) => long_enough("operand per row", rows, values.len())?,
            Some(Operand::Full(view)) => {
                long_enough("rows of an operand", rows, view.rows())?;
                same("columns of an operand", cols, view.cols())?;
            }
            Some(Operand::Scalar(_) | Operand::Destination) | None => {}
        }
    }
    Ok(())
}
