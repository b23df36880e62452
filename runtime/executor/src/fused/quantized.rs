//! Convolutions and matrix products of 8-bit integers.

use super::Epilogue;
use super::chain::text;
use super::quantized_chain::Quant;
use super::share::{cut, share, tasks};
use crate::limits::Going;
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::plan::per_thread;
use crate::shape;
use crate::view::{Failure, View, floats_mut};
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::{ByteKind, ByteOutput, ByteView, Step, ThreadPool};
use std::sync::Arc;

/// Operations of one band of rows between two questions whether to go on: about 10 ms.
const BAND_OPERATIONS: usize = 1_000_000_000;

/// What the integers of operand 0 stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    Known(Quant),
    /// Operands 2 and 3 are the scale and the zero point.
    Operands {
        signed: bool,
    },
}

/// What the weights stand for; their integers are an operand.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    pub(crate) signed: bool,
    pub(crate) zeros: Vec<i32>,
    pub(crate) scales: Vec<f32>,
    pub(crate) bias: Option<Vec<i32>>,
    pub(crate) shift: Option<Vec<f32>>,
}

/// The kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernel {
    /// Of images in channels-last order.
    Conv(kernels::ByteConv),
    /// Of so many rows; the matrix may be given as its transpose.
    MatMul { product: kernels::ByteMatMul, rows: usize, transposed: bool },
}

impl Kernel {
    /// Rows and columns of the result.
    fn result(&self) -> [usize; 2] {
        match self {
            Kernel::Conv(conv) => [conv.shape().out_pixels(), conv.shape().out_channels],
            Kernel::MatMul { product, rows, .. } => [*rows, product.n()],
        }
    }

    /// Sums of how many products a result is.
    fn depth(&self) -> usize {
        match self {
            Kernel::Conv(conv) => {
                let shape = conv.shape();
                shape.kernel[0] * shape.kernel[1] * (shape.in_channels / shape.groups.max(1))
            }
            Kernel::MatMul { product, .. } => product.k(),
        }
    }

    /// Output channels.
    pub(crate) fn channels(&self) -> usize {
        self.result()[1]
    }

    fn packed_len(&self) -> usize {
        match self {
            Kernel::Conv(conv) => conv.packed_len(),
            Kernel::MatMul { product, .. } => product.packed_len(),
        }
    }
}

/// How the integers of weights were packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BytePacking {
    kernel: Kernel,
    signed: bool,
}

impl BytePacking {
    /// Integers of the weights.
    pub(crate) fn weights_len(&self) -> usize {
        match &self.kernel {
            Kernel::Conv(conv) => conv.weights_len(),
            Kernel::MatMul { product, .. } => product.k() * product.n(),
        }
    }

    /// The integers again.
    pub(crate) fn unpack(&self, packed: &[i32], data: &mut [u8]) -> Result<(), Failure> {
        match &self.kernel {
            Kernel::Conv(conv) => conv.unpack(packed, self.signed, data),
            Kernel::MatMul { product, transposed, .. } => product.unpack(packed, *transposed, self.signed, data),
        }
        .map_err(text)
    }
}

/// A layer of integers. Operands: the integers, the weights (as they are, then packed), the scale and zero point of the first if they
/// are not known, then those of the epilogue. The result is binary32, or integers.
#[derive(Debug, Clone)]
pub(crate) struct Quantized {
    pub(crate) kernel: Kernel,
    pub(crate) source: Source,
    pub(crate) weights: Arc<Weights>,
    pub(crate) packed: bool,
    pub(crate) epilogue: Epilogue,
    pub(crate) to: Option<Quant>,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl Quantized {
    /// Index of the epilogue's first operand.
    pub(crate) fn operands(&self) -> usize {
        match self.source {
            Source::Known(_) => 2,
            Source::Operands { .. } => 4,
        }
    }

    /// The scale of the result, if it can be a part of the weights': nothing is done with the sums but to scale and round them.
    fn folded_scale(&self) -> Option<[f32; 2]> {
        match (self.source, self.to) {
            (Source::Known(from), Some(to)) if self.epilogue.steps.is_empty() && self.weights.shift.is_none() => {
                Some([from.scale, to.scale])
            }
            _ => None,
        }
    }

    /// The packed form of the weights.
    pub(crate) fn pack(&self, data: &[u8], packed: &mut [i32]) -> Result<(), Failure> {
        let Weights { signed, zeros, bias, shift, .. } = &*self.weights;
        // In this order, as other engines do, so that the same integers come out.
        let folded = |scale: &f32| match self.folded_scale() {
            Some([from, to]) => from * scale / to,
            None => *scale,
        };
        let scales: Vec<f32> = self.weights.scales.iter().map(folded).collect();
        let (bias, shift) = (bias.as_deref(), shift.as_deref());
        let weights = kernels::ByteWeights { data, signed: *signed, zeros, scales: &scales, bias, shift };
        match &self.kernel {
            Kernel::Conv(conv) => conv.pack(&weights, packed),
            Kernel::MatMul { product, transposed, .. } => product.pack(&weights, *transposed, packed),
        }
        .map_err(text)
    }

    pub(crate) fn packed_len(&self) -> usize {
        self.kernel.packed_len()
    }

    pub(crate) fn packing(&self) -> BytePacking {
        BytePacking { kernel: self.kernel, signed: self.weights.signed }
    }

    fn quant(&self, io: &Io<'_, '_>) -> Result<Quant, Failure> {
        Ok(match self.source {
            Source::Known(quant) => {
                Quant { scale: if self.folded_scale().is_some() { 1.0 } else { quant.scale }, ..quant }
            }
            Source::Operands { signed } => {
                let scale = io.input(2)?.as_slice::<f32>()?.first().copied().ok_or("the scale is missing")?;
                let zero = match io.get(3).map(|view| (view.bytes, signed)) {
                    None => 0,
                    Some(([zero, ..], true)) => i32::from(zero.cast_signed()),
                    Some(([zero, ..], false)) => i32::from(*zero),
                    Some(_) => return Err("the zero point is missing".into()),
                };
                Quant { kind: ByteKind { signed, zero }, scale }
            }
        })
    }

    fn output<'a>(&self, bytes: &'a mut [u8]) -> Result<ByteOutput<'a>, Failure> {
        Ok(match self.to {
            None => ByteOutput::Floats(floats_mut(bytes)?),
            Some(Quant { kind, scale }) => {
                let factor = if self.folded_scale().is_some() { 1.0 } else { 1.0 / scale };
                ByteOutput::Bytes { data: bytes, kind, factor }
            }
        })
    }

    /// Bytes of a result.
    fn size_bytes(&self) -> usize {
        self.to.map_or(4, |_| 1)
    }

    fn run_conv(
        &self,
        conv: &kernels::ByteConv,
        (input, packed): (ByteView<'_>, &[i32]),
        mut output: &mut [u8],
        steps: &[Step<'_>],
        scratch: &mut [u8],
        (limits, pool): (Going<'_>, Option<&dyn ThreadPool>),
    ) -> Result<(), Failure> {
        let lines = conv.rows();
        let [pixels, channels] = self.kernel.result();
        let line = (pixels / lines.max(1) * channels).saturating_mul(self.size_bytes());
        let operations = 2 * pixels * channels * self.kernel.depth();
        let band = (lines / (operations / BAND_OPERATIONS).max(1)).max(1);
        let tasks = tasks(pool, operations / lines.div_ceil(band).max(1));
        let each = if tasks > 1 { per_thread(conv.scratch_len()) } else { conv.scratch_len() };
        let mut start = 0;
        while start < lines {
            let end = (start + band).min(lines);
            let mut scratches = scratch.chunks_mut(each.max(1));
            let parts = cut(end - start, tasks, 1).map(|run| {
                let (part, rest) = std::mem::take(&mut output).split_at_mut_checked(run.len() * line)?;
                output = rest;
                Some((start + run.start..start + run.end, part, scratches.next().unwrap_or_default()))
            });
            share(pool, parts, |part| {
                let (rows, output, scratch) = part.ok_or("the result is too short")?;
                conv.run_rows(rows, input, packed, self.output(output)?, steps, scratch).map_err(text)
            })?;
            start = end;
            if start < lines {
                limits.check()?;
            }
        }
        Ok(())
    }
}

impl Operator for Quantized {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[DType::U8, DType::I8])?;
        Ok(vec![self.to.map_or(DType::F32, |to| to.dtype())])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        match &self.kernel {
            Kernel::Conv(conv) => conv.scratch_len(),
            Kernel::MatMul { product, rows, .. } => product.scratch_len(*rows),
        }
    }

    fn shares(&self) -> bool {
        matches!(self.kernel, Kernel::Conv(_))
    }

    fn flops(&self, _: &Facts<'_>) -> usize {
        let [rows, cols] = self.kernel.result();
        2 * shape::len(&[rows, cols, self.kernel.depth()])
    }

    fn detail(&self) -> String {
        let kernel = match &self.kernel {
            Kernel::Conv(conv) => {
                let shape = conv.shape();
                format!("kernel {:?} stride {:?} groups {}", shape.kernel, shape.stride, shape.groups)
            }
            Kernel::MatMul { product, rows, .. } => {
                format!("[{rows}, {}] x [{0}, {}]", product.k(), product.n())
            }
        };
        let to = self.to.as_ref().map_or("f32".into(), Quant::describe);
        format!("{kernel}{} -> {to}", self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let Quant { kind, scale } = self.quant(io)?;
        let (input, packed): (View<'_>, View<'_>) = (io.input(0)?, io.input(1)?);
        let packed = packed.as_slice::<i32>()?;
        let operands = io.inputs.get(self.operands()..).unwrap_or_default();
        let (scratch, going) = (&mut *io.scratch, (io.limits, io.pool));
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let [rows, cols] = self.kernel.result();
        let (shape, bytes) = (output.shape, &mut *output.bytes);
        self.epilogue.with_steps(operands, shape, rows, cols, |steps| match &self.kernel {
            Kernel::Conv(conv) => {
                let shape = conv.shape();
                let image = ByteView::dense(input.bytes, shape.in_pixels(), shape.in_channels, kind, scale);
                self.run_conv(conv, (image, packed), bytes, steps, scratch, going)
            }
            Kernel::MatMul { product, rows, .. } => {
                let a = ByteView::dense(input.bytes, *rows, product.k(), kind, scale);
                product.run(a, packed, self.output(bytes)?, steps, scratch).map_err(text)
            }
        })
    }
}

/// `DynamicQuantizeLinear`: the smallest and the largest number tell scale and zero point.
#[derive(Debug, Clone)]
pub(crate) struct DynamicQuantize {
    pub(crate) kernels: kernels::Kernels,
}

impl Operator for DynamicQuantize {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[DType::F32])?;
        Ok(vec![DType::U8, DType::F32, DType::U8])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec(), Vec::new(), Vec::new()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let values = io.input(0)?.as_slice::<f32>()?;
        let row = kernels::View::dense(values, 1, values.len()).map_err(text)?;
        let ([mut low], [mut high]) = ([0.0], [0.0]);
        if !values.is_empty() {
            self.kernels.reduce_rows(kernels::Reduce::Min, row, std::slice::from_mut(&mut low)).map_err(text)?;
            self.kernels.reduce_rows(kernels::Reduce::Max, row, std::slice::from_mut(&mut high)).map_err(text)?;
        }
        // 0 is always among the numbers that can be told apart exactly.
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
        let zero = (-low / scale).clamp(0.0, 255.0).round_ties_even() as u8;
        if let Some(output) = io.output_if_any(0) {
            let kind = ByteKind { signed: false, zero: i32::from(zero) };
            self.kernels.quantize(values, kind, scale, output.bytes).map_err(text)?;
        }
        if let Some(output) = io.output_if_any(1) {
            output.as_slice::<f32>()?.fill(scale);
        }
        if let Some(output) = io.output_if_any(2) {
            output.bytes.fill(zero);
        }
        Ok(())
    }
}
