//! Elementwise work on 8-bit integers.

use super::ByteKind;
use crate::error::{KernelError, same};
use crate::kernel::byte_pointwise::{BytePointwise, Source};
use crate::kernel::bytes::{Divisor, Form, Store};
use crate::kernel::pointwise::Target;
use crate::kernels::Kernels;
use crate::step::{self, Operand, Step};

/// Numbers, as they are or as 8-bit integers that stand for them: `(q - zero) * scale`.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// Numbers.
    Floats(&'a [f32]),
    /// 8-bit integers; signed ones as the bytes that they are.
    Bytes {
        /// The integers.
        data: &'a [u8],
        /// What they stand for.
        kind: ByteKind,
        /// The scale.
        scale: f32,
    },
}

impl Elements<'_> {
    fn len(&self) -> usize {
        match self {
            Elements::Floats(data) => data.len(),
            Elements::Bytes { data, .. } => data.len(),
        }
    }
}

/// What results are stored as.
#[derive(Debug)]
pub enum ElementsMut<'a> {
    /// Numbers.
    Floats(&'a mut [f32]),
    /// `clamp(round(x / scale) + zero)`, ties to even. NaN becomes the smallest one.
    Bytes {
        /// The integers.
        data: &'a mut [u8],
        /// What they stand for.
        kind: ByteKind,
        /// The scale.
        scale: f32,
    },
}

impl Kernels {
    /// Steps over a matrix with `cols` columns, whose row 0 is row `first_row` of what operands cover. In the deterministic form, so
    /// that integers are the same everywhere.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: lengths do not fit each other. `Range`: a zero point is none of the type's integers, or a step wants what the
    /// destination held.
    pub fn pointwise_bytes(
        &self,
        first_row: usize,
        cols: usize,
        src: Elements<'_>,
        dst: ElementsMut<'_>,
        steps: &[Step<'_>],
    ) -> Result<(), KernelError> {
        let len = src.len();
        let rows = len.checked_div(cols).unwrap_or(0);
        same("elements", rows * cols, len)?;
        let source = match src {
            Elements::Floats(data) => Source::Floats(data.as_ptr()),
            Elements::Bytes { data, kind, scale } => {
                kind.check()?;
                let (flip, zero) = kind.unsigned();
                Source::Bytes { data: data.as_ptr(), flip, zero, scale }
            }
        };
        let (found, dst, form, scale) = match dst {
            ElementsMut::Floats(data) => (data.len(), data.as_mut_ptr().cast(), Form::Floats, 1.0),
            ElementsMut::Bytes { data, kind, scale } => {
                kind.check()?;
                let [low, high] = kind.bounds();
                (data.len(), data.as_mut_ptr(), Form::Bytes { factor: 1.0, low, high, zero: kind.zero }, scale)
            }
        };
        same("results", len, found)?;
        if steps.iter().any(|step| matches!(step.operand(), Some(Operand::Destination))) {
            return Err(KernelError::Range { what: "steps", value: steps.len() });
        }
        let last = first_row.checked_add(rows).ok_or(KernelError::Overflow { what: "rows" })?;
        step::check_rows(steps, last, cols)?;
        let table = self.bytes;
        let target =
            Target { dst: core::ptr::null_mut(), stride: cols, rows, cols, row: first_row, col: 0, steps, quick: None };
        let store = Store { dst, form, target, finish: table.finish };
        // SAFETY: every length was compared above.
        unsafe { (table.pointwise)(&BytePointwise { src: source, by: Divisor::new(scale), store }) };
        Ok(())
    }
}
