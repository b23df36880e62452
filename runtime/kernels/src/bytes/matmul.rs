//! Matrix products of 8-bit integers.

use super::pack::{BytePanels, PREFIX};
use super::product::{Part, Ready, Rows, Staging, block_rows, multiply, scratch_len};
use super::{ByteOutput, ByteView, ByteWeights};
use crate::error::{KernelError, long_enough, same};
use crate::kernels::Kernels;
use crate::step::{self, Step};

/// `C = steps((A - zero of A) (B - zeros of B), scaled)` for one shape of B: `[k, n]`. B is packed once, then used for any number of rows.
///
/// Sums are of 32 bits and wrap; those of up to 2^16 products of full range do not.
#[derive(Debug, Clone, Copy)]
pub struct ByteMatMul {
    kernels: Kernels,
    k: usize,
    n: usize,
    panels: BytePanels,
}

impl Kernels {
    /// A product of 8-bit integers with a matrix of `k` rows and `n` columns.
    ///
    /// # Errors
    ///
    /// `Overflow`: the packed matrix would not fit in memory.
    pub fn byte_matmul(&self, k: usize, n: usize) -> Result<ByteMatMul, KernelError> {
        crate::error::product("weights", &[k, n])?;
        Ok(ByteMatMul { kernels: *self, k, n, panels: BytePanels::new(self.bytes, [1, k], n)? })
    }
}

/// Rows of a matrix.
pub(super) struct Matrix<'a> {
    pub(super) view: ByteView<'a>,
    pub(super) panels: &'a BytePanels,
    pub(super) staging: Staging,
    /// Rows to stage at a time.
    pub(super) block: usize,
    /// Whether what is behind a row may be read with it: it is multiplied with zeros.
    pub(super) beyond: bool,
}

impl Matrix<'_> {
    /// Rows from `row` on that can be read where they lie.
    fn direct(&self, row: usize, most: usize) -> Option<Ready> {
        let (view, depth) = (&self.view, self.panels.depth());
        if !self.staging.is_none() || !(self.beyond || depth == self.panels.piece()) {
            return None;
        }
        let from = view.data.get(row * view.stride..)?;
        let last = from.len().checked_sub(depth)?;
        let rows = last.checked_div(view.stride).map_or(most, |rows| most.min(rows + 1));
        Some(Ready { first: from.as_ptr(), stride: view.stride, jump: depth, rows })
    }
}

impl Rows for Matrix<'_> {
    fn ready(&self, row: usize, most: usize, scratch: &mut [u8]) -> Ready {
        let most = most.min(self.block);
        if let Some(ready) = self.direct(row, most) {
            return ready;
        }
        let stride = self.panels.depth() * self.staging.size;
        for (row, to) in (row..row + most).zip(scratch.chunks_exact_mut(stride.max(1))) {
            let from = self.view.data.get(row * self.view.stride..).unwrap_or_default();
            // SAFETY: the elements are those of the slice.
            unsafe { self.staging.stage(from.as_ptr(), self.view.cols.min(from.len()), to) }.fill(0);
        }
        Ready { first: scratch.as_ptr(), stride, jump: stride, rows: most }
    }
}

impl ByteMatMul {
    /// Rows of B, columns of A.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of B and C.
    pub fn n(&self) -> usize {
        self.n
    }

    /// 32-bit integers of the packed matrix. It is read fastest where it starts at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        PREFIX + self.panels.len()
    }

    /// Bytes of scratch memory for a product with `rows` rows.
    pub fn scratch_len(&self, rows: usize) -> usize {
        scratch_len(self.kernels.bytes, &self.panels, rows)
    }

    /// Packs B, `[k, n]`, or `[n, k]` if `transposed`.
    ///
    /// # Errors
    ///
    /// `Size`: the weights or `packed` do not have the right length. `Range`: a zero point is none of the type's integers.
    pub fn pack(&self, weights: &ByteWeights<'_>, transposed: bool, packed: &mut [i32]) -> Result<(), KernelError> {
        weights.check(self.k * self.n, self.n)?;
        same("packed matrix", self.packed_len(), packed.len())?;
        let (prefix, packed) = packed.split_at_mut(PREFIX);
        prefix.fill(i32::from(weights.has_zeros(self.n)));
        self.panels.pack(packed, weights, 0, |row, column| self.place(row, column, transposed));
        Ok(())
    }

    /// The integers of B that were packed.
    ///
    /// # Errors
    ///
    /// `Size`: `packed` or `data` do not have the right length.
    pub fn unpack(&self, packed: &[i32], transposed: bool, signed: bool, data: &mut [u8]) -> Result<(), KernelError> {
        same("packed matrix", self.packed_len(), packed.len())?;
        same("weights", self.k * self.n, data.len())?;
        self.panels.unpack(&packed[PREFIX..], |row, column, weight| {
            data[self.place(row, column, transposed)] = ByteWeights::byte(weight, signed);
        });
        Ok(())
    }

    fn place(&self, row: usize, column: usize, transposed: bool) -> usize {
        if transposed { column * self.k + row } else { row * self.n + column }
    }

    /// Computes C (`[m, n]`) of A (`[m, k]`).
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other. `Range`: a zero point is none of the type's integers, or the steps are
    /// such as cannot be applied to what is stored.
    pub fn run(
        &self,
        a: ByteView<'_>,
        packed: &[i32],
        mut c: ByteOutput<'_>,
        steps: &[Step<'_>],
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        a.check()?;
        same("columns of A", self.k, a.cols)?;
        c.check(a.rows, self.n, steps)?;
        long_enough("packed matrix", self.packed_len(), packed.len())?;
        long_enough("scratch memory", self.scratch_len(a.rows), scratch.len())?;
        step::check(steps, a.rows, self.n)?;
        let (prefix, packed) = packed.split_at(PREFIX);
        let table = self.kernels.bytes;
        let (staging, weight_zeros) = (Staging::new(table, a.kind), prefix[0] != 0);
        let part = Part {
            table,
            panels: self.panels,
            packed,
            weight_zeros,
            rows: a.rows,
            stride: self.n,
            col: 0,
            row: 0,
            steps,
            zero: staging.zero,
            scale: a.scale,
        };
        let block = block_rows(table, &self.panels);
        let rows = Matrix { view: a, panels: &self.panels, staging, block, beyond: !weight_zeros };
        // SAFETY: every shape was compared above.
        unsafe { multiply(&part, &rows, &mut c, scratch) };
        Ok(())
    }
}
