//! Convolutions of images of 8-bit integers, in channels-last order.

use super::pack::{BytePanels, PREFIX};
use super::product::{Part, Staging, block_rows, multiply, scratch_len};
use super::windows::{Lines, Windows};
use super::{ByteOutput, ByteView, ByteWeights, depthwise, matmul};
use crate::conv::ConvShape;
use crate::error::{KernelError, long_enough, same};
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
    method: Method,
}

/// How it is computed.
#[derive(Debug, Clone, Copy)]
enum Method {
    /// Each channel by itself.
    Depthwise,
    /// A product whose rows are the pixels as they lie.
    Pixels(BytePanels),
    /// A product whose rows are parts of kernel lines that were made ready for a whole line of windows.
    Lines(BytePanels),
    /// A product for each group of channels, whose rows are gathered tap by tap.
    Windows(BytePanels),
}

/// Windows of a line for which making lines ready costs less than gathering what is in each.
const LEAST_WINDOWS: usize = 6;

impl Kernels {
    /// A convolution of 8-bit integers.
    ///
    /// # Errors
    ///
    /// `Range`: a kernel, stride, dilation or group count is zero or does not divide. `Overflow`: a size does not fit.
    pub fn byte_conv(&self, shape: ConvShape) -> Result<ByteConv, KernelError> {
        shape.check()?;
        Ok(ByteConv { kernels: *self, shape, method: self.byte_method(&shape)? })
    }

    fn byte_method(&self, shape: &ConvShape) -> Result<Method, KernelError> {
        let [height, width] = shape.kernel;
        let [inputs, outputs] = shape.group();
        if shape.groups > 1 && shape.group() == [1, 1] {
            depthwise::check(shape)?;
            return Ok(Method::Depthwise);
        }
        let panels = |pieces| {
            let panels = BytePanels::new(self.bytes, pieces, outputs)?;
            crate::error::product("packed weights", &[panels.len(), shape.groups, 4])?;
            Ok(panels)
        };
        if shape.groups > 1 || shape.dilation[1] > 1 {
            return panels([1, height * width * inputs]).map(Method::Windows);
        }
        if shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.padding == [0; 4] {
            return panels([1, inputs]).map(Method::Pixels);
        }
        if shape.output()[1] < LEAST_WINDOWS {
            return panels([1, height * width * inputs]).map(Method::Windows);
        }
        panels([height, width * inputs]).map(Method::Lines)
    }
}

impl ByteConv {
    /// The shape that it was made for.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// 32-bit integers of the packed weights. They are read fastest where they start at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        PREFIX
            + match &self.method {
                Method::Depthwise => depthwise::packed_len(self),
                Method::Pixels(panels) | Method::Lines(panels) | Method::Windows(panels) => {
                    panels.len() * self.shape.groups
                }
            }
    }

    /// Bytes of scratch memory that a run needs.
    pub fn scratch_len(&self) -> usize {
        let table = self.kernels.bytes;
        let pixels = self.shape.out_pixels();
        match &self.method {
            Method::Depthwise => 0,
            Method::Pixels(panels) => scratch_len(table, panels, pixels),
            Method::Lines(panels) => {
                let gathered = scratch_len(table, panels, pixels) + Windows::border_len(&self.shape);
                gathered.max(Lines::scratch_len(&self.shape, table))
            }
            Method::Windows(panels) => scratch_len(table, panels, pixels) + Windows::border_len(&self.shape),
        }
    }

    /// Packs the weights.
    ///
    /// # Errors
    ///
    /// `Size`: the weights or `packed` do not have the right length. `Range`: a zero point is none of the type's integers.
    pub fn pack(&self, weights: &ByteWeights<'_>, packed: &mut [i32]) -> Result<(), KernelError> {
        weights.check(self.weights_len(), self.shape.out_channels)?;
        same("packed weights", self.packed_len(), packed.len())?;
        let (prefix, packed) = packed.split_at_mut(PREFIX);
        prefix.fill(i32::from(weights.has_zeros(self.shape.out_channels)));
        let (Method::Pixels(panels) | Method::Lines(panels) | Method::Windows(panels)) = &self.method else {
            depthwise::pack(self, weights, packed);
            return Ok(());
        };
        for (group, packed) in packed.chunks_exact_mut(panels.len().max(1)).enumerate() {
            let first = group * self.shape.group()[1];
            panels.pack(packed, weights, first, |k, n| self.place(k, first + n));
        }
        Ok(())
    }

    /// The integers of the weights that were packed.
    ///
    /// # Errors
    ///
    /// `Size`: `packed` or `data` do not have the right length.
    pub fn unpack(&self, packed: &[i32], signed: bool, data: &mut [u8]) -> Result<(), KernelError> {
        same("packed weights", self.packed_len(), packed.len())?;
        same("weights", self.weights_len(), data.len())?;
        let packed = &packed[PREFIX..];
        let (Method::Pixels(panels) | Method::Lines(panels) | Method::Windows(panels)) = &self.method else {
            depthwise::unpack(self, packed, signed, data);
            return Ok(());
        };
        for (group, packed) in packed.chunks_exact(panels.len().max(1)).enumerate() {
            let first = group * self.shape.group()[1];
            panels.unpack(packed, |k, n, weight| data[self.place(k, first + n)] = ByteWeights::byte(weight, signed));
        }
        Ok(())
    }

    /// Integers of the weights.
    pub fn weights_len(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1] * self.shape.group()[0] * self.shape.out_channels
    }

    /// Where the weight is that row `k` of a product and an output channel want: rows of A have the channels of one tap after the
    /// other.
    fn place(&self, k: usize, channel: usize) -> usize {
        let (inputs, taps) = (self.shape.group()[0], self.shape.kernel[0] * self.shape.kernel[1]);
        (channel * inputs + k % inputs) * taps + k / inputs
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
        let (prefix, packed) = packed.split_at(PREFIX);
        let weight_zeros = prefix[0] != 0;
        let (Method::Pixels(panels) | Method::Lines(panels) | Method::Windows(panels)) = &self.method else {
            // SAFETY: every shape was compared above.
            unsafe { depthwise::run(self, rows, input, (packed, weight_zeros), &mut output, steps) };
            return Ok(());
        };
        let table = self.kernels.bytes;
        let staging = Staging::new(table, input.kind);
        let width = s.output()[1];
        let part = |group: usize| Part {
            table,
            panels: *panels,
            packed: &packed[group * panels.len()..],
            weight_zeros,
            rows: pixels,
            stride: s.out_channels,
            col: group * s.group()[1],
            row: rows.start * width,
            steps,
            zero: staging.zero,
            scale: input.scale,
        };
        let block = block_rows(table, panels);
        // Where pieces are padded, what is multiplied with the padding is none of the sums over rows that zero points want.
        let beyond = !weight_zeros || panels.padded() == panels.piece();
        match self.method {
            Method::Pixels(_) => {
                let data = input.data.get(rows.start * width * input.stride..).unwrap_or_default();
                let view = ByteView { data, rows: pixels, ..input };
                let a = matmul::Matrix { view, panels, staging, block, beyond };
                // SAFETY: every shape was compared above.
                unsafe { multiply(&part(0), &a, &mut output, scratch) };
            }
            Method::Lines(_) if beyond && input.stride == s.in_channels => {
                let a = Lines { shape: s, input, panels, staging, first_row: rows.start };
                // SAFETY: every shape was compared above.
                unsafe { multiply(&part(0), &a, &mut output, scratch) };
            }
            _ => {
                let (border, scratch) = scratch.split_at_mut(Windows::border_len(s));
                border.fill(input.kind.zero as u8);
                for group in 0..s.groups {
                    let channel = group * s.group()[0];
                    let a = Windows { shape: s, input, panels, staging, block, border, first_row: rows.start, channel };
                    // SAFETY: as above.
                    unsafe { multiply(&part(group), &a, &mut output, scratch) };
                }
            }
        }
        Ok(())
    }
}
