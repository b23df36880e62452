//! The form in which constant weights lie in memory for a kernel.

use crate::conv::winograd;
use crate::error::{KernelError, same};
use crate::panels::Panels;

/// A packed form of weights and bias. It knows nothing of the images or rows that the weights will meet: the same weights
/// in the same packing are the same bytes, so whoever packs them twice can keep them once.
///
/// # Shapes
///
/// Weights as the operation that it comes from takes them, row-major and without gaps: `[k, n]` or `[n, k]` for
/// [`MatMul`](crate::MatMul), ONNX's for [`Conv`](crate::Conv) and [`ConvTranspose`](crate::ConvTranspose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packing {
    pub(crate) form: Form,
    /// The matrix product of one group.
    pub(crate) panels: Panels,
    pub(crate) groups: usize,
    /// Taps of a kernel.
    pub(crate) taps: usize,
    /// Channels of one group that come in and go out; of a plain matrix, rows and columns.
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// In what order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Panels of a matrix `[k, n]`.
    Matrix,
    /// Panels of a matrix that is given as `[n, k]`.
    Transposed,
    /// Panels whose k passes over the channels under one tap, then over the next.
    Taps,
    /// Panels whose k passes over the taps of one channel, then over the next.
    Lines,
    /// `[channels / LANES][1 + taps][LANES]`: bias, then taps.
    Depthwise,
    /// Panels of each point of the transformed kernels; the biases last.
    Winograd,
    /// Biases, then panels whose columns are (tap, channel). `apart`: the biases are in the panels, too.
    Scattered { apart: bool },
}

impl Packing {
    /// Floats of the packed weights. They are read fastest where they start at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        match self.form {
            Form::Matrix | Form::Transposed | Form::Taps | Form::Lines => self.panels.len() * self.groups,
            Form::Depthwise => self.groups.next_multiple_of(self.panels.lanes()) * (1 + self.taps),
            Form::Winograd => winograd::POINTS * self.panels.len() + self.outputs,
            Form::Scattered { .. } => self.panels.len() + self.outputs,
        }
    }

    /// Floats of the weights.
    pub fn weights_len(&self) -> usize {
        self.groups * self.taps * self.inputs * self.outputs
    }

    /// Floats of the bias.
    pub fn bias_len(&self) -> usize {
        self.groups * self.outputs
    }

    /// Whether [`unpack`](Packing::unpack) gives the weights back, bit by bit.
    pub fn is_reversible(&self) -> bool {
        self.form != Form::Winograd
    }

    /// Packs weights and a bias per column or output channel.
    ///
    /// # Errors
    ///
    /// `Size`: weights, bias or `packed` do not have the right length.
    pub fn pack(&self, weights: &[f32], bias: Option<&[f32]>, packed: &mut [f32]) -> Result<(), KernelError> {
        same("weights", self.weights_len(), weights.len())?;
        same("packed weights", self.packed_len(), packed.len())?;
        if let Some(bias) = bias {
            same("bias", self.bias_len(), bias.len())?;
        }
        let bias = |channel: usize| bias.map_or(0.0, |bias| bias[channel]);
        match self.form {
            Form::Matrix | Form::Transposed | Form::Taps | Form::Lines => {
                for (group, packed) in packed.chunks_exact_mut(self.panels.len().max(1)).enumerate() {
                    let first = group * self.outputs;
                    self.panels.rows(|row, columns, place| {
                        let (inside, beyond) = packed[place].split_at_mut(columns.len());
                        match row.checked_sub(1) {
                            None => inside.iter_mut().zip(columns).for_each(|(slot, n)| *slot = bias(first + n)),
                            Some(k) => {
                                let (start, step) = self.line(k, first + columns.start);
                                let line = weights[start..].iter().step_by(step);
                                inside.iter_mut().zip(line).for_each(|(slot, weight)| *slot = *weight);
                            }
                        }
                        beyond.fill(0.0);
                    });
                }
            }
            Form::Depthwise => {
                for (i, slot) in packed.iter_mut().enumerate() {
                    *slot = match self.depthwise(i) {
                        (channel, _) if channel >= self.groups => 0.0,
                        (channel, None) => bias(channel),
                        (channel, Some(tap)) => weights[channel * self.taps + tap],
                    };
                }
            }
            Form::Winograd => winograd::pack(self, weights, bias, packed),
            Form::Scattered { apart } => {
                let (biases, packed) = packed.split_at_mut(self.outputs);
                biases.iter_mut().enumerate().for_each(|(channel, slot)| *slot = bias(channel));
                let bias = |n: usize| if apart { biases[n % self.outputs] } else { 0.0 };
                self.panels.pack(packed, bias, |k, n| weights[self.scattered(k, n)]);
            }
        }
        Ok(())
    }

    /// The weights that were packed.
    ///
    /// # Errors
    ///
    /// `Size`: `packed` or `weights` do not have the right length. `Range`: the packing is not
    /// [reversible](Packing::is_reversible).
    pub fn unpack(&self, packed: &[f32], weights: &mut [f32]) -> Result<(), KernelError> {
        same("weights", self.weights_len(), weights.len())?;
        same("packed weights", self.packed_len(), packed.len())?;
        match self.form {
            Form::Matrix | Form::Transposed | Form::Taps | Form::Lines => {
                for (group, packed) in packed.chunks_exact(self.panels.len().max(1)).enumerate() {
                    self.panels.rows(|row, columns, place| {
                        let Some(k) = row.checked_sub(1) else { return };
                        let (start, step) = self.line(k, group * self.outputs + columns.start);
                        let line = weights[start..].iter_mut().step_by(step).take(columns.len());
                        line.zip(&packed[place]).for_each(|(weight, value)| *weight = *value);
                    });
                }
            }
            Form::Depthwise => {
                for (i, value) in packed.iter().enumerate() {
                    if let (channel, Some(tap)) = self.depthwise(i)
                        && channel < self.groups
                    {
                        weights[channel * self.taps + tap] = *value;
                    }
                }
            }
            Form::Winograd => return Err(KernelError::Range { what: "packing", value: winograd::POINTS }),
            Form::Scattered { .. } => {
                self.panels.unpack(&packed[self.outputs..], |k, n, value| weights[self.scattered(k, n)] = value);
            }
        }
        Ok(())
    }

    /// Where row k of a column is in the weights, and the distance to the next column, where panels are plain ones.
    fn line(&self, k: usize, column: usize) -> (usize, usize) {
        let k_len = self.inputs * self.taps;
        match self.form {
            Form::Matrix => (k * self.outputs + column, 1),
            _ => (column * k_len + self.row(k), k_len),
        }
    }

    /// The place of row k of plain panels among the weights of a column.
    pub(crate) fn row(&self, k: usize) -> usize {
        if self.form == Form::Taps { k % self.inputs * self.taps + k / self.inputs } else { k }
    }

    /// Channel and tap at a place; `None` is the bias.
    fn depthwise(&self, at: usize) -> (usize, Option<usize>) {
        let lanes = self.panels.lanes();
        let (vector, lane) = (at / lanes, at % lanes);
        let (channel, row) = (vector / (1 + self.taps) * lanes + lane, vector % (1 + self.taps));
        (channel, row.checked_sub(1))
    }

    /// Column (tap, channel) of row k is weights[k][channel][tap].
    fn scattered(&self, k: usize, n: usize) -> usize {
        (k * self.outputs + n % self.outputs) * self.taps + n / self.outputs
    }
}
