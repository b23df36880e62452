//! Products and convolutions of 8-bit integers: integers in, 32-bit sums inside, numbers or 8-bit integers out.
//!
//! Integers are the same on every machine, because no instruction here saturates in between; and what is done with the sums is done in
//! the deterministic form of the floats. So results have the same bits everywhere.

mod conv;
mod convert;
mod depthwise;
mod matmul;
mod pack;
mod pointwise;
mod product;
mod windows;

pub use conv::ByteConv;
pub use matmul::ByteMatMul;
pub use pack::ByteWeights;
pub use pointwise::{Elements, ElementsMut};

use crate::error::{KernelError, long_enough, product, same};
use crate::kernel::bytes::Form;
use crate::step::{Operand, Step};

/// What 8-bit integers stand for, but for the scale: `(q - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteKind {
    /// From -128 to 127 instead of 0 to 255.
    pub signed: bool,
    /// The integer that stands for 0.
    pub zero: i32,
}

impl ByteKind {
    /// The smallest and the largest integer.
    pub fn range(self) -> [i32; 2] {
        if self.signed { [-128, 127] } else { [0, 255] }
    }

    fn check(self) -> Result<(), KernelError> {
        let [low, high] = self.range();
        if (low..=high).contains(&self.zero) {
            return Ok(());
        }
        Err(KernelError::Range { what: "zero point", value: self.zero.unsigned_abs() as usize })
    }

    /// What flips the bits to those of a number from 0 to 255, and the zero point of those.
    fn unsigned(self) -> (u8, i32) {
        if self.signed { (0x80, self.zero + 128) } else { (0, self.zero) }
    }

    /// Bounds less the zero point.
    fn bounds(self) -> [f32; 2] {
        self.range().map(|bound| (bound - self.zero) as f32)
    }
}

/// A matrix of 8-bit integers to read. Rows may have other bytes between them.
#[derive(Debug, Clone, Copy)]
pub struct ByteView<'a> {
    /// The elements; those of signed integers as the bytes that they are.
    pub data: &'a [u8],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Elements from the start of a row to the start of the next.
    pub stride: usize,
    /// What they stand for.
    pub kind: ByteKind,
    /// The scale. Products multiply it with that of the weights' column.
    pub scale: f32,
}

impl<'a> ByteView<'a> {
    /// A matrix without gaps.
    pub fn dense(data: &'a [u8], rows: usize, cols: usize, kind: ByteKind, scale: f32) -> Self {
        Self { data, rows, cols, stride: cols, kind, scale }
    }

    fn check(&self) -> Result<(), KernelError> {
        self.kind.check()?;
        if self.rows == 0 || self.cols == 0 {
            return Ok(());
        }
        let before = product("matrix", &[self.rows - 1, self.stride])?;
        let end = before.checked_add(self.cols).ok_or(KernelError::Overflow { what: "matrix" })?;
        long_enough("matrix", end, self.data.len())
    }
}

/// What results are stored as: matrices without gaps.
pub enum ByteOutput<'a> {
    /// Numbers.
    Floats(&'a mut [f32]),
    /// The sums: `sum of (a - zero of a) (b - zero of b), + bias`, without scales or steps.
    Sums(&'a mut [i32]),
    /// 8-bit integers again: `clamp(round(x * factor) + zero)`, ties to even. NaN becomes the smallest one.
    Bytes {
        /// The integers.
        data: &'a mut [u8],
        /// What they stand for.
        kind: ByteKind,
        /// One over their scale.
        factor: f32,
    },
}

impl ByteOutput<'_> {
    fn form(&self) -> Form {
        match self {
            ByteOutput::Floats(_) => Form::Floats,
            ByteOutput::Sums(_) => Form::Sums,
            ByteOutput::Bytes { kind, factor, .. } => {
                let [low, high] = kind.bounds();
                Form::Bytes { factor: *factor, low, high, zero: kind.zero }
            }
        }
    }

    fn ptr(&mut self) -> *mut u8 {
        match self {
            ByteOutput::Floats(data) => data.as_mut_ptr().cast(),
            ByteOutput::Sums(data) => data.as_mut_ptr().cast(),
            ByteOutput::Bytes { data, .. } => data.as_mut_ptr(),
        }
    }

    fn size_bytes(&self) -> usize {
        if matches!(self, ByteOutput::Bytes { .. }) { 1 } else { 4 }
    }

    /// Checks that there is room for `rows x cols` results, and that the steps are such as can be applied to them.
    fn check(&self, rows: usize, cols: usize, steps: &[Step<'_>]) -> Result<(), KernelError> {
        let found = match self {
            ByteOutput::Floats(data) => data.len(),
            ByteOutput::Sums(data) => data.len(),
            ByteOutput::Bytes { data, kind, .. } => {
                kind.check()?;
                data.len()
            }
        };
        same("results", product("results", &[rows, cols])?, found)?;
        let allowed = match self {
            ByteOutput::Floats(_) => true,
            ByteOutput::Sums(_) => steps.is_empty(),
            // What is there before are bytes, not numbers.
            ByteOutput::Bytes { .. } => !steps.iter().any(|step| matches!(step.operand(), Some(Operand::Destination))),
        };
        if allowed { Ok(()) } else { Err(KernelError::Range { what: "steps", value: steps.len() }) }
    }
}
