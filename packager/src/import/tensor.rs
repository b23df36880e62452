//! ONNX tensors as constants. Nothing is allocated before type, shape and length of the data agree.

use super::error::Why;
use super::external;
use super::model::Constant;
use pannier_graph::DType;
use std::path::Path;
use std::sync::Arc;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

/// The element type with this number.
///
/// # Errors
/// [`Why::DType`] for a type that bundles do not have, and for an unknown number.
pub(super) fn dtype(number: i32) -> Result<DType, Why> {
    DType::from_onnx_number(number).ok_or_else(|| match DataType::try_from(number) {
        Ok(other) => Why::DType(other.as_str_name().to_owned()),
        Err(_) => Why::DType(format!("number {number}")),
    })
}

/// The constant that a tensor is. Its data moves out of `proto`.
///
/// # Errors
/// What is wrong with type, shape or data.
pub(super) fn constant(proto: &mut TensorProto, folder: Option<&Path>) -> Result<Constant, Why> {
    let dtype = dtype(proto.data_type)?;
    if proto.segment.is_some() {
        return Err(Why::Feature("tensors in segments"));
    }
    let shape: Vec<u64> =
        proto.dims.iter().map(|size| u64::try_from(*size)).collect::<Result<_, _>>().map_err(|_| Why::Shape)?;
    let expected = size_bytes(dtype, &shape).ok_or(Why::Shape)?;
    let bytes = match proto.data_location() {
        DataLocation::External => external::read(&proto.external_data, expected, folder)?,
        DataLocation::Default if !proto.raw_data.is_empty() => std::mem::take(&mut proto.raw_data),
        DataLocation::Default => typed(dtype, proto, expected)?,
    };
    let found = bytes.len() as u64;
    if found != expected {
        return Err(Why::DataSize { expected, found });
    }
    let bytes = if dtype == DType::Bool { bytes.iter().map(|byte| u8::from(*byte != 0)).collect() } else { bytes };
    Ok(Constant { dtype, shape, bytes: Arc::new(bytes) })
}

/// Size in bytes of a tensor, if it is below 2^63.
pub(super) fn size_bytes(dtype: DType, shape: &[u64]) -> Option<u64> {
    let elements = shape.iter().try_fold(1u64, |product, size| product.checked_mul((*size).max(1)))?;
    let bytes = elements.checked_mul(dtype.size_bytes() as u64).filter(|bytes| *bytes < 1 << 63)?;
    Some(if shape.contains(&0) { 0 } else { bytes })
}

/// The bytes of a tensor whose elements stand one by one in the field for their type.
fn typed(dtype: DType, proto: &TensorProto, expected: u64) -> Result<Vec<u8>, Why> {
    let len = match dtype {
        DType::F32 => proto.float_data.len(),
        DType::F64 => proto.double_data.len(),
        DType::I64 => proto.int64_data.len(),
        DType::U32 | DType::U64 => proto.uint64_data.len(),
        _ => proto.int32_data.len(),
    };
    let found = (len as u64).saturating_mul(dtype.size_bytes() as u64);
    if found != expected {
        return Err(Why::DataSize { expected, found });
    }
    let narrow = &proto.int32_data;
    match dtype {
        DType::F32 => Ok(proto.float_data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        DType::F64 => Ok(proto.double_data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        DType::I64 => Ok(proto.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        DType::U64 => Ok(proto.uint64_data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        DType::U32 => fit(&proto.uint64_data, |value| u32::try_from(value).ok().map(u32::to_le_bytes)),
        DType::I32 => Ok(narrow.iter().flat_map(|value| value.to_le_bytes()).collect()),
        DType::I16 => fit(narrow, |value| i16::try_from(value).ok().map(i16::to_le_bytes)),
        DType::I8 => fit(narrow, |value| i8::try_from(value).ok().map(i8::to_le_bytes)),
        // Halves are written as their bits.
        DType::U16 | DType::F16 | DType::BF16 => fit(narrow, |value| u16::try_from(value).ok().map(u16::to_le_bytes)),
        DType::U8 | DType::Bool => fit(narrow, |value| u8::try_from(value).ok().map(u8::to_le_bytes)),
    }
}

fn fit<T: Copy, const N: usize>(values: &[T], narrow: impl Fn(T) -> Option<[u8; N]>) -> Result<Vec<u8>, Why> {
    let elements: Option<Vec<[u8; N]>> = values.iter().map(|value| narrow(*value)).collect();
    Ok(elements.ok_or(Why::DataRange)?.into_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_types_have_the_numbers_of_the_standard() {
        for dtype in DType::ALL {
            let name = match dtype {
                DType::F32 => "FLOAT".to_owned(),
                DType::F64 => "DOUBLE".to_owned(),
                other => other.name().to_uppercase(),
            };
            let standard = DataType::try_from(dtype.onnx_number()).map(|kind| kind.as_str_name());
            assert_eq!(standard.ok(), Some(name.as_str()));
            assert_eq!(DType::from_onnx_number(dtype.onnx_number()), Some(*dtype));
        }
        for other in [0, 8, 14, 15, 17, 23, -1, i32::MAX] {
            assert!(dtype(other).is_err(), "{other}");
        }
    }
}
