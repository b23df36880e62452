//! Tensors of any type from numbers, and back.

use super::ContentError;
use half::{bf16, f16};
use pannier_bundle::manifest::{Dim, Port};
use pannier_engine::{DType, Tensor};
use std::borrow::Cow;

/// A tensor for this input. Integers are rounded and clamped to their range.
///
/// # Errors
/// [`ContentError::Description`]: the input is boolean, or too large.
pub fn tensor(port: &Port, shape: Vec<usize>, values: &[f32]) -> Result<Tensor, ContentError> {
    // `as` between numbers clamps; that is what is wanted here.
    macro_rules! rounded {
        ($number:ty) => {
            Tensor::from_slice(shape, &values.iter().map(|v| v.round() as $number).collect::<Vec<_>>())
        };
    }
    let tensor = match port.dtype {
        DType::F32 => Tensor::from_slice(shape, values),
        DType::F64 => Tensor::from_slice(shape, &values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()),
        DType::F16 => Tensor::from_slice(shape, &values.iter().map(|v| f16::from_f32(*v)).collect::<Vec<_>>()),
        DType::BF16 => Tensor::from_slice(shape, &values.iter().map(|v| bf16::from_f32(*v)).collect::<Vec<_>>()),
        DType::I8 => rounded!(i8),
        DType::I16 => rounded!(i16),
        DType::I32 => rounded!(i32),
        DType::I64 => rounded!(i64),
        DType::U8 => rounded!(u8),
        DType::U16 => rounded!(u16),
        DType::U32 => rounded!(u32),
        DType::U64 => rounded!(u64),
        DType::Bool => {
            return Err(ContentError::Description { port: port.name.clone(), reason: "it is boolean".to_owned() });
        }
    };
    tensor.map_err(|e| ContentError::Description { port: port.name.clone(), reason: e.to_string() })
}

/// The tensor's elements as binary32. Large integers and binary64 are rounded.
pub fn values(tensor: &Tensor) -> Cow<'_, [f32]> {
    if let Some(values) = tensor.as_slice::<f32>() {
        return Cow::Borrowed(values);
    }
    Cow::Owned(wide(tensor).into_iter().map(|v| v as f32).collect())
}

/// The tensor's elements as binary64: exact but for 64-bit integers beyond 2^53.
pub fn wide(tensor: &Tensor) -> Vec<f64> {
    macro_rules! widened {
        ($($dtype:ident => $number:ty, $convert:expr;)*) => {
            match tensor.dtype() {
                $(DType::$dtype => tensor.as_slice::<$number>().unwrap_or_default().iter().map($convert).collect(),)*
                DType::Bool => tensor.bytes().iter().map(|v| f64::from(*v)).collect(),
            }
        };
    }
    widened! {
        F32 => f32, |v| f64::from(*v);
        F16 => f16, |v| v.to_f64();
        BF16 => bf16, |v| v.to_f64();
        F64 => f64, |v| *v;
        I8 => i8, |v| f64::from(*v);
        I16 => i16, |v| f64::from(*v);
        I32 => i32, |v| f64::from(*v);
        I64 => i64, |v| *v as f64;
        U8 => u8, |v| f64::from(*v);
        U16 => u16, |v| f64::from(*v);
        U32 => u32, |v| f64::from(*v);
        U64 => u64, |v| *v as f64;
    }
}

/// The shape of an input that takes a row of `size` values: that on the last axis, 1 on every other.
///
/// # Errors
/// [`ContentError::Description`]: the declared shape has no room for that.
pub fn row_shape(port: &Port, size: usize) -> Result<Vec<usize>, ContentError> {
    let fits = |dim: &Dim, size: usize| match dim {
        Dim::Fixed(fixed) => *fixed == size as u64,
        Dim::Symbol(_) => true,
    };
    let Some((last, others)) = port.shape.split_last() else {
        return Err(ContentError::Description { port: port.name.clone(), reason: "it is a scalar".to_owned() });
    };
    if !fits(last, size) || !others.iter().all(|dim| fits(dim, 1)) {
        let reason = format!("{size} values do not fit its shape {}", crate::units::shape(&port.shape));
        return Err(ContentError::Description { port: port.name.clone(), reason });
    }
    Ok(others.iter().map(|_| 1).chain([size]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_bundle::manifest::Content;

    fn port(dtype: DType, shape: Vec<Dim>) -> Port {
        Port { name: "x".into(), dtype, shape, description: String::new(), content: Content::Tensor }
    }

    #[test]
    fn every_number_type_holds_small_integers() {
        for dtype in DType::ALL.iter().filter(|dtype| **dtype != DType::Bool) {
            let tensor = tensor(&port(*dtype, vec![]), vec![3], &[0.0, 1.0, 100.0]).unwrap();
            assert_eq!(values(&tensor)[..], [0.0, 1.0, 100.0], "{dtype:?}");
        }
        assert!(tensor(&port(DType::Bool, vec![]), vec![1], &[1.0]).is_err());
        let bytes = tensor(&port(DType::U8, vec![]), vec![3], &[-1.0, 2.6, 300.0]).unwrap();
        assert_eq!(bytes.bytes(), [0, 3, 255]);
    }

    #[test]
    fn a_row_lies_on_the_last_axis() {
        let (batch, eight) = (Dim::Symbol("batch".into()), Dim::Fixed(8));
        assert_eq!(row_shape(&port(DType::F32, vec![batch.clone(), eight.clone()]), 8).unwrap(), [1, 8]);
        assert_eq!(
            row_shape(&port(DType::F32, vec![Dim::Fixed(1), Dim::Fixed(1), batch.clone()]), 8).unwrap(),
            [1, 1, 8]
        );
        assert!(row_shape(&port(DType::F32, vec![batch.clone(), Dim::Fixed(9)]), 8).is_err());
        assert!(row_shape(&port(DType::F32, vec![Dim::Fixed(2), eight]), 8).is_err());
        assert!(row_shape(&port(DType::F32, vec![]), 1).is_err());
    }
}
