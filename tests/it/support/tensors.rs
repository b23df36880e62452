//! Reading tensors from ONNX's protobuf files, and comparing them.

use pannier_engine::golden::Tolerance;
use pannier_engine::{DType, Tensor};
use prost::Message;
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

/// The tensor in the bytes of a `TensorProto` file.
///
/// # Errors
/// An element type that Pannier has not, or bytes that are no such tensor.
pub fn read_tensor_proto(bytes: &[u8]) -> Result<Tensor, String> {
    let proto = pb::TensorProto::decode(bytes).map_err(|error| error.to_string())?;
    tensor_from_proto(&proto)
}

/// The tensor in a `TensorProto`, wherever it keeps its elements.
///
/// # Errors
/// Those of [`read_tensor_proto`].
pub fn tensor_from_proto(proto: &pb::TensorProto) -> Result<Tensor, String> {
    let number = proto.data_type;
    let name = || DataType::try_from(number).map_or(number.to_string(), |kind| kind.as_str_name().to_owned());
    let dtype = DType::from_onnx_number(number).ok_or_else(|| format!("element type {}", name()))?;
    let shape = proto.dims.iter().map(|dim| usize::try_from(*dim)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| format!("shape {:?}", proto.dims))?;
    let bytes = if proto.raw_data.is_empty() { typed_data(dtype, proto) } else { proto.raw_data.clone() };
    Tensor::new(dtype, shape, bytes).map_err(|error| error.to_string())
}

/// Elements of the field that the ONNX standard names for this type; the narrow types travel in `int32_data`.
fn typed_data(dtype: DType, proto: &pb::TensorProto) -> Vec<u8> {
    let narrow = |size: usize| proto.int32_data.iter().flat_map(|x| x.to_le_bytes().into_iter().take(size)).collect();
    match dtype {
        DType::F32 => proto.float_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::F64 => proto.double_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I64 => proto.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::U64 => proto.uint64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::U32 => proto.uint64_data.iter().flat_map(|x| x.to_le_bytes().into_iter().take(4)).collect(),
        DType::I32 => narrow(4),
        DType::I16 | DType::U16 | DType::F16 | DType::BF16 => narrow(2),
        DType::I8 | DType::U8 | DType::Bool => narrow(1),
    }
}

/// Compares an answer with the expected one: same type, same shape, and every element
/// `|answer - expected| <= absolute + relative * |expected|`. Integers and booleans must be equal; `NaN` equals `NaN`,
/// an infinity only itself.
///
/// # Errors
/// What differs, and by how much at worst.
pub fn compare(answer: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Result<(), String> {
    if answer.dtype() != expected.dtype() {
        return Err(format!("type {}, expected {}", answer.dtype().name(), expected.dtype().name()));
    }
    if answer.shape() != expected.shape() {
        return Err(format!("shape {:?}, expected {:?}", answer.shape(), expected.shape()));
    }
    if answer.bytes() == expected.bytes() {
        return Ok(());
    }
    let (answers, expecteds) = (numbers(answer), numbers(expected));
    let exact = !matches!(expected.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64);
    let (mut wrong, mut worst, mut at) = (0_usize, 0.0_f64, 0_usize);
    for (index, (a, e)) in answers.iter().zip(&expecteds).enumerate() {
        let difference = (a - e).abs();
        let allowed = f64::from(tolerance.absolute) + f64::from(tolerance.relative) * e.abs();
        let same = match exact {
            true => element(answer, index) == element(expected, index),
            false => a == e || (a.is_nan() && e.is_nan()) || (e.is_finite() && difference <= allowed),
        };
        if same {
            continue;
        }
        wrong += 1;
        // Not a number is the worst there is.
        if wrong == 1 || (!worst.is_nan() && (difference.is_nan() || difference > worst)) {
            (worst, at) = (difference, index);
        }
    }
    if wrong == 0 {
        return Ok(());
    }
    let (a, e) = (answers[at], expecteds[at]);
    Err(format!("{wrong} of {} elements differ; at worst element {at} is {a:e}, expected {e:e}", answers.len()))
}

fn element(tensor: &Tensor, index: usize) -> &[u8] {
    let size = tensor.dtype().size_bytes();
    &tensor.bytes()[index * size..(index + 1) * size]
}

/// Every element as binary64.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    fn read<T: pannier_engine::Element>(tensor: &Tensor, convert: impl Fn(T) -> f64) -> Vec<f64> {
        tensor.as_slice::<T>().expect("the type was asked for").iter().map(|x| convert(*x)).collect()
    }
    match tensor.dtype() {
        DType::F32 => read::<f32>(tensor, f64::from),
        DType::F64 => read::<f64>(tensor, |x| x),
        DType::F16 => read::<half::f16>(tensor, f64::from),
        DType::BF16 => read::<half::bf16>(tensor, f64::from),
        DType::I8 => read::<i8>(tensor, f64::from),
        DType::I16 => read::<i16>(tensor, f64::from),
        DType::I32 => read::<i32>(tensor, f64::from),
        DType::I64 => read::<i64>(tensor, |x| x as f64),
        DType::U8 => read::<u8>(tensor, f64::from),
        DType::U16 => read::<u16>(tensor, f64::from),
        DType::U32 => read::<u32>(tensor, f64::from),
        DType::U64 => read::<u64>(tensor, |x| x as f64),
        DType::Bool => tensor.bytes().iter().map(|x| f64::from(*x)).collect(),
    }
}

#[test]
fn comparing_finds_every_kind_of_difference() {
    let tolerance = Tolerance { absolute: 0.1, relative: 0.0, norm: 0.0 };
    let f32s = |values: &[f32]| Tensor::from_slice([values.len()], values).unwrap();
    let nan = f32::NAN;
    let inf = f32::INFINITY;
    let big = |x: i64| Tensor::from_slice([1], &[x]).unwrap();
    let table = [
        ("equal", f32s(&[1.0]), f32s(&[1.0]), true),
        ("close", f32s(&[1.05]), f32s(&[1.0]), true),
        ("too far", f32s(&[1.2]), f32s(&[1.0]), false),
        ("NaN is NaN", f32s(&[nan]), f32s(&[nan]), true),
        ("NaN for a number", f32s(&[nan]), f32s(&[1.0]), false),
        ("a number for NaN", f32s(&[1.0]), f32s(&[nan]), false),
        ("infinity for a number", f32s(&[inf]), f32s(&[1.0]), false),
        ("a number for infinity", f32s(&[f32::MAX]), f32s(&[inf]), false),
        ("the other infinity", f32s(&[-inf]), f32s(&[inf]), false),
        ("another shape", f32s(&[1.0, 1.0]), f32s(&[1.0]), false),
        ("another type", Tensor::from_slice([1], &[1_i32]).unwrap(), f32s(&[1.0]), false),
        ("integers beyond 2^53", big((1 << 53) + 1), big(1 << 53), false),
    ];
    let mut failures = super::Failures::default();
    for (name, answer, expected, same) in &table {
        failures.check(name, || {
            let outcome = compare(answer, expected, tolerance);
            if outcome.is_ok() == *same { Ok(()) } else { Err(format!("{outcome:?}")) }
        });
    }
    failures.assert_none();
}
