//! Reading one element of any type as a number, for comparing and printing.

use pannier_bundle::manifest::DType;

/// Element `index` as binary64: exact but for 64-bit integers beyond 2^53. `None` past the end.
pub(crate) fn at(dtype: DType, bytes: &[u8], index: usize) -> Option<f64> {
    let size = dtype.size_bytes();
    let start = index.checked_mul(size)?;
    let raw = bytes.get(start..start.checked_add(size)?)?;
    Some(match dtype {
        DType::F32 => f32::from_le_bytes(raw.try_into().ok()?).into(),
        DType::F64 => f64::from_le_bytes(raw.try_into().ok()?),
        DType::F16 => half::f16::from_le_bytes(raw.try_into().ok()?).into(),
        DType::BF16 => half::bf16::from_le_bytes(raw.try_into().ok()?).into(),
        DType::I8 => i8::from_le_bytes(raw.try_into().ok()?).into(),
        DType::I16 => i16::from_le_bytes(raw.try_into().ok()?).into(),
        DType::I32 => i32::from_le_bytes(raw.try_into().ok()?).into(),
        DType::I64 => i64::from_le_bytes(raw.try_into().ok()?) as f64,
        DType::U8 | DType::Bool => u8::from_le_bytes(raw.try_into().ok()?).into(),
        DType::U16 => u16::from_le_bytes(raw.try_into().ok()?).into(),
        DType::U32 => u32::from_le_bytes(raw.try_into().ok()?).into(),
        DType::U64 => u64::from_le_bytes(raw.try_into().ok()?) as f64,
    })
}
