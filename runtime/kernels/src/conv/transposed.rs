//! Transposed convolution: one matrix product per row of the input, whose results are added into the windows of the output.

use super::shape::ConvShape;
use crate::error::{KernelError, long_enough, same};
use crate::kernel::layout::copy_pieces;
use crate::kernels::Kernels;
use crate::matmul::MatMul;
use crate::packing::{Form, Packing};
use crate::step::{self, Step};
use crate::view::{View, ViewMut};

/// A transposed convolution: the gradient of the convolution of the same [`ConvShape`], whose *output* is this one's input.
///
/// # Shapes
///
/// `shape` is that of the forward convolution: its `input` is what is computed here, its `output()` is what is given.
/// Weights: ONNX's `[given_channels, made_channels, height, width]`; given: `[batch * h * w, out_channels]`; made:
/// `[batch * H * W, in_channels]`.
#[derive(Debug, Clone, Copy)]
pub struct ConvTranspose {
    kernels: Kernels,
    shape: ConvShape,
    product: MatMul,
}

impl Kernels {
    /// A transposed convolution of one group.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::conv`]; `Range`: more than one group.
    pub fn conv_transpose(&self, shape: ConvShape) -> Result<ConvTranspose, KernelError> {
        shape.check()?;
        if shape.groups != 1 {
            return Err(KernelError::Range { what: "groups", value: shape.groups });
        }
        let [height, width] = shape.kernel;
        let product = self.matmul(shape.out_channels, height * width * shape.in_channels)?;
        crate::error::product("scratch memory", &[shape.output()[1], product.n()])?;
        Ok(ConvTranspose { kernels: *self, shape, product })
    }
}

impl ConvTranspose {
    /// The form of the packed weights.
    pub fn packing(&self) -> Packing {
        let [height, width] = self.shape.kernel;
        // Where every output is one sum, the bias goes into it.
        Packing {
            form: Form::Scattered { apart: self.is_apart() },
            panels: self.product.panels,
            groups: 1,
            taps: height * width,
            inputs: self.product.k(),
            outputs: self.shape.in_channels,
        }
    }

    /// Floats of the packed weights, with a bias per channel.
    pub fn packed_len(&self) -> usize {
        self.packing().packed_len()
    }

    /// Floats of scratch memory that a run needs.
    pub fn scratch_len(&self) -> usize {
        self.shape.output()[1] * self.product.n()
    }

    /// Packs weights and a bias per channel that is made.
    ///
    /// # Errors
    ///
    /// `Size`: weights, bias or `packed` do not have the right length.
    pub fn pack(&self, weights: &[f32], bias: Option<&[f32]>, packed: &mut [f32]) -> Result<(), KernelError> {
        self.packing().pack(weights, bias, packed)
    }

    /// Computes all images.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other, or scratch is too short.
    pub fn run(
        &self,
        given: View<'_>,
        packed: &[f32],
        mut made: ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        let s = &self.shape;
        let [given_h, given_w] = s.output();
        same("rows of the input", s.out_pixels(), given.rows())?;
        same("columns of the input", s.out_channels, given.cols())?;
        same("rows of the output", s.in_pixels(), made.rows())?;
        same("columns of the output", s.in_channels, made.cols())?;
        long_enough("packed weights", self.packed_len(), packed.len())?;
        long_enough("scratch memory", self.scratch_len(), scratch.len())?;
        step::check(steps, made.rows(), made.cols())?;
        let (biases, packed) = packed.split_at(s.in_channels);
        if made.is_empty() {
            return Ok(());
        }
        if self.is_apart() {
            return self.run_apart(given, packed, made, steps, scratch);
        }
        for r in 0..made.rows() {
            made.row_mut(r).copy_from_slice(biases);
        }
        let columns = self.product.n();
        for row in 0..s.batch * given_h {
            let (image, y) = (row / given_h, row % given_h);
            let sums = ViewMut::dense(scratch, given_w, columns)?;
            self.product.run(given.sub_rows(row * given_w, given_w), packed, sums, &[])?;
            let sums = View::dense(scratch, given_w, columns)?;
            self.scatter(image, y, sums, &mut made);
        }
        self.kernels.pointwise_in_place(made, steps)
    }

    /// Whether windows touch but do not overlap, and cover the output: then nothing is added up.
    fn is_apart(&self) -> bool {
        let s = &self.shape;
        let covers =
            |axis: usize| s.kernel[axis] == s.stride[axis] && s.input[axis] == s.output()[axis] * s.stride[axis];
        covers(0) && covers(1) && s.dilation == [1, 1] && s.padding == [0; 4]
    }

    /// As `run`, where windows do not overlap: the sums, with their biases, are finished and moved to their pixels.
    fn run_apart(
        &self,
        given: View<'_>,
        packed: &[f32],
        mut made: ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        let [height, width] = self.shape.kernel;
        let [given_h, given_w] = self.shape.output();
        let (channels, columns) = (self.shape.in_channels, self.product.n());
        // Steps that look at no position can be applied to the sums as they lie.
        let (early, late) = if steps.iter().all(|step| step.operand().is_none()) {
            (steps, [].as_slice())
        } else {
            ([].as_slice(), steps)
        };
        // Where pixels lie side by side, all taps of a line are moved at once.
        let (taps, piece) = if made.stride() == channels { (1, width * channels) } else { (width, channels) };
        for row in 0..self.shape.batch * given_h {
            let sums = ViewMut::dense(scratch, given_w, columns)?;
            self.product.run(given.sub_rows(row * given_w, given_w), packed, sums, early)?;
            for tap in 0..height * taps {
                let (line, x) = (tap / taps, tap % taps);
                let first = (row * height + line) * given_w * width + x;
                // SAFETY: the sums have `given_w` rows of all taps; the pixels of output line `row * height + line` from tap `x` on,
                // `width` apart, are inside the output.
                unsafe {
                    let from = scratch.as_ptr().add(tap * piece);
                    let into = made.ptr().add(first * made.stride());
                    copy_pieces(from, columns, into, width * made.stride(), given_w, piece);
                }
            }
        }
        if late.is_empty() { Ok(()) } else { self.kernels.pointwise_in_place(made.reborrow(), late) }
    }

    /// Adds the sums of one row of the input, tap by tap.
    fn scatter(&self, image: usize, y: usize, sums: View<'_>, made: &mut ViewMut<'_>) {
        let s = &self.shape;
        let (y_axis, x_axis) = (s.axis(0), s.axis(1));
        for line in 0..y_axis.taps {
            let Some(made_y) = y_axis.position(y, line) else { continue };
            for x in 0..sums.rows() {
                let row = sums.row(x);
                for tap in 0..x_axis.taps {
                    let Some(made_x) = x_axis.position(x, tap) else { continue };
                    let from = &row[(line * x_axis.taps + tap) * s.in_channels..][..s.in_channels];
                    let into = made.row_mut((image * y_axis.len + made_y) * x_axis.len + made_x);
                    for (into, from) in into.iter_mut().zip(from) {
                        *into += from;
                    }
                }
            }
        }
    }
}
