//! Element types as numbers: those of ONNX's `TensorProto.DataType`.

use pannier::DType;

/// The type with this number, if tensors can have it.
pub(crate) fn from_onnx(number: u32) -> Option<DType> {
    DType::ALL.iter().copied().find(|dtype| to_onnx(*dtype) == number)
}

/// The type's number.
pub(crate) fn to_onnx(dtype: DType) -> u32 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::BF16 => 16,
    }
}
