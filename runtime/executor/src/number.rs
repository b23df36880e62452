//! Element types as numbers: one way for all floating-point types, one for all integers.
//!
//! Generic operators compute in binary64 or in 128-bit integers and round or wrap once. For `+ - * /` and the square
//! root of binary32 and smaller that gives the correctly rounded result. What is hot has kernels of its own.

use bytemuck::Pod;
use half::{bf16, f16};

/// A floating-point element type.
pub(crate) trait Float: Pod + PartialOrd {
    fn to_f64(self) -> f64;
    fn from_f64(value: f64) -> Self;
}

/// An integer element type.
pub(crate) trait Integer: Pod + Ord {
    fn to_i128(self) -> i128;
    /// The low bits.
    fn wrap(value: i128) -> Self;
}

macro_rules! float {
    ($($type:ty, $to:expr, $from:expr);*) => {
        $(impl Float for $type {
            fn to_f64(self) -> f64 { $to(self) }
            fn from_f64(value: f64) -> Self { $from(value) }
        })*
    };
}

float!(
    f64, |x| x, |x| x;
    f32, f64::from, |x| x as f32;
    f16, f16::to_f64, f16::from_f64;
    bf16, bf16::to_f64, bf16::from_f64
);

macro_rules! integer {
    ($($type:ty),*) => {
        $(impl Integer for $type {
            fn to_i128(self) -> i128 { i128::from(self) }
            fn wrap(value: i128) -> Self { value as $type }
        })*
    };
}

integer!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Runs a block with `T` as the floating-point type of a [`DType`](pannier_engine::DType), or the other arm.
macro_rules! with_floats {
    ($dtype:expr, $T:ident => $body:expr, $other:ident => $else:expr) => {
        match $dtype {
            pannier_engine::DType::F32 => {
                type $T = f32;
                $body
            }
            pannier_engine::DType::F64 => {
                type $T = f64;
                $body
            }
            pannier_engine::DType::F16 => {
                type $T = half::f16;
                $body
            }
            pannier_engine::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            $other => $else,
        }
    };
}

/// The same for integers.
macro_rules! with_integers {
    ($dtype:expr, $T:ident => $body:expr, $other:ident => $else:expr) => {
        match $dtype {
            pannier_engine::DType::I64 => {
                type $T = i64;
                $body
            }
            pannier_engine::DType::I32 => {
                type $T = i32;
                $body
            }
            pannier_engine::DType::I16 => {
                type $T = i16;
                $body
            }
            pannier_engine::DType::I8 => {
                type $T = i8;
                $body
            }
            pannier_engine::DType::U64 => {
                type $T = u64;
                $body
            }
            pannier_engine::DType::U32 => {
                type $T = u32;
                $body
            }
            pannier_engine::DType::U16 => {
                type $T = u16;
                $body
            }
            pannier_engine::DType::U8 => {
                type $T = u8;
                $body
            }
            $other => $else,
        }
    };
}

/// Runs a block with `T` as an unsigned integer of an element's size: for what only moves elements.
macro_rules! with_bits {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.size_bytes() {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}

pub(crate) use {with_bits, with_floats, with_integers};
