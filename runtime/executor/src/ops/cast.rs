//! `Cast` and `CastLike`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type, is_float};
use crate::view::{Failure, View, ViewMut};
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug)]
struct Cast {
    /// `None`: the type of the second operand.
    to: Option<DType>,
}

/// `Cast`
pub(crate) fn cast(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Cast { to: Some(onnx_type(attributes.int("to", 0)?)?) }))
}

/// `CastLike`
pub(crate) fn cast_like(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Cast { to: None }))
}

/// The type with this number in `TensorProto.DataType`.
pub(crate) fn onnx_type(number: i64) -> Result<DType, Refusal> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        other => return Err(Refusal::Unsupported(format!("element type {other} of TensorProto"))),
    })
}

impl Operator for Cast {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, DType::ALL)?;
        match self.to {
            Some(to) => Ok(vec![to]),
            None => Ok(vec![expect_type(inputs, 1, DType::ALL)?]),
        }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        convert(input, io.output(0)?)
    }
}

/// Converts every element: numbers to `bool` by comparison with 0, floats to integers towards 0 and saturating, wider
/// integers to narrower ones by their low bits.
pub(crate) fn convert(input: View<'_>, output: &mut ViewMut<'_>) -> Result<(), Failure> {
    if input.dtype == output.dtype {
        output.bytes.copy_from_slice(input.bytes);
        return Ok(());
    }
    if is_float(input.dtype) || is_float(output.dtype) {
        output.numbers::<f64>()?.map(input.numbers()?, |x: f64| x);
    } else {
        output.numbers::<i128>()?.map(input.numbers()?, |x: i128| x);
    }
    Ok(())
}
