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
    let dtype = i32::try_from(number).ok().and_then(DType::from_onnx_number);
    dtype.ok_or_else(|| Refusal::Unsupported(format!("element type {number} of TensorProto")))
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
