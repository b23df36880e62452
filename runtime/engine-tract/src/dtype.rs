//! Element types: ours and tract's.

use pannier_graph::DType;
use tract_onnx::prelude::Datum;
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_hir::internal::TDim;

/// tract's type, if it has one.
pub(crate) fn to_tract(dtype: DType) -> Option<DatumType> {
    Some(match dtype {
        DType::F32 => DatumType::F32,
        DType::F16 => DatumType::F16,
        DType::F64 => DatumType::F64,
        DType::I8 => DatumType::I8,
        DType::I16 => DatumType::I16,
        DType::I32 => DatumType::I32,
        DType::I64 => DatumType::I64,
        DType::U8 => DatumType::U8,
        DType::U16 => DatumType::U16,
        DType::U32 => DatumType::U32,
        DType::U64 => DatumType::U64,
        DType::Bool => DatumType::Bool,
        DType::BF16 => return None,
    })
}

/// Our type. tract's symbolic dimensions are `int64` in ONNX, its quantized types are their storage.
pub(crate) fn from_tract(datum: DatumType) -> Option<DType> {
    if datum == TDim::datum_type() {
        return Some(DType::I64);
    }
    Some(match datum.unquantized() {
        DatumType::F32 => DType::F32,
        DatumType::F16 => DType::F16,
        DatumType::F64 => DType::F64,
        DatumType::I8 => DType::I8,
        DatumType::I16 => DType::I16,
        DatumType::I32 => DType::I32,
        DatumType::I64 => DType::I64,
        DatumType::U8 => DType::U8,
        DatumType::U16 => DType::U16,
        DatumType::U32 => DType::U32,
        DatumType::U64 => DType::U64,
        DatumType::Bool => DType::Bool,
        _ => return None,
    })
}
