//! Tensors across the border: one copy in, one copy out.

use crate::dtype;
use pannier_engine::{EngineError, Tensor, TensorView};
use pannier_graph::{AlignedBytes, DType};
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_hir::internal::{Datum as _, Tensor as TractTensor};

/// A tensor of tract with a copy of a view; `None` if tract has no such type.
pub(crate) fn to_tract(view: TensorView<'_>) -> Option<TractTensor> {
    let (dtype, shape) = (view.dtype(), view.shape());
    macro_rules! copy {
        ($($dtype:ident => $rust:ty),*) => {
            match dtype {
                $(DType::$dtype => TractTensor::from_shape::<$rust>(shape, view.as_slice()?).ok(),)*
                DType::Bool => TractTensor::from_shape::<bool>(shape, view.as_bools()?).ok(),
                DType::BF16 => None,
            }
        };
    }
    copy!(F32 => f32, F64 => f64, F16 => half::f16, I8 => i8, I16 => i16, I32 => i32, I64 => i64, U8 => u8, U16 => u16, U32 => u32, U64 => u64)
}

/// Our tensor with a copy of what tract computed.
///
/// # Errors
/// [`EngineError::Failed`] if it is of a type that has no name in ONNX.
pub(crate) fn from_tract(tensor: &TractTensor) -> Result<Tensor, EngineError> {
    let failed = |reason: String| EngineError::Failed { node: String::new(), reason };
    let datum = tensor.datum_type();
    let dtype = dtype::from_tract(datum).ok_or_else(|| failed(format!("an output has the type {datum:?}")))?;
    let plain = if datum == tract_onnx::tract_hir::internal::TDim::datum_type() {
        tensor.cast_to_dt(DatumType::I64).map_err(|error| failed(error.to_string()))?
    } else {
        std::borrow::Cow::Borrowed(tensor)
    };
    let bytes = AlignedBytes::copy_from(plain.as_bytes());
    Tensor::from_aligned(dtype, plain.shape(), bytes).map_err(|error| failed(error.to_string()))
}
