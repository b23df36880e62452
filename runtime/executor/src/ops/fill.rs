//! Operators that make a tensor of little or nothing.

use super::cast::onnx_type;
use super::elementwise::numbers;
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type, is_float};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use pannier_graph::{Attribute, Literal};
use std::sync::Arc;

/// A known tensor: alone, or repeated to a shape.
#[derive(Debug)]
struct Fill {
    literal: Literal,
    repeat: bool,
}

/// `Constant`
pub(crate) fn constant(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let ints = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let known = ["value", "value_float", "value_floats", "value_int", "value_ints"];
    let found = known.iter().find_map(|name| attributes.get(name));
    let literal = match found {
        Some(Attribute::Tensor(literal)) => literal.clone(),
        Some(Attribute::Float(value)) => Literal { dtype: DType::F32, shape: Vec::new(), bytes: bytes(&[*value]) },
        Some(Attribute::Floats(values)) => {
            Literal { dtype: DType::F32, shape: vec![values.len() as u64], bytes: bytes(values) }
        }
        Some(Attribute::Int(value)) => Literal { dtype: DType::I64, shape: Vec::new(), bytes: ints(&[*value]) },
        Some(Attribute::Ints(values)) => {
            Literal { dtype: DType::I64, shape: vec![values.len() as u64], bytes: ints(values) }
        }
        _ => return Err(Refusal::Unsupported("a constant of this kind".into())),
    };
    Ok(Arc::new(Fill { literal, repeat: false }))
}

/// `ConstantOfShape`
pub(crate) fn constant_of_shape(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let literal = match attributes.get("value") {
        Some(Attribute::Tensor(literal)) if literal.bytes.len() == literal.dtype.size_bytes() => literal.clone(),
        None => Literal { dtype: DType::F32, shape: Vec::new(), bytes: vec![0; 4] },
        Some(_) => return Err(Refusal::Invalid("attribute value is not one element".into())),
    };
    Ok(Arc::new(Fill { literal, repeat: true }))
}

impl Operator for Fill {
    fn types(&self, _: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![self.literal.dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        if self.repeat {
            return Ok(vec![shape::sizes(&inputs.ints(0)?)?]);
        }
        let shape = self.literal.shape.iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>();
        Ok(vec![shape.map_err(|_| "a dimension is too large".to_string())?])
    }

    fn needs(&self) -> &'static [usize] {
        if self.repeat { &[0] } else { &[] }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let output = io.output(0)?;
        if !self.repeat && output.bytes.len() != self.literal.bytes.len() {
            return Err("the constant has another size".into());
        }
        for slot in output.bytes.chunks_exact_mut(self.literal.bytes.len().max(1)) {
            slot.copy_from_slice(&self.literal.bytes);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Range;

/// `Range`
pub(crate) fn range(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Range))
}

impl Range {
    fn bounds(views: [View<'_>; 3]) -> Result<[f64; 3], Failure> {
        let mut bounds = [0.0; 3];
        for (slot, view) in bounds.iter_mut().zip(views) {
            *slot = *numbers(view)?.first().ok_or("a bound is missing")?;
        }
        Ok(bounds)
    }
}

impl Operator for Range {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, &[FLOATS, &[DType::I16, DType::I32, DType::I64]].concat())?;
        expect_same(inputs, 1, dtype)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let [start, end, step] = Range::bounds([inputs.value(0)?, inputs.value(1)?, inputs.value(2)?])?;
        let len = ((end - start) / step).ceil().max(0.0);
        if step == 0.0 || len.is_nan() || len > 2f64.powi(40) {
            return Err(Refusal::Invalid(format!("a range from {start} to {end} by {step}")));
        }
        Ok(vec![vec![len as usize]])
    }

    fn needs(&self) -> &'static [usize] {
        &[0, 1, 2]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let [start, _, step] = Range::bounds([io.input(0)?, io.input(1)?, io.input(2)?])?;
        let output = io.output(0)?;
        if is_float(output.dtype) {
            output.numbers()?.fill(|at| start + at as f64 * step);
        } else {
            output.numbers()?.fill(|at| start as i128 + at as i128 * step as i128);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct EyeLike {
    to: Option<DType>,
    diagonal: i64,
}

/// `EyeLike`
pub(crate) fn eye_like(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let to = match attributes.int("dtype", 0)? {
        0 => None,
        number => Some(onnx_type(number)?),
    };
    Ok(Arc::new(EyeLike { to, diagonal: attributes.int("k", 0)? }))
}

impl Operator for EyeLike {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        Ok(vec![self.to.unwrap_or(dtype)])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        if from.len() == 2 { Ok(vec![from.to_vec()]) } else { Err(Refusal::Invalid("the rank is not 2".into())) }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let output = io.output(0)?;
        let columns = crate::shape::row_len(output.shape).max(1);
        let on = |at: usize| (at % columns) as i128 - (at / columns) as i128 == i128::from(self.diagonal);
        output.numbers()?.fill(|at| f64::from(u8::from(on(at))));
        Ok(())
    }
}

/// `a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)`
#[derive(Debug)]
struct Window {
    to: DType,
    periodic: bool,
    coefficients: [f64; 3],
}

/// `HannWindow`, `HammingWindow` and `BlackmanWindow`
pub(crate) fn window(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let to = onnx_type(attributes.int("output_datatype", 1)?)?;
    let coefficients = match attributes.op() {
        "HannWindow" => [0.5, 0.5, 0.0],
        "HammingWindow" => [25.0 / 46.0, 21.0 / 46.0, 0.0],
        _ => [0.42, 0.5, 0.08],
    };
    if !is_float(to) {
        return Err(Refusal::Unsupported(format!("element type {}", to.name())));
    }
    Ok(Arc::new(Window { to, periodic: attributes.flag("periodic", true)?, coefficients }))
}

impl Operator for Window {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[DType::I32, DType::I64])?;
        Ok(vec![self.to])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![shape::sizes(&[inputs.int(0)?])?])
    }

    fn needs(&self) -> &'static [usize] {
        &[0]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let output = io.output(0)?;
        let len = output.len();
        let period = if self.periodic { len } else { len.saturating_sub(1) }.max(1) as f64;
        let [a0, a1, a2] = self.coefficients;
        output.numbers()?.fill(|at| {
            let angle = std::f64::consts::TAU * at as f64 / period;
            a0 - a1 * angle.cos() + a2 * (2.0 * angle).cos()
        });
        Ok(())
    }
}
