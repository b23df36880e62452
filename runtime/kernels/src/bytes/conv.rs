//! Convolutions of images of 8-bit integers, in channels-last order.

use super::pack::{BytePanels, PREFIX};
use super::product::{Part, Rows, multiply, scratch_len};
use super::{ByteOutput, ByteView, ByteWeights, depthwise};
use crate::conv::ConvShape;
use crate::error::{KernelError, long_enough, same};
use crate::kernel::byte_depthwise::MAX_TAPS;
use crate::kernels::Kernels;
use crate::step::{self, Step};
use core::ops::Range;

/// A convolution of one shape. Weights are packed once. What is around the image is the zero point.
///
/// # Shapes
///
/// Weights: ONNX's `[out_channels, in_channels / groups, height, width]`; input: `[batch * height * width, in_channels]`; output:
/// `[batch * out_height * out_width, out_channels]`.
#[derive(Debug, Clone, Copy)]
pub struct ByteConv {
    pub(super) kernels: Kernels,
    pub(super) shape: ConvShape,
    /// The product of one group; `None`: each channel by itself.
    panels: Option<BytePanels>,
}

impl Kernels {
    /// A convolution of 8-bit integers.
    ///
    /// # Errors
    ///
    /// `Range`: a kernel, stride, dilation or group count is zero or does not divide. `Overflow`: a size does not fit.
    pub fn byte_conv(&self, shape: ConvShape) -> Result<ByteConv, KernelError> {
        shape.check()?;
        let [height, width] = shape.kernel;
        let [inputs, outputs] = shape.group();
        let alone = shape.groups > 1 && shape.group() == [1, 1] && height * width <= MAX_TAPS;
        let panels = if alone {
            None
        } else {
            let panels = BytePanels::new(self.bytes, height * width * inputs, outputs)?;
            crate::error::product("packed weights", &[panels.len(), shape.groups, 4])?;
            Some(panels)
        };
        Ok(ByteConv { kernels: *self, shape, panels })
    }
}

impl ByteConv {
    /// The shape that it was made for.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// 32-bit integers of the packed weights. They are read fastest where they start at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        match &self.panels {
            Some(panels) => PREFIX + panels.len() * self.shape.groups,
            None => depthwise::packed_len(self),
        }
    }

    /// Bytes of scratch memory that a run needs.
    pub fn scratch_len(&self) -> usize {
        match &self.panels {
            Some(panels) => scratch_len(self.kernels.bytes, panels, self.shape.out_pixels()) + self.border_len(),
            None => 0,
        }
    }

    /// Bytes of a piece that lies outside of the image.
    fn border_len(&self) -> usize {
        self.shape.group()[0] * self.shape.kernel[1]
    }

    /// Packs the weights.
    ///
    /// # Errors
    ///
    /// `Size`: the weights or `packed` do not have the right length. `Range`: a zero point is none of the type's integers.
    pub fn pack(&self, weights: &ByteWeights<'_>, packed: &mut [i32]) -> Result<(), KernelError> {
        let taps = self.shape.kernel[0] * self.shape.kernel[1];
        let [inputs, outputs] = self.shape.group();
        weights.check(taps * inputs * self.shape.out_channels, self.shape.out_channels)?;
        same("packed weights", self.packed_len(), packed.len())?;
        let Some(panels) = &self.panels else {
            depthwise::pack(self, weights, packed);
            return Ok(());
        };
        let (prefix, packed) = packed.split_at_mut(PREFIX);
        prefix.fill(i32::from(weights.has_zeros(self.shape.out_channels)));
        for (group, packed) in packed.chunks_exact_mut(panels.len().max(1)).enumerate() {
            let first = group * outputs;
            // A row of A has the channels of one tap after the other.
            panels.pack(packed, weights, first, |k, n| ((first + n) * inputs + k % inputs) * taps + k / inputs);
        }
        Ok(())
    }

    /// Rows of all output images: the unit by which a convolution can be shared between threads.
    pub fn rows(&self) -> usize {
        self.shape.batch * self.shape.output()[0]
    }

    /// Convolves all images.
    ///
    /// # Errors
    ///
    /// As for [`ByteConv::run_rows`].
    pub fn run(
        &self,
        input: ByteView<'_>,
        packed: &[i32],
        output: ByteOutput<'_>,
        steps: &[Step<'_>],
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        self.run_rows(0..self.rows(), input, packed, output, steps, scratch)
    }

    /// As [`ByteConv::run`], for some rows of pixels: `output` has only those; operands of steps are those of the whole.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other. `Range`: there are no such rows, a zero point is none of the type's integers,
    /// or the steps are such as cannot be applied to what is stored.
    pub fn run_rows(
        &self,
        rows: Range<usize>,
        input: ByteView<'_>,
        packed: &[i32],
        mut output: ByteOutput<'_>,
        steps: &[Step<'_>],
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        let s = &self.shape;
        if rows.start > rows.end || rows.end > self.rows() {
            return Err(KernelError::Range { what: "rows", value: rows.end });
        }
        input.check()?;
        same("rows of the input", s.in_pixels(), input.rows)?;
        same("columns of the input", s.in_channels, input.cols)?;
        let pixels = rows.len() * s.output()[1];
        output.check(pixels, s.out_channels, steps)?;
        long_enough("packed weights", self.packed_len(), packed.len())?;
        long_enough("scratch memory", self.scratch_len(), scratch.len())?;
        step::check(steps, s.out_pixels(), s.out_channels)?;
        if pixels == 0 || s.out_channels == 0 {
            return Ok(());
        }
        let Some(panels) = self.panels else {
            // SAFETY: every shape was compared above.
            unsafe { depthwise::run(self, rows, input, packed, &mut output, steps) };
            return Ok(());
        };
        let (border, scratch) = scratch.split_at_mut(self.border_len());
        border.fill(input.kind.zero as u8);
        let (prefix, packed) = packed.split_at(PREFIX);
        for group in 0..s.groups {
            let part = Part {
                table: self.kernels.bytes,
                panels,
                packed: &packed[group * panels.len()..],
                weight_zeros: prefix[0] != 0,
                rows: pixels,
                stride: s.out_channels,
                col: group * s.group()[1],
                row: rows.start * s.output()[1],
                steps,
                kind: input.kind,
                scale: input.scale,
            };
            let taps = Taps { shape: s, input, border, first_row: rows.start, channel: group * s.group()[0] };
            // SAFETY: as above.
            unsafe { multiply(&part, &taps, &mut output, scratch) };
        }
        Ok(())
    }
}

/// The channels under each tap of an output pixel, one after the other.
struct Taps<'a> {
    shape: &'a ConvShape,
    input: ByteView<'a>,
    border: &'a [u8],
    /// Rows of output pixels before the first.
    first_row: usize,
    /// The group's first channel.
    channel: usize,
}

impl Rows for Taps<'_> {
    fn direct(&self) -> Option<(*const u8, usize)> {
        let s = self.shape;
        let product = s.kernel == [1, 1] && s.stride == [1, 1] && s.padding == [0; 4];
        let first = self.first_row * s.input[1] * self.input.stride + self.channel;
        product.then(|| (self.input.data.get(first..).unwrap_or_default().as_ptr(), self.input.stride))
    }

    fn pieces(&self, row: usize, mut each: impl FnMut(*const u8, usize)) {
        let s = self.shape;
        let [out_h, out_w] = s.output();
        let (y_axis, x_axis) = (s.axis(0), s.axis(1));
        let (line, x) = (self.first_row + row / out_w, row % out_w);
        let (image, y) = (line / out_h, line % out_h);
        let inputs = s.group()[0];
        // Taps of a line lie side by side where pixels do and none is left out.
        let whole = x_axis.whole(x).filter(|_| x_axis.dilation == 1 && inputs == self.input.stride);
        for tap_y in 0..y_axis.taps {
            let Some(in_y) = y_axis.position(y, tap_y) else {
                each(self.border.as_ptr(), inputs * x_axis.taps);
                continue;
            };
            let pixel = |in_x: usize| {
                let at = ((image * y_axis.len + in_y) * x_axis.len + in_x) * self.input.stride + self.channel;
                self.input.data.get(at..).unwrap_or_default().as_ptr()
            };
            if let Some(in_x) = whole {
                each(pixel(in_x), inputs * x_axis.taps);
                continue;
            }
            for tap_x in 0..x_axis.taps {
                each(x_axis.position(x, tap_x).map_or(self.border.as_ptr(), pixel), inputs);
            }
        }
    }
}
