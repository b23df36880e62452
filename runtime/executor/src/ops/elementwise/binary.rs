//! Operators with two operands that broadcast, and those that fold such an operator over many.

use crate::number::{NumbersMut, Wide};
use crate::ops::{Attributes, Facts, Io, Operator, Refusal, expect_same, is_float};
use crate::shape;
use crate::view::{Failure, View, ViewMut};
use pannier_engine::DType;
use std::sync::Arc;

/// A function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
    /// Sign of the divisor, as Python; with `fmod` sign of the dividend, as C.
    Mod {
        fmod: bool,
    },
    /// The first operand, multiplied by the second where it is negative.
    PRelu,
    And,
    Or,
    Xor,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    ShiftLeft,
    ShiftRight,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl BinaryOp {
    fn compares(self) -> bool {
        matches!(
            self,
            BinaryOp::Equal | BinaryOp::Greater | BinaryOp::GreaterOrEqual | BinaryOp::Less | BinaryOp::LessOrEqual
        )
    }

    /// In binary64; comparisons give 0 or 1.
    pub(crate) fn apply(self, a: f64, b: f64) -> f64 {
        let truth = |value: bool| f64::from(u8::from(value));
        match self {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a / b,
            // NaN wins, as in ONNX Runtime.
            BinaryOp::Max => {
                if a.is_nan() || b.is_nan() {
                    f64::NAN
                } else {
                    a.max(b)
                }
            }
            BinaryOp::Min => {
                if a.is_nan() || b.is_nan() {
                    f64::NAN
                } else {
                    a.min(b)
                }
            }
            BinaryOp::Pow => a.powf(b),
            BinaryOp::Mod { fmod: true } => a % b,
            BinaryOp::Mod { fmod: false } => {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
            BinaryOp::PRelu => {
                if a < 0.0 {
                    a * b
                } else {
                    a
                }
            }
            BinaryOp::Equal => truth(a == b),
            BinaryOp::Greater => truth(a > b),
            BinaryOp::GreaterOrEqual => truth(a >= b),
            BinaryOp::Less => truth(a < b),
            BinaryOp::LessOrEqual => truth(a <= b),
            _ => f64::NAN,
        }
    }

    /// On integers of this many bits; the result wraps. Division by 0 is 0, since it must not end the program.
    pub(crate) fn apply_integer(self, a: i128, b: i128, bits: u32) -> i128 {
        match self {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a.wrapping_mul(b),
            BinaryOp::Div => a.checked_div(b).unwrap_or(0),
            BinaryOp::Max => a.max(b),
            BinaryOp::Min => a.min(b),
            BinaryOp::Pow => power(a, b),
            BinaryOp::Mod { fmod: true } => a.checked_rem(b).unwrap_or(0),
            BinaryOp::Mod { fmod: false } => {
                let rest = a.checked_rem(b).unwrap_or(0);
                if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
            }
            BinaryOp::PRelu => {
                if a < 0 {
                    a.wrapping_mul(b)
                } else {
                    a
                }
            }
            BinaryOp::And | BinaryOp::BitwiseAnd => a & b,
            BinaryOp::Or | BinaryOp::BitwiseOr => a | b,
            BinaryOp::Xor | BinaryOp::BitwiseXor => a ^ b,
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight => match u32::try_from(b) {
                Ok(by) if by < bits => {
                    if self == BinaryOp::ShiftLeft {
                        a << by
                    } else {
                        a >> by
                    }
                }
                _ => 0,
            },
            BinaryOp::Equal => i128::from(a == b),
            BinaryOp::Greater => i128::from(a > b),
            BinaryOp::GreaterOrEqual => i128::from(a >= b),
            BinaryOp::Less => i128::from(a < b),
            BinaryOp::LessOrEqual => i128::from(a <= b),
        }
    }
}

/// `a` to the power of `b`, wrapping; a negative power of an integer is cut to an integer.
fn power(a: i128, b: i128) -> i128 {
    match u32::try_from(b) {
        Ok(exponent) => a.wrapping_pow(exponent),
        Err(_) if b > 0 => {
            if a.abs() < 2 {
                a
            } else {
                0
            }
        }
        Err(_) => match a {
            1 => 1,
            -1 => {
                if b % 2 == 0 {
                    1
                } else {
                    -1
                }
            }
            _ => 0,
        },
    }
}

/// A two-operand operator, or one that is folded over its operands.
#[derive(Debug)]
struct Binary {
    op: BinaryOp,
    /// Divide by the number of operands at the end.
    mean: bool,
}

/// Every operator with exactly two operands and no attributes.
pub(crate) fn binary(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let op = match attributes.op() {
        "Add" => BinaryOp::Add,
        "Sub" => BinaryOp::Sub,
        "Mul" => BinaryOp::Mul,
        "Div" => BinaryOp::Div,
        "Pow" => BinaryOp::Pow,
        "PRelu" => BinaryOp::PRelu,
        "And" => BinaryOp::And,
        "Or" => BinaryOp::Or,
        "Xor" => BinaryOp::Xor,
        "BitwiseAnd" => BinaryOp::BitwiseAnd,
        "BitwiseOr" => BinaryOp::BitwiseOr,
        "BitwiseXor" => BinaryOp::BitwiseXor,
        "Equal" => BinaryOp::Equal,
        "Greater" => BinaryOp::Greater,
        "GreaterOrEqual" => BinaryOp::GreaterOrEqual,
        "Less" => BinaryOp::Less,
        "LessOrEqual" => BinaryOp::LessOrEqual,
        _ => return Err(Refusal::Unsupported("operator".into())),
    };
    Ok(Arc::new(Binary { op, mean: false }))
}

/// `BitShift`
pub(crate) fn bit_shift(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let op = match attributes.text("direction", "")? {
        "LEFT" => BinaryOp::ShiftLeft,
        "RIGHT" => BinaryOp::ShiftRight,
        other => return Err(Refusal::Invalid(format!("direction={other}"))),
    };
    Ok(Arc::new(Binary { op, mean: false }))
}

/// `Mod`
pub(crate) fn modulo(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Binary { op: BinaryOp::Mod { fmod: attributes.flag("fmod", false)? }, mean: false }))
}

/// `Max`, `Min`, `Sum` and `Mean`, over any number of operands.
pub(crate) fn variadic(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let op = match attributes.op() {
        "Max" => BinaryOp::Max,
        "Min" => BinaryOp::Min,
        _ => BinaryOp::Add,
    };
    Ok(Arc::new(Binary { op, mean: attributes.op() == "Mean" }))
}

impl Operator for Binary {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = inputs.first().copied().flatten().ok_or_else(|| "an operand is missing".to_string())?;
        if self.op != BinaryOp::Pow {
            (1..inputs.len()).try_for_each(|index| expect_same(inputs, index, dtype))?;
        } else if inputs.get(1).copied().flatten().is_none_or(|dtype| dtype == DType::Bool) {
            return Err(Refusal::Invalid("the exponent is missing or not a number".into()));
        }
        let fits = match self.op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => dtype == DType::Bool,
            BinaryOp::Equal => true,
            BinaryOp::BitwiseAnd | BinaryOp::BitwiseOr | BinaryOp::BitwiseXor => {
                dtype != DType::Bool && !is_float(dtype)
            }
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight => dtype != DType::Bool && !is_float(dtype),
            _ => dtype != DType::Bool,
        };
        if !fits {
            return Err(Refusal::Unsupported(format!("element type {}", dtype.name())));
        }
        Ok(vec![if self.op.compares() { DType::Bool } else { dtype }])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let shapes = (0..inputs.0.len()).map(|index| inputs.shape(index)).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![shape::broadcast(shapes)?])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let first = io.input(0)?;
        let Some(second) = io.get(1) else {
            copy(first, io.output(0)?)?;
            return Ok(());
        };
        let operands = io.inputs;
        let output = io.output(0)?;
        combine(self.op, first, second, output)?;
        for operand in operands.iter().skip(2).flatten() {
            accumulate(self.op, output, *operand)?;
        }
        if self.mean {
            let count = operands.len() as f64;
            let sums = numbers(View { dtype: output.dtype, shape: output.shape, bytes: output.bytes })?;
            output.numbers()?.fill(|at| sums[at] / count);
        }
        Ok(())
    }
}

fn copy(input: View<'_>, output: &mut ViewMut<'_>) -> Result<(), Failure> {
    if input.bytes.len() != output.bytes.len() {
        return Err("operand and result differ in size".into());
    }
    output.bytes.copy_from_slice(input.bytes);
    Ok(())
}

/// `output = a op b`, broadcast.
fn combine(op: BinaryOp, a: View<'_>, b: View<'_>, output: &mut ViewMut<'_>) -> Result<(), Failure> {
    let places = Places::new(output.shape, a.shape, b.shape);
    if op == BinaryOp::Pow && a.dtype != b.dtype {
        return mixed_power(&places, a, b, output);
    }
    if is_float(a.dtype) {
        let (a, b) = (a.numbers::<f64>()?, b.numbers()?);
        places.fill(output.numbers()?, |x, y| Some(op.apply(a.get(x)?, b.get(y)?)))
    } else {
        let (a, b, bits) = (a.numbers::<i128>()?, b.numbers()?, a.bits());
        places.fill(output.numbers()?, |x, y| Some(op.apply_integer(a.get(x)?, b.get(y)?, bits)))
    }
}

/// `Pow` alone takes an exponent of another type; the result has the type of the base.
fn mixed_power(places: &Places, a: View<'_>, b: View<'_>, output: &mut ViewMut<'_>) -> Result<(), Failure> {
    let power = |x: f64, y: f64| x.powf(y);
    let exponent = b.numbers::<f64>()?;
    if is_float(a.dtype) {
        let a = a.numbers::<f64>()?;
        places.fill(output.numbers()?, |x, y| Some(power(a.get(x)?, exponent.get(y)?)))
    } else {
        let a = a.numbers::<i128>()?;
        places.fill(output.numbers()?, |x, y| Some(power(a.get(x)? as f64, exponent.get(y)?) as i128))
    }
}

/// All elements as binary64.
pub(crate) fn numbers(view: View<'_>) -> Result<Vec<f64>, Failure> {
    Ok(view.numbers()?.to_vec())
}

/// `output = output op operand`, the operand broadcast.
fn accumulate(op: BinaryOp, output: &mut ViewMut<'_>, operand: View<'_>) -> Result<(), Failure> {
    let to = output.shape;
    let places = Places::new(to, to, operand.shape);
    if is_float(operand.dtype) {
        let b = operand.numbers::<f64>()?;
        places.update(output.numbers()?, |value, y| Some(op.apply(value, b.get(y)?)))
    } else {
        let (b, bits) = (operand.numbers::<i128>()?, operand.bits());
        places.update(output.numbers()?, |value, y| Some(op.apply_integer(value, b.get(y)?, bits)))
    }
}

/// Where the elements of two operands lie for each element of a result.
struct Places {
    shape: Vec<usize>,
    a: Vec<usize>,
    b: Vec<usize>,
}

impl Places {
    fn new(to: &[usize], a: &[usize], b: &[usize]) -> Places {
        Places { shape: to.to_vec(), a: shape::broadcast_strides(a, to), b: shape::broadcast_strides(b, to) }
    }

    /// Calls `f` with both offsets for every element of the result.
    fn fill<W: Wide>(&self, mut out: NumbersMut<'_, W>, f: impl Fn(usize, usize) -> Option<W>) -> Result<(), Failure> {
        self.each(|at, a, b| out.set(at, f(a, b)?))
    }

    /// Calls `f` with the result so far and the second operand's offset.
    fn update<W: Wide>(&self, mut out: NumbersMut<'_, W>, f: impl Fn(W, usize) -> Option<W>) -> Result<(), Failure> {
        self.each(|at, _, b| out.set(at, f(out.get(at)?, b)?))
    }

    fn each(&self, mut f: impl FnMut(usize, usize, usize) -> Option<()>) -> Result<(), Failure> {
        let (len, by_a, by_b) = (shape::row_len(&self.shape), shape::row_stride(&self.a), shape::row_stride(&self.b));
        let mut at = 0;
        shape::for_each_row(&self.shape, [&self.a, &self.b], |[a, b]| {
            for index in 0..len {
                f(at, a + index * by_a, b + index * by_b)
                    .ok_or_else(|| "operands do not fit the result".to_string())?;
                at += 1;
            }
            Ok(())
        })
    }
}
