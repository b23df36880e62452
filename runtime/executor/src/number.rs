//! Elements of any type as numbers of one type.
//!
//! Generic operators compute in binary64 or in 128-bit integers and round or wrap once. For `+ - * /` and the square
//! root of binary32 and smaller that gives the correctly rounded result. Elements are read and written through pointers to
//! functions, so that an operator is compiled once or twice and not for every element type: each copy of it would be sent to
//! each browser. What is hot has kernels of its own.

use crate::view::{Failure, View, ViewMut};
use bytemuck::Pod;
use half::{bf16, f16};
use pannier_engine::DType;

/// Elements that are converted by one call.
const CHUNK: usize = 64;

/// A type wide enough to compute in: binary64 for elements of any type, 128-bit integers for all but floating-point numbers.
pub(crate) trait Wide: Copy + Default {
    /// How elements are read, and written rounded or wrapped. Of a truth value that is 0 or 1, and whether it is not 0.
    fn access(dtype: DType) -> Result<Access<Self>, Failure>;
}

/// How elements of one type are read and written.
#[derive(Clone, Copy)]
pub(crate) struct Access<W> {
    size: usize,
    read: fn(&[u8], &mut [W]),
    write: fn(&mut [u8], &[W]),
}

/// The access by two expressions without state.
macro_rules! access {
    ($T:ty, $widen:expr, $narrow:expr) => {
        Ok(Access {
            size: size_of::<$T>(),
            read: |bytes, numbers| read::<$T, _>(bytes, numbers, $widen),
            write: |bytes, numbers| write::<$T, _>(bytes, numbers, $narrow),
        })
    };
}

/// Runs a block with `T` as the integer type of a [`DType`], or the other arm.
macro_rules! with_integers {
    ($dtype:expr, $T:ident => $body:expr, $other:ident => $else:expr) => {
        match $dtype {
            DType::I64 => {
                type $T = i64;
                $body
            }
            DType::I32 => {
                type $T = i32;
                $body
            }
            DType::I16 => {
                type $T = i16;
                $body
            }
            DType::I8 => {
                type $T = i8;
                $body
            }
            DType::U64 => {
                type $T = u64;
                $body
            }
            DType::U32 => {
                type $T = u32;
                $body
            }
            DType::U16 => {
                type $T = u16;
                $body
            }
            DType::U8 => {
                type $T = u8;
                $body
            }
            $other => $else,
        }
    };
}

fn read<T: Pod, W>(bytes: &[u8], numbers: &mut [W], widen: impl Fn(T) -> W) {
    for (bytes, number) in bytes.chunks_exact(size_of::<T>()).zip(numbers) {
        *number = widen(bytemuck::pod_read_unaligned(bytes));
    }
}

fn write<T: Pod, W: Copy>(bytes: &mut [u8], numbers: &[W], narrow: impl Fn(W) -> T) {
    for (bytes, number) in bytes.chunks_exact_mut(size_of::<T>()).zip(numbers) {
        bytes.copy_from_slice(bytemuck::bytes_of(&narrow(*number)));
    }
}

impl Wide for f64 {
    /// Integers are written towards 0 and saturating.
    fn access(dtype: DType) -> Result<Access<f64>, Failure> {
        with_integers!(dtype, T => access!(T, |x| x as f64, |x| x as T), other => match other {
            DType::F64 => access!(f64, |x| x, |x| x),
            DType::F16 => access!(f16, f16::to_f64, f16::from_f64),
            DType::BF16 => access!(bf16, bf16::to_f64, bf16::from_f64),
            DType::Bool => access!(u8, f64::from, |x| u8::from(x != 0.0)),
            _f32 => access!(f32, f64::from, |x| x as f32),
        })
    }
}

impl Wide for i128 {
    fn access(dtype: DType) -> Result<Access<i128>, Failure> {
        with_integers!(dtype, T => access!(T, i128::from, |x| x as T), other => match other {
            DType::Bool => access!(u8, i128::from, |x| u8::from(x != 0)),
            other => Err(format!("no integers: {}", other.name())),
        })
    }
}

/// Elements to read.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a, W> {
    bytes: &'a [u8],
    access: Access<W>,
}

impl<W: Wide> Numbers<'_, W> {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.access.size
    }

    pub(crate) fn get(&self, at: usize) -> Option<W> {
        let size = self.access.size;
        let bytes = self.bytes.get(at.checked_mul(size)?..)?.get(..size)?;
        let mut number = W::default();
        (self.access.read)(bytes, std::slice::from_mut(&mut number));
        Some(number)
    }

    /// An element that is there.
    pub(crate) fn at(&self, at: usize) -> W {
        self.get(at).expect("an element of the tensor")
    }

    pub(crate) fn to_vec(self) -> Vec<W> {
        let mut numbers = vec![W::default(); self.len()];
        (self.access.read)(self.bytes, &mut numbers);
        numbers
    }
}

/// Elements to write.
pub(crate) struct NumbersMut<'a, W> {
    bytes: &'a mut [u8],
    access: Access<W>,
}

impl<W: Wide> NumbersMut<'_, W> {
    pub(crate) fn get(&self, at: usize) -> Option<W> {
        Numbers { bytes: self.bytes, access: self.access }.get(at)
    }

    /// Writes an element, or says that there is none at this place.
    pub(crate) fn set(&mut self, at: usize, number: W) -> Option<()> {
        let size = self.access.size;
        let bytes = self.bytes.get_mut(at.checked_mul(size)?..)?.get_mut(..size)?;
        (self.access.write)(bytes, &[number]);
        Some(())
    }

    /// Writes numbers from the first element on.
    pub(crate) fn write(&mut self, numbers: &[W]) {
        (self.access.write)(self.bytes, numbers);
    }

    /// Writes a function of the index into every element.
    pub(crate) fn fill(&mut self, mut number: impl FnMut(usize) -> W) {
        let mut at = 0;
        self.chunks(|numbers| {
            for slot in numbers {
                *slot = number(at);
                at += 1;
            }
        });
    }

    /// Writes a function of each element of another tensor.
    pub(crate) fn map<F: Wide>(&mut self, from: Numbers<'_, F>, f: impl Fn(F) -> W) {
        let mut from = from.bytes.chunks(CHUNK * from.access.size).map(|bytes| (bytes, from.access.read));
        let mut buffer = [F::default(); CHUNK];
        self.chunks(|numbers| {
            if let Some((bytes, read)) = from.next() {
                read(bytes, &mut buffer);
                numbers.iter_mut().zip(&buffer).for_each(|(slot, number)| *slot = f(*number));
            }
        });
    }

    fn chunks(&mut self, mut fill: impl FnMut(&mut [W])) {
        let mut buffer = [W::default(); CHUNK];
        let Access { size, write, .. } = self.access;
        for bytes in self.bytes.chunks_mut(CHUNK * size) {
            let numbers = &mut buffer[..bytes.len() / size];
            fill(numbers);
            write(bytes, numbers);
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn numbers<W: Wide>(&self) -> Result<Numbers<'a, W>, Failure> {
        Ok(Numbers { bytes: self.bytes, access: W::access(self.dtype)? })
    }
}

impl ViewMut<'_> {
    pub(crate) fn numbers<W: Wide>(&mut self) -> Result<NumbersMut<'_, W>, Failure> {
        Ok(NumbersMut { bytes: self.bytes, access: W::access(self.dtype)? })
    }
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

pub(crate) use with_bits;
