//! Quantization: numbers to 8- and 16-bit integers and back.

use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::ops::cast::onnx_type;
use crate::shape;
use crate::view::{Failure, View, ViewMut};
use pannier_engine::DType;
use std::sync::Arc;

const SMALL: &[DType] = &[DType::U8, DType::I8, DType::U16, DType::I16];

/// One scale for all, or several.
pub(crate) struct Scale(Vec<f64>);

impl Scale {
    pub(crate) fn new(view: View<'_>) -> Result<Scale, Failure> {
        Ok(Scale(view.numbers()?.to_vec()))
    }

    pub(crate) fn at(&self, index: usize) -> f64 {
        let index = if self.0.len() == 1 { 0 } else { index };
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// Rounds to the nearest integer (ties to even), adds the zero point and saturates.
pub(crate) fn round_into(
    output: &mut ViewMut<'_>,
    value: impl Fn(usize) -> f64,
    zero: impl Fn(usize) -> f64,
) -> Result<(), Failure> {
    output.numbers()?.fill(|at| value(at).round_ties_even() + zero(at));
    Ok(())
}

/// Which scale goes with an element.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    axis: i64,
    block: i64,
}

impl Blocks {
    fn new(attributes: &Attributes<'_>) -> Result<Blocks, Refusal> {
        Ok(Blocks { axis: attributes.int("axis", 1)?, block: attributes.int("block_size", 0)? })
    }

    fn check(&self, data: &[usize], scale: &[usize]) -> Result<(), Refusal> {
        if shape::len(scale) == 1 && scale.len() <= 1 {
            return Ok(());
        }
        let axis = shape::axis(self.axis, data.len())?;
        let fits = if self.block > 0 {
            let block = usize::try_from(self.block).unwrap_or(usize::MAX);
            scale.len() == data.len()
                && (0..data.len()).all(|i| scale[i] == if i == axis { data[i].div_ceil(block) } else { data[i] })
        } else {
            scale == [data[axis]]
        };
        if fits { Ok(()) } else { Err(Refusal::Invalid(format!("a scale of {scale:?} for {data:?}"))) }
    }

    /// The index of an element's scale.
    fn index(&self, data: &[usize], scale: &[usize]) -> impl Fn(usize) -> usize + use<> {
        let single = shape::len(scale) == 1;
        let axis = shape::axis(self.axis, data.len()).unwrap_or(0);
        let (_, along, inner) = shape::around(data, axis);
        let (along, inner) = (along.max(1), inner.max(1));
        let block = usize::try_from(self.block).unwrap_or(0);
        move |at: usize| match (single, block) {
            (true, _) => 0,
            (_, 0) => at / inner % along,
            _ => (at / (along * inner) * along.div_ceil(block) + at / inner % along / block) * inner + at % inner,
        }
    }
}

#[derive(Debug)]
struct Quantize {
    blocks: Blocks,
    to: Option<DType>,
}

/// `QuantizeLinear`
pub(crate) fn quantize(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    if attributes.int("precision", 0)? != 0 {
        return Err(attributes.unsupported("precision"));
    }
    let to = match attributes.int("output_dtype", 0)? {
        0 => None,
        number => Some(onnx_type(number)?),
    };
    Ok(Arc::new(Quantize { blocks: Blocks::new(attributes)?, to }))
}

impl Operator for Quantize {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[FLOATS, &[DType::I32]].concat())?;
        expect_type(inputs, 1, FLOATS)?;
        match (inputs.get(2).copied().flatten(), self.to) {
            (Some(_), _) => Ok(vec![expect_type(inputs, 2, SMALL)?]),
            (None, to) => Ok(vec![expect_type(&[Some(to.unwrap_or(DType::U8))], 0, SMALL)?]),
        }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        self.blocks.check(inputs.shape(0)?, inputs.shape(1)?)?;
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (input, scale, zero) = (io.input(0)?, io.input(1)?, io.get(2));
        let index = self.blocks.index(input.shape, scale.shape);
        let (values, scale) = (super::elementwise::numbers(input)?, Scale::new(scale)?);
        let zeros = zero.map(super::elementwise::numbers).transpose()?;
        // In binary32, as the standard's own implementation: the quotient is rounded twice.
        let value = |at: usize| f64::from((values[at] / scale.at(index(at))) as f32);
        let zero = |at: usize| {
            zeros
                .as_ref()
                .and_then(|zeros| zeros.get(if zeros.len() == 1 { 0 } else { index(at) }))
                .copied()
                .unwrap_or(0.0)
        };
        round_into(io.output(0)?, value, zero)
    }
}

#[derive(Debug)]
struct Dequantize {
    blocks: Blocks,
    to: Option<DType>,
}

/// `DequantizeLinear`
pub(crate) fn dequantize(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let to = match attributes.int("output_dtype", 0)? {
        0 => None,
        number => Some(onnx_type(number)?),
    };
    Ok(Arc::new(Dequantize { blocks: Blocks::new(attributes)?, to }))
}

impl Operator for Dequantize {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let from = expect_type(inputs, 0, &[SMALL, &[DType::I32]].concat())?;
        expect_same(inputs, 2, from)?;
        let scale = expect_type(inputs, 1, FLOATS)?;
        Ok(vec![self.to.unwrap_or(scale)])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        self.blocks.check(inputs.shape(0)?, inputs.shape(1)?)?;
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (input, scale, zero) = (io.input(0)?, io.input(1)?, io.get(2));
        let index = self.blocks.index(input.shape, scale.shape);
        let (values, scale) = (super::elementwise::numbers(input)?, Scale::new(scale)?);
        let zeros = zero.map(super::elementwise::numbers).transpose()?;
        let output = io.output(0)?;
        output.numbers::<f64>()?.fill(|at| {
            let place = index(at);
            let zero = zeros.as_ref().and_then(|zeros| zeros.get(if zeros.len() == 1 { 0 } else { place }));
            (values[at] - zero.copied().unwrap_or(0.0)) * scale.at(place)
        });
        Ok(())
    }
}

#[derive(Debug)]
struct DynamicQuantize;

/// `DynamicQuantizeLinear`
pub(crate) fn dynamic_quantize(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(DynamicQuantize))
}

impl Operator for DynamicQuantize {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[DType::F32])?;
        Ok(vec![DType::U8, DType::F32, DType::U8])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec(), Vec::new(), Vec::new()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let values = io.input(0)?.as_slice::<f32>()?;
        // 0 is always among the numbers that can be told apart exactly.
        let low = values.iter().copied().fold(0.0f32, f32::min);
        let high = values.iter().copied().fold(0.0f32, f32::max);
        let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
        let zero = (-low / scale).clamp(0.0, 255.0).round_ties_even();
        if let Some(output) = io.output_if_any(0) {
            round_into(output, |at| f64::from(values[at] / scale), |_| f64::from(zero))?;
        }
        if let Some(output) = io.output_if_any(1) {
            output.as_slice::<f32>()?.fill(scale);
        }
        if let Some(output) = io.output_if_any(2) {
            output.as_slice::<u8>()?.fill(zero as u8);
        }
        Ok(())
    }
}
