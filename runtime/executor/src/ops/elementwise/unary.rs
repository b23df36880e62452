//! Operators with one operand.

use super::functions::{erf, sigmoid, softplus};
use crate::ops::{Attributes, Facts, Io, Operator, Refusal, is_float};
use crate::view::{Failure, View, ViewMut};
use pannier_engine::DType;
use std::sync::Arc;

/// A function of one number, with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum UnaryOp {
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    BitwiseNot,
    Ceil,
    Celu {
        alpha: f32,
    },
    Cos,
    Cosh,
    Elu {
        alpha: f32,
    },
    Erf,
    Exp,
    Floor,
    /// With the error function, or with the hyperbolic tangent in its place.
    Gelu {
        tanh: bool,
    },
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    HardSwish,
    IsInf {
        positive: bool,
        negative: bool,
    },
    IsNaN,
    LeakyRelu {
        alpha: f32,
    },
    Log,
    Mish,
    Neg,
    Not,
    Reciprocal,
    Relu,
    Round,
    Selu {
        alpha: f32,
        gamma: f32,
    },
    Shrink {
        bias: f32,
        lambd: f32,
    },
    Sigmoid,
    Sign,
    Sin,
    Sinh,
    Softplus,
    Softsign,
    Sqrt,
    /// `x * sigmoid(alpha * x)`
    Swish {
        alpha: f32,
    },
    Tan,
    Tanh,
    ThresholdedRelu {
        alpha: f32,
    },
}

impl UnaryOp {
    /// In binary64.
    pub(crate) fn apply(self, x: f64) -> f64 {
        let wide = f64::from;
        match self {
            UnaryOp::Abs => x.abs(),
            UnaryOp::Acos => x.acos(),
            UnaryOp::Acosh => x.acosh(),
            UnaryOp::Asin => x.asin(),
            UnaryOp::Asinh => x.asinh(),
            UnaryOp::Atan => x.atan(),
            UnaryOp::Atanh => x.atanh(),
            UnaryOp::Ceil => x.ceil(),
            UnaryOp::Celu { alpha } => x.max(0.0) + (wide(alpha) * (x / wide(alpha)).exp_m1()).min(0.0),
            UnaryOp::Cos => x.cos(),
            UnaryOp::Cosh => x.cosh(),
            UnaryOp::Elu { alpha } => {
                if x < 0.0 {
                    wide(alpha) * x.exp_m1()
                } else {
                    x
                }
            }
            UnaryOp::Erf => erf(x),
            UnaryOp::Exp => x.exp(),
            UnaryOp::Floor => x.floor(),
            UnaryOp::Gelu { tanh: false } => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            UnaryOp::Gelu { tanh: true } => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
            }
            UnaryOp::HardSigmoid { alpha, beta } => (wide(alpha) * x + wide(beta)).clamp(0.0, 1.0),
            UnaryOp::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            UnaryOp::LeakyRelu { alpha } => {
                if x < 0.0 {
                    wide(alpha) * x
                } else {
                    x
                }
            }
            UnaryOp::Log => x.ln(),
            UnaryOp::Mish => x * softplus(x).tanh(),
            UnaryOp::Neg => -x,
            UnaryOp::Reciprocal => 1.0 / x,
            UnaryOp::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            UnaryOp::Round => x.round_ties_even(),
            UnaryOp::Selu { alpha, gamma } => wide(gamma) * if x > 0.0 { x } else { wide(alpha) * x.exp_m1() },
            UnaryOp::Shrink { bias, lambd } => {
                if x < -wide(lambd) {
                    x + wide(bias)
                } else if x > wide(lambd) {
                    x - wide(bias)
                } else {
                    0.0
                }
            }
            UnaryOp::Sigmoid => sigmoid(x),
            UnaryOp::Sign => {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    x
                }
            }
            UnaryOp::Sin => x.sin(),
            UnaryOp::Sinh => x.sinh(),
            UnaryOp::Softplus => softplus(x),
            UnaryOp::Softsign => x / (1.0 + x.abs()),
            UnaryOp::Sqrt => x.sqrt(),
            UnaryOp::Swish { alpha } => x * sigmoid(wide(alpha) * x),
            UnaryOp::Tan => x.tan(),
            UnaryOp::Tanh => x.tanh(),
            UnaryOp::ThresholdedRelu { alpha } => {
                if x > wide(alpha) {
                    x
                } else {
                    0.0
                }
            }
            // These have no result of the operand's type, or none among the floating-point types.
            UnaryOp::BitwiseNot | UnaryOp::Not | UnaryOp::IsNaN | UnaryOp::IsInf { .. } => f64::NAN,
        }
    }

    /// On integers, where the standard has it.
    fn apply_integer(self, x: i128) -> Option<i128> {
        Some(match self {
            UnaryOp::Abs => x.abs(),
            UnaryOp::Neg => -x,
            UnaryOp::Sign => x.signum(),
            UnaryOp::Relu => x.max(0),
            UnaryOp::BitwiseNot => !x,
            UnaryOp::Shrink { bias, lambd } => {
                // The bounds are numbers, the result is cut to an integer.
                let (value, bias, lambd) = (x as f64, f64::from(bias), f64::from(lambd));
                let shrunk = if value < -lambd {
                    value + bias
                } else if value > lambd {
                    value - bias
                } else {
                    0.0
                };
                shrunk as i128
            }
            _ => return None,
        })
    }

    fn test(self, x: f64) -> bool {
        match self {
            UnaryOp::IsNaN => x.is_nan(),
            UnaryOp::IsInf { positive, negative } => {
                (positive && x == f64::INFINITY) || (negative && x == f64::NEG_INFINITY)
            }
            _ => false,
        }
    }
}

#[derive(Debug)]
struct Unary(UnaryOp);

/// Every operator with one operand and parameters that are attributes.
pub(crate) fn unary(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Unary(unary_op(attributes)?)))
}

/// `IsInf`
pub(crate) fn is_inf(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let positive = attributes.flag("detect_positive", true)?;
    let negative = attributes.flag("detect_negative", true)?;
    Ok(Arc::new(Unary(UnaryOp::IsInf { positive, negative })))
}

fn unary_op(attributes: &Attributes<'_>) -> Result<UnaryOp, Refusal> {
    let alpha = |default: f32| attributes.float("alpha", default);
    Ok(match attributes.op() {
        "Abs" => UnaryOp::Abs,
        "Acos" => UnaryOp::Acos,
        "Acosh" => UnaryOp::Acosh,
        "Asin" => UnaryOp::Asin,
        "Asinh" => UnaryOp::Asinh,
        "Atan" => UnaryOp::Atan,
        "Atanh" => UnaryOp::Atanh,
        "BitwiseNot" => UnaryOp::BitwiseNot,
        "Ceil" => UnaryOp::Ceil,
        "Celu" => UnaryOp::Celu { alpha: alpha(1.0)? },
        "Cos" => UnaryOp::Cos,
        "Cosh" => UnaryOp::Cosh,
        "Elu" => UnaryOp::Elu { alpha: alpha(1.0)? },
        "Erf" => UnaryOp::Erf,
        "Exp" => UnaryOp::Exp,
        "Floor" => UnaryOp::Floor,
        "Gelu" => match attributes.text("approximate", "none")? {
            "none" => UnaryOp::Gelu { tanh: false },
            "tanh" => UnaryOp::Gelu { tanh: true },
            other => return Err(attributes.unsupported(&format!("approximate={other}"))),
        },
        "HardSigmoid" => UnaryOp::HardSigmoid { alpha: alpha(0.2)?, beta: attributes.float("beta", 0.5)? },
        "HardSwish" => UnaryOp::HardSwish,
        "IsNaN" => UnaryOp::IsNaN,
        "LeakyRelu" => UnaryOp::LeakyRelu { alpha: alpha(0.01)? },
        "Log" => UnaryOp::Log,
        "Mish" => UnaryOp::Mish,
        "Neg" => UnaryOp::Neg,
        "Not" => UnaryOp::Not,
        "Reciprocal" => UnaryOp::Reciprocal,
        "Relu" => UnaryOp::Relu,
        "Round" => UnaryOp::Round,
        // The standard's own constants.
        "Selu" => UnaryOp::Selu { alpha: alpha(1.673_263_2)?, gamma: attributes.float("gamma", 1.050_701)? },
        "Shrink" => UnaryOp::Shrink { bias: attributes.float("bias", 0.0)?, lambd: attributes.float("lambd", 0.5)? },
        "Sigmoid" => UnaryOp::Sigmoid,
        "Sign" => UnaryOp::Sign,
        "Sin" => UnaryOp::Sin,
        "Sinh" => UnaryOp::Sinh,
        "Softplus" => UnaryOp::Softplus,
        "Softsign" => UnaryOp::Softsign,
        "Sqrt" => UnaryOp::Sqrt,
        "Swish" => UnaryOp::Swish { alpha: alpha(1.0)? },
        "Tan" => UnaryOp::Tan,
        "Tanh" => UnaryOp::Tanh,
        "ThresholdedRelu" => UnaryOp::ThresholdedRelu { alpha: alpha(1.0)? },
        _ => return Err(Refusal::Unsupported("operator".into())),
    })
}

impl Operator for Unary {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = inputs.first().copied().flatten().ok_or_else(|| "the operand is missing".to_string())?;
        let (fits, result) = match self.0 {
            UnaryOp::Not => (dtype == DType::Bool, DType::Bool),
            UnaryOp::IsNaN | UnaryOp::IsInf { .. } => (is_float(dtype), DType::Bool),
            UnaryOp::BitwiseNot => (dtype != DType::Bool && !is_float(dtype), dtype),
            op => (is_float(dtype) || (dtype != DType::Bool && op.apply_integer(0).is_some()), dtype),
        };
        if fits { Ok(vec![result]) } else { Err(Refusal::Unsupported(format!("element type {}", dtype.name()))) }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let output = io.output(0)?;
        match self.0 {
            UnaryOp::Not => {
                for (result, value) in output.as_slice::<u8>()?.iter_mut().zip(input.as_slice::<u8>()?) {
                    *result = u8::from(*value == 0);
                }
                Ok(())
            }
            op @ (UnaryOp::IsNaN | UnaryOp::IsInf { .. }) => test(op, input, output),
            op => map(op, input, output),
        }
    }
}

fn test(op: UnaryOp, input: View<'_>, output: &mut ViewMut<'_>) -> Result<(), Failure> {
    output.numbers()?.map(input.numbers()?, |x| f64::from(u8::from(op.test(x))));
    Ok(())
}

fn map(op: UnaryOp, input: View<'_>, output: &mut ViewMut<'_>) -> Result<(), Failure> {
    if is_float(input.dtype) {
        output.numbers()?.map(input.numbers()?, |x| op.apply(x));
    } else {
        output.numbers()?.map(input.numbers()?, |x| op.apply_integer(x).unwrap_or_default());
    }
    Ok(())
}
