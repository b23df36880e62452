//! Recurrent layers.

use super::chain::text;
use super::matmul::packed;
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::view::{Failure, View, floats_mut};
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::{Kernels, Operand, Step, Storage};

/// One direction of an LSTM with the standard's default activations.
///
/// Operands: the sequence `[steps, batch, input]`; packed W with its bias; packed R with its bias; the first hidden state
/// and the first cell state `[1, batch, hidden]`, either may be absent. Before weights are packed each has its bias, or none,
/// behind it. Results: `[steps, 1, batch, hidden]`, the last
/// hidden state and the last cell state.
#[derive(Debug, Clone)]
pub(crate) struct Lstm {
    pub(crate) kernels: Kernels,
    /// The sequence by W, for all steps at once.
    pub(crate) input: kernels::MatMul,
    /// The hidden state by R, for each step.
    pub(crate) hidden: kernels::MatMul,
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) reverse: bool,
    pub(crate) packed: bool,
    /// How packed W and R stay as they are stored; `None` of those that are numbers.
    pub(crate) storage: [Option<Storage>; 2],
}

impl Lstm {
    fn size(&self) -> usize {
        self.hidden.k()
    }

    /// Numbers of scratch memory: gates of all steps, gates of one step, hidden state, cell state, widened weights.
    fn scratch(&self) -> [usize; 5] {
        let (gates, state) = (self.batch * 4 * self.size(), self.batch * self.size());
        let [w, r] = self.storage;
        let widened = self.input.scratch_len(self.steps * self.batch, w).max(self.hidden.scratch_len(self.batch, r));
        [self.steps * gates, gates, state, state, widened]
    }
}

impl Operator for Lstm {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?; 3])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let state = vec![1, self.batch, self.size()];
        Ok(vec![vec![self.steps, 1, self.batch, self.size()], state.clone(), state])
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        self.scratch().iter().sum::<usize>().saturating_mul(4)
    }

    fn flops(&self, _: &Facts<'_>) -> usize {
        2 * self.steps * self.batch * (self.input.k() * self.input.n() + self.hidden.k() * self.hidden.n())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (sequence, w, r) = (io.input(0)?.as_slice::<f32>()?, io.input(1)?, io.input(2)?);
        let [of_w, of_r] = self.storage;
        let (first_hidden, first_cell) = (io.get(3), io.get(4));
        let (batch, size, limits) = (self.batch, self.size(), io.limits);
        let [all, one, state, ..] = self.scratch();
        let scratch = floats_mut(io.scratch)?;
        let (projected, rest) = scratch.split_at_mut_checked(all).ok_or("too little scratch memory")?;
        let (gates, rest) = rest.split_at_mut_checked(one).ok_or("too little scratch memory")?;
        let (hidden, cell) = rest.split_at_mut_checked(state).ok_or("too little scratch memory")?;
        let (cell, widened) = cell.split_at_mut_checked(state).ok_or("too little scratch memory")?;
        begin(hidden, first_hidden)?;
        begin(cell, first_cell)?;
        let rows = self.steps * batch;
        let sequence = kernels::View::dense(sequence, rows, self.input.k()).map_err(text)?;
        let to = kernels::ViewMut::dense(projected, rows, 4 * size).map_err(text)?;
        let (panels, w, r) = (0..self.input.panels(), packed(of_w, w)?, packed(of_r, r)?);
        self.input.run_part(0..rows, panels, sequence, w, to, &[], widened).map_err(text)?;
        for step in 0..self.steps {
            if step % 64 == 63 {
                limits.check()?;
            }
            let at = if self.reverse { self.steps - 1 - step } else { step };
            let before =
                kernels::View::dense(projected.get(at * one..).unwrap_or_default(), batch, 4 * size).map_err(text)?;
            let state = kernels::View::dense(hidden, batch, size).map_err(text)?;
            let sums = kernels::ViewMut::dense(gates, batch, 4 * size).map_err(text)?;
            let (panels, steps) = (0..self.hidden.panels(), [Step::Add(Operand::Full(before))]);
            self.hidden.run_part(0..batch, panels, state, r, sums, &steps, widened).map_err(text)?;
            let sums = kernels::View::dense(gates, batch, 4 * size).map_err(text)?;
            let cell = kernels::ViewMut::dense(cell, batch, size).map_err(text)?;
            let output = kernels::ViewMut::dense(hidden, batch, size).map_err(text)?;
            self.kernels.lstm_cell(sums, None, cell, output).map_err(text)?;
            if let Some(all) = io.outputs.first_mut().and_then(Option::as_mut) {
                let slot = all.as_slice::<f32>()?.get_mut(at * batch * size..(at + 1) * batch * size);
                slot.ok_or("the result is too short")?.copy_from_slice(hidden);
            }
        }
        for (index, last) in [(1, &*hidden), (2, &*cell)] {
            if let Some(output) = io.outputs.get_mut(index).and_then(Option::as_mut) {
                output.as_slice::<f32>()?.copy_from_slice(last);
            }
        }
        Ok(())
    }
}

/// The state before the first step: what is given, or zeros.
fn begin(state: &mut [f32], given: Option<View<'_>>) -> Result<(), Failure> {
    match given {
        Some(given) => {
            let given = given.as_slice::<f32>()?;
            if given.len() != state.len() {
                return Err("a first state has another size".into());
            }
            state.copy_from_slice(given);
        }
        None => state.fill(0.0),
    }
    Ok(())
}
