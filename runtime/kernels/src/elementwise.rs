//! Elementwise passes, and those along rows or columns.

use crate::error::{KernelError, same};
use crate::kernel::layout::Transpose;
use crate::kernel::pointwise::{Pointwise, Target};
use crate::kernel::rows::{Norm, Reduce, Reduction, Rows};
use crate::kernels::Kernels;
use crate::step::{self, Step};
use crate::view::{View, ViewMut};

fn rows(src: View<'_>, dst: &mut ViewMut<'_>) -> Result<Rows, KernelError> {
    same("rows of the result", src.rows(), dst.rows())?;
    same("columns of the result", src.cols(), dst.cols())?;
    Ok(Rows {
        src: src.ptr(),
        src_stride: src.stride(),
        dst: dst.ptr(),
        dst_stride: dst.stride(),
        rows: src.rows(),
        cols: src.cols(),
    })
}

/// A matrix that is both source and result.
fn both(m: &mut ViewMut<'_>) -> Rows {
    Rows { src: m.ptr(), src_stride: m.stride(), dst: m.ptr(), dst_stride: m.stride(), rows: m.rows(), cols: m.cols() }
}

fn reduction(src: View<'_>, dst: &mut [f32], dst_stride: usize, reduce: Reduce) -> Reduction {
    let rows = Rows {
        src: src.ptr(),
        src_stride: src.stride(),
        dst: dst.as_mut_ptr(),
        dst_stride,
        rows: src.rows(),
        cols: src.cols(),
    };
    Reduction { rows, reduce }
}

impl Kernels {
    /// `dst = steps(src)`, elementwise. Without steps it is a copy.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other.
    pub fn pointwise(&self, src: View<'_>, dst: ViewMut<'_>, steps: &[Step<'_>]) -> Result<(), KernelError> {
        step::check(steps, src.rows(), src.cols())?;
        self.pointwise_rows(0, src, dst, steps)
    }

    /// As [`Kernels::pointwise`], for rows from `first` on: `src` and `dst` have only those, operands of steps all.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::pointwise`].
    pub fn pointwise_rows(
        &self,
        first: usize,
        src: View<'_>,
        mut dst: ViewMut<'_>,
        steps: &[Step<'_>],
    ) -> Result<(), KernelError> {
        let rows = rows(src, &mut dst)?;
        self.steps(first, &rows, steps)
    }

    /// `m = steps(m)`, elementwise.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::pointwise`].
    pub fn pointwise_in_place(&self, m: ViewMut<'_>, steps: &[Step<'_>]) -> Result<(), KernelError> {
        step::check(steps, m.rows(), m.cols())?;
        self.pointwise_rows_in_place(0, m, steps)
    }

    /// As [`Kernels::pointwise_in_place`], for rows from `first` on: `m` has only those, operands of steps all.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::pointwise`].
    pub fn pointwise_rows_in_place(
        &self,
        first: usize,
        mut m: ViewMut<'_>,
        steps: &[Step<'_>],
    ) -> Result<(), KernelError> {
        self.steps(first, &both(&mut m), steps)
    }

    fn steps(&self, row: usize, m: &Rows, steps: &[Step<'_>]) -> Result<(), KernelError> {
        let end = row.checked_add(m.rows).ok_or(KernelError::Overflow { what: "rows" })?;
        step::check_rows(steps, end, m.cols)?;
        let (dst, stride) = (m.dst, m.dst_stride);
        let target = Target { dst, stride, rows: m.rows, cols: m.cols, row, col: 0, steps, quick: None };
        // SAFETY: both matrices have the same shape, operands were checked.
        unsafe {
            (self.table.pointwise)(&Pointwise {
                src: m.src,
                src_stride: m.src_stride,
                target,
                finish: self.table.finish,
            })
        };
        Ok(())
    }

    /// Softmax of each row. A row of minus infinities becomes zeros.
    ///
    /// # Errors
    ///
    /// `Size`: shapes differ.
    pub fn softmax(&self, src: View<'_>, mut dst: ViewMut<'_>) -> Result<(), KernelError> {
        let rows = rows(src, &mut dst)?;
        // SAFETY: both matrices have the same shape.
        unsafe { (self.table.softmax)(&rows) };
        Ok(())
    }

    /// Softmax of each row, in place.
    pub fn softmax_in_place(&self, mut m: ViewMut<'_>) {
        // SAFETY: the kernel reads an element before it writes it.
        unsafe { (self.table.softmax)(&both(&mut m)) }
    }

    /// Logarithm of the softmax of each row.
    ///
    /// # Errors
    ///
    /// `Size`: shapes differ.
    pub fn log_softmax(&self, src: View<'_>, mut dst: ViewMut<'_>) -> Result<(), KernelError> {
        let rows = rows(src, &mut dst)?;
        // SAFETY: both matrices have the same shape.
        unsafe { (self.table.log_softmax)(&rows) };
        Ok(())
    }

    /// `(x - mean) / sqrt(variance + epsilon) * scale + shift` of each row; scale and shift are per column.
    ///
    /// # Errors
    ///
    /// `Size`: shapes differ.
    pub fn layer_norm(
        &self,
        src: View<'_>,
        mut dst: ViewMut<'_>,
        scale: Option<&[f32]>,
        shift: Option<&[f32]>,
        epsilon: f32,
    ) -> Result<(), KernelError> {
        let rows = rows(src, &mut dst)?;
        let pointer = |what, values: Option<&[f32]>| match values {
            None => Ok(core::ptr::null()),
            Some(values) => same(what, rows.cols, values.len()).map(|()| values.as_ptr()),
        };
        let (scale, shift) = (pointer("scale", scale)?, pointer("shift", shift)?);
        // SAFETY: both matrices have the same shape, scale and shift one number per column.
        unsafe { (self.table.layer_norm)(&Norm { rows, scale, shift, epsilon }) };
        Ok(())
    }

    /// One number per row. The mean of nothing is NaN, its sum 0.
    ///
    /// # Errors
    ///
    /// `Size`: `dst` does not have one element per row.
    pub fn reduce_rows(&self, reduce: Reduce, src: View<'_>, dst: &mut [f32]) -> Result<(), KernelError> {
        same("results per row", src.rows(), dst.len())?;
        // SAFETY: one result per row.
        unsafe { (self.table.reduce_rows)(&reduction(src, dst, 1, reduce)) };
        Ok(())
    }

    /// One number per column: over pixels, that is global pooling.
    ///
    /// # Errors
    ///
    /// `Size`: `dst` does not have one element per column.
    pub fn reduce_cols(&self, reduce: Reduce, src: View<'_>, dst: &mut [f32]) -> Result<(), KernelError> {
        same("results per column", src.cols(), dst.len())?;
        // SAFETY: one result per column.
        unsafe { (self.table.reduce_cols)(&reduction(src, dst, 1, reduce)) };
        Ok(())
    }

    /// `dst[c][r] = src[r][c]`: for example channels x pixels into pixels x channels.
    ///
    /// # Errors
    ///
    /// `Size`: `dst` is not `cols x rows`.
    pub fn transpose(&self, src: View<'_>, dst: ViewMut<'_>) -> Result<(), KernelError> {
        same("rows of the transpose", src.cols(), dst.rows())?;
        same("columns of the transpose", src.rows(), dst.cols())?;
        let t = Transpose {
            src: src.ptr(),
            src_stride: src.stride(),
            dst: dst.ptr(),
            dst_stride: dst.stride(),
            rows: src.rows(),
            cols: src.cols(),
        };
        // SAFETY: the shapes are each other's transpose.
        unsafe { (self.table.transpose)(&t) };
        Ok(())
    }

    /// `dst[i] = src[index[i]]`, row by row: embeddings, nearest-neighbour resizing.
    ///
    /// # Errors
    ///
    /// `Size`: shapes differ. `Range`: an index is not a row.
    pub fn gather_rows(&self, src: View<'_>, index: &[u32], mut dst: ViewMut<'_>) -> Result<(), KernelError> {
        same("columns of the result", src.cols(), dst.cols())?;
        same("rows of the result", index.len(), dst.rows())?;
        if let Some(index) = index.iter().find(|index| **index as usize >= src.rows()) {
            return Err(KernelError::Range { what: "row", value: *index as usize });
        }
        for (r, index) in index.iter().enumerate() {
            dst.row_mut(r).copy_from_slice(src.row(*index as usize));
        }
        Ok(())
    }
}

impl Kernels {
    /// Copies a matrix: into a wider one, that is a concatenation.
    ///
    /// # Errors
    ///
    /// `Size`: shapes differ.
    pub fn copy(&self, src: View<'_>, dst: ViewMut<'_>) -> Result<(), KernelError> {
        self.pointwise(src, dst, &[])
    }
}
