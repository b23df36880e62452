//! Matrices in memory: rows with a stride.
//!
//! An image in channels-last order is a matrix of pixels x channels. A stride larger than the width makes a group of
//! channels of a wider tensor a matrix of its own, so a concatenation along channels copies nothing.

use crate::error::{KernelError, long_enough, product};
use core::marker::PhantomData;

/// A matrix to read. Rows may overlap (a stride below the width), as those of a sliding window do.
#[derive(Clone, Copy)]
pub struct View<'a> {
    ptr: *const f32,
    rows: usize,
    cols: usize,
    stride: usize,
    lifetime: PhantomData<&'a [f32]>,
}

// SAFETY: it is a shared borrow of floats.
unsafe impl Send for View<'_> {}
// SAFETY: as above.
unsafe impl Sync for View<'_> {}

/// A matrix to write. Its elements are borrowed exclusively, those between its rows are not.
pub struct ViewMut<'a> {
    ptr: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is an exclusive borrow of floats.
unsafe impl Send for ViewMut<'_> {}
// SAFETY: as above; `&ViewMut` only reads.
unsafe impl Sync for ViewMut<'_> {}

/// Floats from the first to behind the last of a matrix.
fn extent(rows: usize, cols: usize, stride: usize) -> Result<usize, KernelError> {
    if rows == 0 || cols == 0 {
        return Ok(0);
    }
    let before = product("matrix", &[rows - 1, stride])?;
    let total = before.checked_add(cols).ok_or(KernelError::Overflow { what: "matrix" })?;
    product("matrix", &[total])
}

impl<'a> View<'a> {
    /// The matrix whose row `r` starts at `data[r * stride]`.
    ///
    /// # Errors
    ///
    /// `TooShort`: the last row ends behind the data. `Overflow`: its end is not a `usize`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Result<Self, KernelError> {
        long_enough("matrix", extent(rows, cols, stride)?, data.len())?;
        Ok(Self { ptr: data.as_ptr(), rows, cols, stride, lifetime: PhantomData })
    }

    /// A matrix without gaps.
    ///
    /// # Errors
    ///
    /// As for [`View::new`].
    pub fn dense(data: &'a [f32], rows: usize, cols: usize) -> Result<Self, KernelError> {
        Self::new(data, rows, cols, cols)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from the start of a row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `r`, or nothing behind the last.
    pub fn row(&self, r: usize) -> &'a [f32] {
        if r >= self.rows || self.cols == 0 {
            return &[];
        }
        // SAFETY: `new` checked that every row lies inside the data.
        unsafe { core::slice::from_raw_parts(self.ptr.add(r * self.stride), self.cols) }
    }

    /// The rows `start..start + len`, cut to what is there.
    pub fn sub_rows(&self, start: usize, len: usize) -> Self {
        let start = start.min(self.rows);
        let rows = len.min(self.rows - start);
        // SAFETY: inside the matrix; not moved when nothing is left, because the end of a strided matrix may lie behind the data.
        let ptr = if rows == 0 { self.ptr } else { unsafe { self.ptr.add(start * self.stride) } };
        Self { ptr, rows, ..*self }
    }

    /// The columns `start..start + len`, cut to what is there.
    pub fn sub_cols(&self, start: usize, len: usize) -> Self {
        let start = start.min(self.cols);
        let cols = len.min(self.cols - start);
        // SAFETY: as for rows.
        let ptr = if cols == 0 || self.rows == 0 { self.ptr } else { unsafe { self.ptr.add(start) } };
        Self { ptr, cols, ..*self }
    }

    pub(crate) fn ptr(&self) -> *const f32 {
        self.ptr
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }
}

impl<'a> ViewMut<'a> {
    /// The matrix whose row `r` starts at `data[r * stride]`.
    ///
    /// # Errors
    ///
    /// `TooShort`: the last row ends behind the data. `Range`: rows overlap. `Overflow`: the end is not a `usize`.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Result<Self, KernelError> {
        if rows > 1 && stride < cols {
            return Err(KernelError::Range { what: "stride", value: stride });
        }
        long_enough("matrix", extent(rows, cols, stride)?, data.len())?;
        Ok(Self { ptr: data.as_mut_ptr(), rows, cols, stride, lifetime: PhantomData })
    }

    /// A matrix without gaps.
    ///
    /// # Errors
    ///
    /// As for [`ViewMut::new`].
    pub fn dense(data: &'a mut [f32], rows: usize, cols: usize) -> Result<Self, KernelError> {
        Self::new(data, rows, cols, cols)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from the start of a row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The same matrix, borrowed for less time.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { ptr: self.ptr, rows: self.rows, cols: self.cols, stride: self.stride, lifetime: PhantomData }
    }

    /// The same matrix, to read.
    pub fn as_view(&self) -> View<'_> {
        View { ptr: self.ptr, rows: self.rows, cols: self.cols, stride: self.stride, lifetime: PhantomData }
    }

    /// The same matrix, to read from now on.
    pub fn into_view(self) -> View<'a> {
        View { ptr: self.ptr, rows: self.rows, cols: self.cols, stride: self.stride, lifetime: PhantomData }
    }

    /// Row `r`, or nothing behind the last.
    pub fn row_mut(&mut self, r: usize) -> &mut [f32] {
        if r >= self.rows || self.cols == 0 {
            return &mut [];
        }
        // SAFETY: `new` checked that every row lies inside the data; the borrow of `self` is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.add(r * self.stride), self.cols) }
    }

    /// The first `at` rows and the others: two matrices that two threads may write.
    pub fn split_rows(self, at: usize) -> (Self, Self) {
        let at = at.min(self.rows);
        // SAFETY: inside the matrix; not moved when nothing is behind `at`.
        let ptr = if at == self.rows { self.ptr } else { unsafe { self.ptr.add(at * self.stride) } };
        (Self { rows: at, ..self }, Self { ptr, rows: self.rows - at, ..self })
    }

    /// The first `at` columns and the others: two matrices that two threads may write.
    pub fn split_cols(self, at: usize) -> (Self, Self) {
        let at = at.min(self.cols);
        // SAFETY: as for rows.
        let ptr = if at == self.cols || self.rows == 0 { self.ptr } else { unsafe { self.ptr.add(at) } };
        (Self { cols: at, ..self }, Self { ptr, cols: self.cols - at, ..self })
    }

    pub(crate) fn ptr(&self) -> *mut f32 {
        self.ptr
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }
}
