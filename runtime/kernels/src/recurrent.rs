//! The elementwise half of recurrent cells. The products are [`crate::MatMul`]s: `x W + bias` for all steps at once, then per
//! step `h R` with [`crate::Step::Add`] of the former.

use crate::error::{KernelError, same};
use crate::kernel::cell::{Gru, Lstm};
use crate::kernels::Kernels;
use crate::view::{View, ViewMut};

impl Kernels {
    /// One step of an LSTM with ONNX's default activations.
    ///
    /// # Shapes
    ///
    /// gates: `[batch, 4 hidden]`, sums in ONNX's order (input, output, forget, cell); cell: `[batch, hidden]`, read and
    /// written; output: `[batch, hidden]`; peephole: `[3 hidden]` (input, output, forget).
    ///
    /// # Errors
    ///
    /// `Size`: shapes do not fit each other.
    pub fn lstm_cell(
        &self,
        gates: View<'_>,
        peephole: Option<&[f32]>,
        mut cell: ViewMut<'_>,
        mut output: ViewMut<'_>,
    ) -> Result<(), KernelError> {
        let (batch, hidden) = (cell.rows(), cell.cols());
        same("rows of the gates", batch, gates.rows())?;
        same("columns of the gates", crate::error::product("gates", &[4, hidden])?, gates.cols())?;
        same("rows of the output", batch, output.rows())?;
        same("columns of the output", hidden, output.cols())?;
        if let Some(peephole) = peephole {
            same("peephole weights", crate::error::product("peepholes", &[3, hidden])?, peephole.len())?;
        }
        for b in 0..batch {
            let step = Lstm {
                gates: gates.row(b).as_ptr(),
                peephole: peephole.map_or(core::ptr::null(), <[f32]>::as_ptr),
                cell: cell.row_mut(b).as_mut_ptr(),
                output: output.row_mut(b).as_mut_ptr(),
                hidden,
            };
            // SAFETY: each row has the blocks of `hidden` floats that were compared above.
            unsafe { (self.table.lstm)(&step) };
        }
        Ok(())
    }

    /// One step of a GRU with ONNX's default activations and `linear_before_reset = 1`.
    ///
    /// # Shapes
    ///
    /// input: `[batch, 3 hidden]`, `x W + Wb` in ONNX's order (update, reset, hidden); state: the same of `h R + Rb`;
    /// output: `[batch, hidden]`, the state before, read and written.
    ///
    /// # Errors
    ///
    /// `Size`: shapes do not fit each other.
    pub fn gru_cell(&self, input: View<'_>, state: View<'_>, mut output: ViewMut<'_>) -> Result<(), KernelError> {
        let (batch, hidden) = (output.rows(), output.cols());
        let gates = crate::error::product("gates", &[3, hidden])?;
        same("rows of the input's sums", batch, input.rows())?;
        same("columns of the input's sums", gates, input.cols())?;
        same("rows of the state's sums", batch, state.rows())?;
        same("columns of the state's sums", gates, state.cols())?;
        for b in 0..batch {
            let step = Gru {
                input: input.row(b).as_ptr(),
                state: state.row(b).as_ptr(),
                output: output.row_mut(b).as_mut_ptr(),
                hidden,
            };
            // SAFETY: each row has the blocks of `hidden` floats that were compared above.
            unsafe { (self.table.gru)(&step) };
        }
        Ok(())
    }
}
