//! Convolutions of images in channels-last order.

use super::Epilogue;
use super::chain::text;
use super::matmul::{of_storage, packed};
use super::share::{cut, share, tasks};
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::plan::per_thread;
use crate::view::{Failure, View, ViewMut, floats_mut};
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::{KernelError, PackedWeights, Step, Storage, ThreadPool};
use std::ops::Range;

/// Operations of one band of rows between two questions whether to go on: about 10 ms.
const BAND_FLOPS: usize = 500_000_000;

/// Operands: the image (`[batch, spatial.., channels]`, or as ONNX has it if the kernel reads planes), the packed weights,
/// then those of the epilogue. Before weights are packed there are the weights and the bias in the place of the packed ones.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    pub(crate) conv: kernels::Conv,
    /// The image is in planes.
    pub(crate) planar: bool,
    pub(crate) packed: bool,
    /// How packed weights stay as they are stored; `None` if they are numbers.
    pub(crate) storage: Option<Storage>,
    pub(crate) epilogue: Epilogue,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl Conv {
    /// Index of the epilogue's first operand.
    pub(crate) fn operands(&self) -> usize {
        if self.packed { 2 } else { 3 }
    }

    pub(crate) fn flops(&self) -> usize {
        let shape = self.conv.shape();
        let [height, width] = shape.kernel;
        let per_output = 2 * height * width * (shape.in_channels / shape.groups.max(1));
        shape.out_pixels().saturating_mul(shape.out_channels).saturating_mul(per_output)
    }
}

impl Operator for Conv {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        self.conv.part_scratch_len(self.storage).saturating_mul(4)
    }

    fn shares(&self) -> bool {
        true
    }

    fn flops(&self, _: &Facts<'_>) -> usize {
        Conv::flops(self)
    }

    fn detail(&self) -> String {
        let shape = self.conv.shape();
        let order = if self.planar { ", planes in" } else { "" };
        let (kernel, stride, groups) = (shape.kernel, shape.stride, shape.groups);
        let stored = of_storage(self.storage);
        format!("kernel {kernel:?} stride {stride:?} groups {groups}{order}{stored}{}", self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (image, weights) = (io.input(0)?.as_slice::<f32>()?, io.input(1)?);
        let packed = packed(self.storage, weights)?;
        let operands = io.inputs.get(self.operands()..).unwrap_or_default();
        let shape = self.conv.shape();
        let image = if self.planar {
            kernels::View::dense(image, shape.batch * shape.in_channels, shape.input[0] * shape.input[1])
        } else {
            kernels::View::dense(image, shape.in_pixels(), shape.in_channels)
        };
        let (limits, scratch, pool) = (io.limits, floats_mut(io.scratch)?, io.pool);
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let (rows, cols) = (shape.out_pixels(), shape.out_channels);
        let mut rest = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, cols).map_err(text)?;
        let image = image.map_err(text)?;
        let lines = self.conv.rows();
        let band = (lines / (Conv::flops(self) / BAND_FLOPS).max(1)).max(1);
        let tasks = tasks(pool, Conv::flops(self) / lines.div_ceil(band).max(1));
        self.epilogue.with_steps(operands, &self.shape, rows, cols, |steps| {
            let mut start = 0;
            while start < lines {
                let end = (start + band).min(lines);
                let (part, more) = rest.split_rows((end - start) * shape.output()[1]);
                self.run_shared(pool, tasks, start..end, image, packed, part, steps, scratch).map_err(text)?;
                (rest, start) = (more, end);
                if start < lines {
                    limits.check()?;
                }
            }
            Ok(())
        })
    }
}

impl Conv {
    /// Some rows, shared between threads by rows or, where there are few, by output channels.
    #[expect(clippy::too_many_arguments, reason = "those of the kernel, and how to share them")]
    fn run_shared(
        &self,
        pool: Option<&dyn ThreadPool>,
        tasks: usize,
        rows: Range<usize>,
        image: kernels::View<'_>,
        packed: PackedWeights<'_>,
        output: kernels::ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        let each = per_thread(self.conv.part_scratch_len(self.storage).saturating_mul(4)) / 4;
        let mut scratches = scratch.chunks_mut(each.max(1));
        let (mut rest, width) = (Some(output), self.conv.shape().output()[1]);
        let by_panels = rows.len() < tasks && self.conv.panels() >= tasks && rows == (0..self.conv.rows());
        let (len, unit) = match by_panels {
            true => (self.conv.panels(), 1),
            // Four rows are those of one tile of Winograd's algorithm.
            false => (rows.len(), if rows.len() >= 8 * tasks { 4 } else { 1 }),
        };
        let parts = cut(len, tasks, unit).filter_map(|run| {
            let whole = rest.take()?;
            let ((part, more), rows, panels) = if by_panels {
                (whole.split_cols(self.conv.columns(run.clone()).len()), rows.clone(), Some(run))
            } else {
                (whole.split_rows(run.len() * width), rows.start + run.start..rows.start + run.end, None)
            };
            rest = Some(more);
            Some((rows, panels, part, scratches.next().unwrap_or_default()))
        });
        share(pool, parts, |(rows, panels, part, scratch)| {
            self.conv.run_part(rows, panels, image, packed, part, steps, scratch)
        })
    }
}

/// Operands: as those of [`Conv`].
#[derive(Debug, Clone)]
pub(crate) struct ConvTranspose {
    pub(crate) conv: kernels::ConvTranspose,
    /// Of the forward convolution.
    pub(crate) forward: kernels::ConvShape,
    pub(crate) packed: bool,
    pub(crate) epilogue: Epilogue,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl ConvTranspose {
    /// Index of the epilogue's first operand.
    pub(crate) fn operands(&self) -> usize {
        if self.packed { 2 } else { 3 }
    }
}

impl Operator for ConvTranspose {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        self.conv.scratch_len().saturating_mul(4)
    }

    fn flops(&self, _: &Facts<'_>) -> usize {
        let [height, width] = self.forward.kernel;
        let per_input = 2 * height * width * self.forward.in_channels;
        self.forward.out_pixels().saturating_mul(self.forward.out_channels).saturating_mul(per_input)
    }

    fn detail(&self) -> String {
        let (kernel, stride) = (self.forward.kernel, self.forward.stride);
        format!("kernel {kernel:?} stride {stride:?}{}", self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (image, packed): (View<'_>, View<'_>) = (io.input(0)?, io.input(1)?);
        let operands = io.inputs.get(self.operands()..).unwrap_or_default();
        let scratch = floats_mut(io.scratch)?;
        let output: &mut ViewMut<'_> =
            io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        let (rows, cols) = (self.forward.in_pixels(), self.forward.in_channels);
        let (pixels, channels) = (self.forward.out_pixels(), self.forward.out_channels);
        let image = kernels::View::dense(image.as_slice::<f32>()?, pixels, channels).map_err(text)?;
        self.epilogue.with_steps(operands, &self.shape, rows, cols, |steps| {
            let to = kernels::ViewMut::dense(output.as_slice::<f32>()?, rows, cols).map_err(text)?;
            self.conv.run(image, packed.as_slice::<f32>()?, to, steps, scratch).map_err(text)
        })
    }
}
