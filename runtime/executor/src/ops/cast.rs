//! `Cast` and `CastLike`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::number::{Float, Integer, with_floats, with_integers};
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
    with_floats!(input.dtype, F => {
        let from = input.as_slice::<F>()?;
        with_floats!(output.dtype, T => {
            fill(output.as_slice::<T>()?, from, |x| T::from_f64(x.to_f64()))
        }, other => if other == DType::Bool {
            fill(output.as_slice::<u8>()?, from, |x| u8::from(x.to_f64() != 0.0))
        } else {
            with_integers!(other, T => fill(output.as_slice::<T>()?, from, |x| x.to_f64() as T), _other => {})
        });
    }, other => {
        with_integers!(if other == DType::Bool { DType::U8 } else { other }, F => {
            let from = input.as_slice::<F>()?;
            with_floats!(output.dtype, T => {
                fill(output.as_slice::<T>()?, from, |x| from_integer::<T>(x.to_i128()))
            }, to => if to == DType::Bool {
                fill(output.as_slice::<u8>()?, from, |x| u8::from(x != 0))
            } else {
                with_integers!(to, T => fill(output.as_slice::<T>()?, from, |x| T::wrap(x.to_i128())), _other => {})
            });
        }, _other => {});
    });
    Ok(())
}

fn from_integer<T: Float>(value: i128) -> T {
    T::from_f64(value as f64)
}

fn fill<F: Copy, T>(to: &mut [T], from: &[F], f: impl Fn(F) -> T) {
    for (slot, value) in to.iter_mut().zip(from) {
        *slot = f(*value);
    }
}
