//! Values that the CPU knows: shapes, indices, small constants. What is computed of them never waits for the device.

use crate::failure::{Failure, Outcome};
use crate::shape;
use pannier_engine::{DType, Element, Tensor, TensorView};

/// Most elements of a value that is kept on the CPU. Shapes and coordinates have a few; an embedding's tokens have more, and are
/// better off on the device.
pub(crate) const MAX_ELEMENTS: usize = 4096;

/// A small tensor on the CPU.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Host {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Numbers,
}

/// Its elements. Booleans are integers of 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Numbers {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

/// Whether elements of a type are floating-point numbers.
pub(crate) fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64 | DType::F16 | DType::BF16)
}

impl Host {
    /// Integers of any type but booleans; each is brought into the type's range by the standard's wrapping.
    pub(crate) fn ints(dtype: DType, shape: Vec<usize>, values: Vec<i64>) -> Host {
        let numbers = Numbers::Ints(values.into_iter().map(|value| wrap(dtype, value)).collect());
        Host { dtype, shape, numbers }
    }

    /// Floating-point numbers, rounded to the type.
    pub(crate) fn floats(dtype: DType, shape: Vec<usize>, values: Vec<f64>) -> Host {
        let numbers = Numbers::Floats(values.into_iter().map(|value| round(dtype, value)).collect());
        Host { dtype, shape, numbers }
    }

    /// A list of 64-bit integers.
    pub(crate) fn list(values: Vec<i64>) -> Host {
        Host::ints(DType::I64, vec![values.len()], values)
    }

    /// The tensor's elements, unless they are too many or too large for a signed 64-bit integer.
    pub(crate) fn read(view: TensorView<'_>) -> Option<Host> {
        if view.len() > MAX_ELEMENTS {
            return None;
        }
        let shape = view.shape().to_vec();
        let dtype = view.dtype();
        let numbers = match dtype {
            DType::F32 => Numbers::Floats(numbers::<f32, _>(view, f64::from)?),
            DType::F64 => Numbers::Floats(numbers::<f64, _>(view, |value| value)?),
            DType::F16 => Numbers::Floats(numbers::<half::f16, _>(view, f64::from)?),
            DType::BF16 => Numbers::Floats(numbers::<half::bf16, _>(view, f64::from)?),
            _ => Numbers::Ints(integers(view)?),
        };
        Some(Host { dtype, shape, numbers })
    }

    pub(crate) fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Ints(values) => values.len(),
            Numbers::Floats(values) => values.len(),
        }
    }

    /// The integers.
    pub(crate) fn as_ints(&self) -> Option<&[i64]> {
        match &self.numbers {
            Numbers::Ints(values) => Some(values),
            Numbers::Floats(_) => None,
        }
    }

    /// The elements as numbers, whatever their type.
    pub(crate) fn to_floats(&self) -> Vec<f64> {
        match &self.numbers {
            Numbers::Ints(values) => values.iter().map(|value| *value as f64).collect(),
            Numbers::Floats(values) => values.clone(),
        }
    }

    /// The same elements under another shape, which has as many.
    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Outcome<Host> {
        if shape::len(&shape) != Some(self.len()) {
            return Err(Failure::Invalid(format!("{:?} cannot be reshaped to {shape:?}", self.shape)));
        }
        Ok(Host { shape, ..self.clone() })
    }

    /// The elements at these flat indices under a new shape. `None` if one is out of range.
    pub(crate) fn pick(&self, shape: Vec<usize>, indices: &[usize]) -> Option<Host> {
        let numbers = match &self.numbers {
            Numbers::Ints(values) => Numbers::Ints(pick(values, indices)?),
            Numbers::Floats(values) => Numbers::Floats(pick(values, indices)?),
        };
        Some(Host { dtype: self.dtype, shape, numbers })
    }

    /// A tensor with the same elements.
    pub(crate) fn to_tensor(&self) -> Outcome<Tensor> {
        let bytes: Vec<u8> = match &self.numbers {
            Numbers::Ints(values) => values.iter().flat_map(|value| int_bytes(self.dtype, *value)).collect(),
            Numbers::Floats(values) => values.iter().flat_map(|value| float_bytes(self.dtype, *value)).collect(),
        };
        Tensor::new(self.dtype, self.shape.clone(), bytes).map_err(|why| Failure::Invalid(why.to_string()))
    }
}

fn pick<T: Copy>(values: &[T], indices: &[usize]) -> Option<Vec<T>> {
    indices.iter().map(|index| values.get(*index).copied()).collect()
}

fn numbers<T: Element, N>(view: TensorView<'_>, convert: impl Fn(T) -> N) -> Option<Vec<N>> {
    Some(view.as_slice::<T>()?.iter().copied().map(convert).collect())
}

/// The elements of a tensor of integers or booleans. `None` if one is too large.
pub(crate) fn integers(view: TensorView<'_>) -> Option<Vec<i64>> {
    match view.dtype() {
        DType::I8 => numbers::<i8, _>(view, i64::from),
        DType::I16 => numbers::<i16, _>(view, i64::from),
        DType::I32 => numbers::<i32, _>(view, i64::from),
        DType::I64 => numbers::<i64, _>(view, |value| value),
        DType::U8 => numbers::<u8, _>(view, i64::from),
        DType::U16 => numbers::<u16, _>(view, i64::from),
        DType::U32 => numbers::<u32, _>(view, i64::from),
        DType::U64 => view.as_slice::<u64>()?.iter().map(|value| i64::try_from(*value).ok()).collect(),
        DType::Bool => Some(view.as_bools()?.iter().map(|value| i64::from(*value)).collect()),
        _ => None,
    }
}

/// An integer as its type holds it.
fn wrap(dtype: DType, value: i64) -> i64 {
    match dtype {
        DType::I8 => i64::from(value as i8),
        DType::I16 => i64::from(value as i16),
        DType::I32 => i64::from(value as i32),
        DType::U8 => i64::from(value as u8),
        DType::U16 => i64::from(value as u16),
        DType::U32 => i64::from(value as u32),
        DType::Bool => i64::from(value != 0),
        _ => value,
    }
}

/// A number as its type holds it.
fn round(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 => half::f16::from_f64(value).to_f64(),
        DType::BF16 => half::bf16::from_f64(value).to_f64(),
        _ => value,
    }
}

/// Little-endian bytes of an integer in a type.
pub(crate) fn int_bytes(dtype: DType, value: i64) -> Vec<u8> {
    // Two's complement: the low bytes are the number in a smaller type.
    value.to_le_bytes().into_iter().take(dtype.size_bytes()).collect()
}

/// Little-endian bytes of a number in a floating-point type.
pub(crate) fn float_bytes(dtype: DType, value: f64) -> Vec<u8> {
    match dtype {
        DType::F16 => half::f16::from_f64(value).to_le_bytes().to_vec(),
        DType::BF16 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
        DType::F64 => value.to_le_bytes().to_vec(),
        _ => (value as f32).to_le_bytes().to_vec(),
    }
}
