//! Matrix products.

use crate::error::{KernelError, long_enough, same};
use crate::kernels::Kernels;
use crate::packing::{Form, Packing};
use crate::panels::{Panels, Part, Source};
use crate::product::multiply;
use crate::step::{self, Step};
use crate::stored::{self, PackedWeights, Storage};
use crate::view::{View, ViewMut};
use core::ops::Range;

/// `C = steps(A B + bias)` for one shape of B: `[k, n]`. B is packed once, then used for any number of rows of A.
///
/// ```
/// use pannier_kernels::{Kernels, View, ViewMut};
/// # fn main() -> Result<(), pannier_kernels::KernelError> {
/// let product = Kernels::best().matmul(2, 1)?;
/// let mut packed = vec![0.0; product.packed_len()];
/// product.pack(View::dense(&[3.0, 4.0], 2, 1)?, None, &mut packed)?;
/// let mut c = [0.0];
/// product.run(View::dense(&[1.0, 2.0], 1, 2)?, &packed, ViewMut::dense(&mut c, 1, 1)?, &[])?;
/// assert_eq!(c, [11.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MatMul {
    kernels: Kernels,
    k: usize,
    n: usize,
    pub(crate) panels: Panels,
}

impl Kernels {
    /// A product with a matrix of `k` rows and `n` columns.
    ///
    /// # Errors
    ///
    /// `Overflow`: the packed matrix would not fit in memory.
    pub fn matmul(&self, k: usize, n: usize) -> Result<MatMul, KernelError> {
        Ok(MatMul { kernels: *self, k, n, panels: Panels::new(self.table, k, n)? })
    }
}

/// Rows of a matrix, each one piece.
pub(crate) struct Matrix<'a>(pub View<'a>);

impl Source for Matrix<'_> {
    fn runs(&self) -> (usize, usize) {
        (1, self.0.cols())
    }

    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32) {
        for r in 0..rows {
            // SAFETY: the rows exist, so do their pointers' places.
            unsafe { *out.add(r) = self.0.ptr().add((first + r) * self.0.stride()) };
        }
    }
}

impl MatMul {
    /// Rows of B, columns of A.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of B and C.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Floats of the packed matrix. It is read fastest where it starts at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        self.panels.len()
    }

    /// The form of the packed matrix. `transposed`: B will be given as `[n, k]`.
    pub fn packing(&self, transposed: bool) -> Packing {
        let form = if transposed { Form::Transposed } else { Form::Matrix };
        Packing { form, panels: self.panels, groups: 1, taps: 1, inputs: self.k, outputs: self.n }
    }

    /// Packs B (`[k, n]`) and a bias per column.
    ///
    /// # Errors
    ///
    /// `Size`: B, bias or `packed` do not have the right shape.
    pub fn pack(&self, b: View<'_>, bias: Option<&[f32]>, packed: &mut [f32]) -> Result<(), KernelError> {
        same("rows of B", self.k, b.rows())?;
        same("columns of B", self.n, b.cols())?;
        // SAFETY: `pack` asks for rows below k and columns below n, which are the view's.
        self.pack_checked(bias, packed, |k, n| unsafe { *b.ptr().add(k * b.stride() + n) })
    }

    /// Packs B given as its transpose (`[n, k]`) and a bias per column.
    ///
    /// # Errors
    ///
    /// As for [`MatMul::pack`].
    pub fn pack_transposed(&self, b: View<'_>, bias: Option<&[f32]>, packed: &mut [f32]) -> Result<(), KernelError> {
        same("rows of the transpose of B", self.n, b.rows())?;
        same("columns of the transpose of B", self.k, b.cols())?;
        // SAFETY: as in `pack`.
        self.pack_checked(bias, packed, |k, n| unsafe { *b.ptr().add(n * b.stride() + k) })
    }

    fn pack_checked(
        &self,
        bias: Option<&[f32]>,
        packed: &mut [f32],
        at: impl Fn(usize, usize) -> f32,
    ) -> Result<(), KernelError> {
        if let Some(bias) = bias {
            same("bias", self.n, bias.len())?;
        }
        same("packed matrix", self.packed_len(), packed.len())?;
        self.panels.pack(packed, |n| bias.map_or(0.0, |bias| bias[n]), at);
        Ok(())
    }

    /// Computes C (`[m, n]`) of A (`[m, k]`). To share work between threads, split A and C by rows: the bits stay the same.
    /// Operands of steps then have to be split as well.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other.
    pub fn run(&self, a: View<'_>, packed: &[f32], c: ViewMut<'_>, steps: &[Step<'_>]) -> Result<(), KernelError> {
        let (rows, panels) = (0..a.rows(), 0..self.panels.count());
        self.run_part(rows, panels, a, PackedWeights::Floats(packed), c, steps, &mut [])
    }

    /// The number of panels that B is packed in, the unit by which columns can be shared between threads.
    pub fn panels(&self) -> usize {
        self.panels.count()
    }

    /// The columns of C that some panels make.
    pub fn columns(&self, panels: Range<usize>) -> Range<usize> {
        let end = panels.end.min(self.panels.count());
        self.panels.columns(&(panels.start.min(end)..end))
    }

    /// Floats of scratch memory for [`run_part`](MatMul::run_part) with so many rows, and with weights that are stored so.
    pub fn scratch_len(&self, rows: usize, storage: Option<Storage>) -> usize {
        stored::scratch_len(&self.panels, rows, storage)
    }

    /// As [`MatMul::run`], for some rows and some panels: `c` has those rows and the panels' [`columns`](MatMul::columns), and nothing
    /// else; A, steps and `packed` are those of the whole. The bits are the same whether weights stay as they are stored or not.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other, or `scratch` is shorter than [`scratch_len`](MatMul::scratch_len).
    /// `Range`: there are no such rows or panels.
    #[expect(clippy::too_many_arguments, reason = "a part of a product, and memory for it")]
    pub fn run_part(
        &self,
        rows: Range<usize>,
        panels: Range<usize>,
        a: View<'_>,
        packed: PackedWeights<'_>,
        c: ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        if panels.start > panels.end || panels.end > self.panels.count() {
            return Err(KernelError::Range { what: "panels", value: panels.end });
        }
        if rows.start > rows.end || rows.end > a.rows() {
            return Err(KernelError::Range { what: "rows", value: rows.end });
        }
        same("columns of A", self.k, a.cols())?;
        same("rows of C", rows.len(), c.rows())?;
        same("columns of C", self.panels.columns(&panels).len(), c.cols())?;
        step::check(steps, a.rows(), self.n)?;
        long_enough("scratch memory", self.scratch_len(rows.len(), packed.storage()), scratch.len())?;
        // Whether B is given as its transpose makes no difference here.
        let packed = packed.panels(&self.packing(false), scratch)?;
        if c.is_empty() {
            return Ok(());
        }
        let part = Part {
            table: self.kernels.table,
            panels: self.panels,
            range: panels,
            packed,
            rows: rows.len(),
            dst: c.ptr(),
            stride: c.stride(),
            row: rows.start,
            col: 0,
            steps,
        };
        let a = a.sub_rows(rows.start, rows.len());
        // SAFETY: every shape was compared above; a matrix has one run.
        unsafe { multiply(&part, &mut Matrix(a)) };
        Ok(())
    }
}
