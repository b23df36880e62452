//! Convolutions over images in channels-last order, each with the method that suits its shape.
//!
//! The method depends on the shape alone, never on the instruction set.

mod depthwise;
mod gather;
mod implicit;
mod planar;
mod shape;
mod transposed;
pub(crate) mod winograd;

pub use shape::ConvShape;
pub use transposed::ConvTranspose;

use crate::error::{KernelError, long_enough, same};
use crate::kernels::Kernels;
use crate::packing::{Form, Packing};
use crate::panels::{MAX_RUNS, Packed, Panels};
use crate::step::{self, Step};
use crate::stored::{self, Layout, PackedWeights, Storage};
use crate::view::{View, ViewMut};
use core::ops::Range;

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// As a matrix product whose rows of A are pieces of the image, one per tap.
    Implicit,
    /// As a matrix product whose rows of A are gathered into scratch memory, for kernels of very many taps.
    Gather,
    /// Each channel by itself.
    Depthwise,
    /// By Winograd's F(4x4, 3x3).
    Winograd,
    /// From an image in planes (`[batch, channels, height, width]`), for the first layer.
    Planar,
}

/// A convolution of one shape: `y = steps(w * x + bias)`. Weights are packed once.
///
/// # Shapes
///
/// Weights: ONNX's `[out_channels, in_channels / groups, height, width]`; input: `[batch * height * width, in_channels]`;
/// output: `[batch * out_height * out_width, out_channels]`. A convolution made by [`Kernels::conv_planar`] takes
/// `[batch * in_channels, height * width]` instead.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    kernels: Kernels,
    shape: ConvShape,
    method: Method,
    /// The matrix product of one group; unused by depthwise convolutions.
    panels: Panels,
}

impl Kernels {
    /// A convolution of an image in channels-last order.
    ///
    /// # Errors
    ///
    /// `Range`: a kernel, stride, dilation or group count is zero or does not divide. `Overflow`: a size does not fit.
    pub fn conv(&self, shape: ConvShape) -> Result<Conv, KernelError> {
        shape.check()?;
        if winograd::suits(&shape) {
            return self.conv_by(shape, Method::Winograd);
        }
        self.conv_direct(shape)
    }

    /// As [`Kernels::conv`], but always by products of inputs and weights as they are. Large 3 x 3 convolutions otherwise go by
    /// Winograd's algorithm, which is some times faster and has about ten times the rounding error.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::conv`].
    pub fn conv_direct(&self, shape: ConvShape) -> Result<Conv, KernelError> {
        shape.check()?;
        let [height, width] = shape.kernel;
        let method = if shape.groups > 1 && shape.group() == [1, 1] {
            Method::Depthwise
        } else if height * width > MAX_RUNS {
            Method::Gather
        } else {
            Method::Implicit
        };
        self.conv_by(shape, method)
    }

    /// A convolution that reads an image in planes and writes one in channels-last order: the first layer of a network.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::conv`]; `Range`: more than one group, or more lines of taps than fit.
    pub fn conv_planar(&self, shape: ConvShape) -> Result<Conv, KernelError> {
        shape.check()?;
        if shape.groups != 1 {
            return Err(KernelError::Range { what: "groups", value: shape.groups });
        }
        let runs = planar::runs(&shape);
        if runs > MAX_RUNS {
            return Err(KernelError::Range { what: "lines of taps", value: runs });
        }
        self.conv_by(shape, Method::Planar)
    }

    fn conv_by(&self, shape: ConvShape, method: Method) -> Result<Conv, KernelError> {
        let [height, width] = shape.kernel;
        let [inputs, outputs] = shape.group();
        let k = if method == Method::Winograd { inputs } else { height * width * inputs };
        let panels = match method {
            // Its rows are read where they are.
            Method::Planar => Panels::of(self.table.lanes, self.table.max_vectors(), k, outputs)?,
            _ => Panels::new(self.table, k, outputs)?,
        };
        crate::error::product("packed weights", &[panels.len(), shape.groups, 64])?;
        Ok(Conv { kernels: *self, shape, method, panels })
    }
}

impl Conv {
    /// The shape that it was made for.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// The form of the packed weights.
    pub fn packing(&self) -> Packing {
        let form = match self.method {
            Method::Implicit | Method::Gather => Form::Taps,
            Method::Planar => Form::Lines,
            Method::Depthwise => Form::Depthwise,
            Method::Winograd => Form::Winograd,
        };
        let [inputs, outputs] = self.shape.group();
        let [height, width] = self.shape.kernel;
        Packing { form, panels: self.panels, groups: self.shape.groups, taps: height * width, inputs, outputs }
    }

    /// Floats of the packed weights. They are read fastest where they start at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        self.packing().packed_len()
    }

    /// Floats of scratch memory that a run needs. Two runs at a time need two of them.
    pub fn scratch_len(&self) -> usize {
        match self.method {
            Method::Implicit => implicit::scratch_len(&self.shape),
            Method::Gather => gather::scratch_len(self),
            Method::Depthwise => 0,
            Method::Winograd => winograd::scratch_len(&self.shape),
            Method::Planar => planar::scratch_len(&self.shape),
        }
    }

    /// Packs weights and a bias per output channel.
    ///
    /// # Errors
    ///
    /// `Size`: weights, bias or `packed` do not have the right length.
    pub fn pack(&self, weights: &[f32], bias: Option<&[f32]>, packed: &mut [f32]) -> Result<(), KernelError> {
        self.packing().pack(weights, bias, packed)
    }

    /// Convolves all images.
    ///
    /// # Errors
    ///
    /// `Size`, `TooShort`: shapes do not fit each other, or `scratch` is shorter than [`scratch_len`](Conv::scratch_len).
    pub fn run(
        &self,
        input: View<'_>,
        packed: &[f32],
        output: ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        self.run_part(0..self.rows(), None, input, PackedWeights::Floats(packed), output, steps, scratch)
    }

    /// Rows of all output images: the unit by which a convolution can be shared between threads.
    pub fn rows(&self) -> usize {
        self.shape.batch * self.shape.output()[0]
    }

    /// Floats of scratch memory for [`run_part`](Conv::run_part) with weights that are stored so.
    pub fn part_scratch_len(&self, storage: Option<Storage>) -> usize {
        // A single pixel is a row of a product where there is one tap.
        let rows = if self.shape.kernel == [1, 1] { self.shape.out_pixels() } else { 2 };
        self.scratch_len() + stored::scratch_len(&self.panels, rows, storage)
    }

    /// The number of panels that output channels are packed in, the unit by which they can be shared between threads; 0 where
    /// the method does not allow it.
    pub fn panels(&self) -> usize {
        if self.method == Method::Implicit && self.shape.groups == 1 { self.panels.count() } else { 0 }
    }

    /// The output channels that some panels make.
    pub fn columns(&self, panels: Range<usize>) -> Range<usize> {
        let end = panels.end.min(self.panels.count());
        self.panels.columns(&(panels.start.min(end)..end))
    }

    /// As [`Conv::run`], for some rows of pixels, or for all of them and some panels: `output` has only those rows, or the panels'
    /// [`columns`](Conv::columns); input, operands of steps and the bits of the result are those of the whole. The bits are the same
    /// whether weights stay as they are stored or not.
    ///
    /// # Errors
    ///
    /// As for [`Conv::run`], with [`part_scratch_len`](Conv::part_scratch_len). `Range`: there are no such rows or panels, or the method
    /// has no weights that are stored so.
    #[expect(clippy::too_many_arguments, reason = "a part of a convolution, and memory for it")]
    pub fn run_part(
        &self,
        rows: Range<usize>,
        panels: Option<Range<usize>>,
        input: View<'_>,
        packed: PackedWeights<'_>,
        output: ViewMut<'_>,
        steps: &[Step<'_>],
        scratch: &mut [f32],
    ) -> Result<(), KernelError> {
        if let Some(panels) = panels.as_ref().filter(|panels| panels.start > panels.end || panels.end > self.panels()) {
            return Err(KernelError::Range { what: "panels", value: panels.end });
        }
        let panels = panels.unwrap_or(0..self.panels.count());
        long_enough("scratch memory", self.part_scratch_len(packed.storage()), scratch.len())?;
        let (scratch, panel) = scratch.split_at_mut(self.scratch_len());
        let packed = packed.panels(&self.packing(), panel)?;
        let s = &self.shape;
        if rows.start > rows.end || rows.end > self.rows() {
            return Err(KernelError::Range { what: "rows", value: rows.end });
        }
        let (in_rows, in_cols) = match self.method {
            Method::Planar => (s.batch * s.in_channels, s.input[0] * s.input[1]),
            Method::Implicit | Method::Gather | Method::Depthwise | Method::Winograd => (s.in_pixels(), s.in_channels),
        };
        same("rows of the input", in_rows, input.rows())?;
        same("columns of the input", in_cols, input.cols())?;
        same("rows of the output", rows.len() * s.output()[1], output.rows())?;
        let all = panels == (0..self.panels.count());
        let columns = if all { s.out_channels } else { self.panels.columns(&panels).len() };
        same("columns of the output", columns, output.cols())?;
        step::check(steps, s.out_pixels(), s.out_channels)?;
        if output.is_empty() {
            return Ok(());
        }
        let run = Run { conv: self, rows, panels, input, packed, output, steps };
        // SAFETY: every shape was compared above.
        unsafe {
            match self.method {
                Method::Implicit => implicit::run(&run, scratch),
                Method::Gather => gather::run(&run, scratch),
                Method::Depthwise => depthwise::run(&run),
                Method::Winograd => winograd::run(&run, scratch),
                Method::Planar => planar::run(&run, scratch),
            }
        }
        Ok(())
    }
}

/// A checked call.
struct Run<'a> {
    conv: &'a Conv,
    rows: Range<usize>,
    /// Of each group.
    panels: Range<usize>,
    input: View<'a>,
    packed: Packed,
    output: ViewMut<'a>,
    steps: &'a [Step<'a>],
}

impl Run<'_> {
    /// The packed weights of a method that reads nothing but floats.
    fn floats(&self) -> *const f32 {
        match self.packed {
            Packed::Floats(packed) => packed,
            // Such a method has no packing for them, so nobody gets here.
            Packed::Stored(..) => core::ptr::null(),
        }
    }

    /// The product of group `group` for the output pixels from `first` (of this call), `len` of them. Steps see absolute positions.
    ///
    /// # Safety
    ///
    /// The pixels exist; the packed weights are those of the convolution.
    unsafe fn part<'b>(
        &'b self,
        group: usize,
        first: usize,
        len: usize,
        steps: &'b [Step<'b>],
    ) -> crate::panels::Part<'b> {
        let panels = self.conv.panels;
        let out_w = self.conv.shape.output()[1];
        // SAFETY: inside the packed weights and the output.
        unsafe {
            crate::panels::Part {
                table: self.conv.kernels.table,
                panels,
                range: self.panels.clone(),
                packed: match self.packed {
                    Packed::Floats(packed) => Packed::Floats(packed.add(group * panels.len())),
                    Packed::Stored(packed, storage, scratch) => {
                        let column_bytes = Layout { k: panels.k(), storage }.column_bytes();
                        Packed::Stored(packed.add(group * panels.columns_len() * column_bytes), storage, scratch)
                    }
                },
                rows: len,
                dst: self.output.ptr().add(first * self.output.stride() + group * self.conv.shape.group()[1]),
                stride: self.output.stride(),
                row: self.rows.start * out_w + first,
                col: group * self.conv.shape.group()[1],
                steps,
            }
        }
    }
}
