//! A convolution as a matrix product: the row of A for an output pixel is the channels under each tap, one after the other.
//! Nothing is copied; taps outside of the image point to zeros.

use super::{ConvShape, Run};
use crate::matmul::Matrix;
use crate::panels::Source;
use crate::product::multiply;

/// Where no tap is dilated or outside of the image, and pixels lie side by side, the taps of a line are one piece.
fn merges(shape: &ConvShape, pixel: usize) -> bool {
    shape.groups == 1 && pixel == shape.in_channels && shape.dilation[1] == 1 && !shape.axis(1).is_padded()
}

pub(super) fn scratch_len(shape: &ConvShape) -> usize {
    let merged = if merges(shape, shape.in_channels) { shape.kernel[1] } else { 1 };
    if shape.axis(0).is_padded() || shape.axis(1).is_padded() { shape.group()[0] * merged } else { 0 }
}

struct Taps<'a> {
    shape: &'a ConvShape,
    out: [usize; 2],
    input: *const f32,
    pixel: usize,
    zeros: *const f32,
    merged: bool,
    /// Rows of output pixels before the first.
    first_row: usize,
}

impl Taps<'_> {
    /// Taps of a line that are pieces of their own.
    fn taps(&self) -> usize {
        if self.merged { 1 } else { self.shape.kernel[1] }
    }

    /// The pointers of one output pixel, `step` apart.
    ///
    /// # Safety
    ///
    /// There is room for them, and the position is an output pixel's.
    unsafe fn fill_pixel(&self, [image, y, x]: [usize; 3], out: *mut *const f32, step: usize) {
        let (y_axis, x_axis) = (self.shape.axis(0), self.shape.axis(1));
        let taps = self.taps();
        if let (Some(in_y), Some(in_x)) = (y_axis.whole(y), x_axis.whole(x)) {
            // SAFETY: every tap of this window is inside the image, which is inside the view.
            unsafe {
                let mut line = self.input.add(((image * y_axis.len + in_y) * x_axis.len + in_x) * self.pixel);
                for l in 0..y_axis.taps {
                    for tap in 0..taps {
                        *out.add((l * taps + tap) * step) = line.add(tap * x_axis.dilation * self.pixel);
                    }
                    line = line.wrapping_add(y_axis.dilation * x_axis.len * self.pixel);
                }
            }
            return;
        }
        for line in 0..y_axis.taps {
            let in_y = y_axis.position(y, line);
            for tap in 0..taps {
                let at = match (in_y, x_axis.position(x, tap)) {
                    // SAFETY: both positions are inside the image.
                    (Some(in_y), Some(in_x)) => unsafe {
                        self.input.add(((image * y_axis.len + in_y) * x_axis.len + in_x) * self.pixel)
                    },
                    _ => self.zeros,
                };
                // SAFETY: there is room.
                unsafe { *out.add((line * taps + tap) * step) = at };
            }
        }
    }
}

impl Source for Taps<'_> {
    fn runs(&self) -> (usize, usize) {
        let [height, width] = self.shape.kernel;
        let inputs = self.shape.group()[0];
        if self.merged { (height, width * inputs) } else { (height * width, inputs) }
    }

    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32) {
        let [out_h, out_w] = self.out;
        let row = self.first_row + first / out_w;
        let [mut image, mut y, mut x] = [row / out_h, row % out_h, first % out_w];
        for r in 0..rows {
            // SAFETY: the row is an output pixel; there is room for `runs x rows` pointers.
            unsafe { self.fill_pixel([image, y, x], out.add(r), rows) };
            x += 1;
            if x == out_w {
                (x, y) = (0, y + 1);
                if y == out_h {
                    (y, image) = (0, image + 1);
                }
            }
        }
    }
}

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(run: &Run<'_>, scratch: &mut [f32]) {
    let shape = &run.conv.shape;
    scratch[..scratch_len(shape)].fill(0.0);
    let merged = merges(shape, run.input.stride());
    for group in 0..shape.groups {
        let inputs = shape.group()[0];
        // SAFETY: all output pixels.
        let part = unsafe { run.part(group, 0, run.output.rows(), run.steps) };
        if is_product(shape) {
            // Output pixels are input pixels.
            let rows = run.input.sub_rows(run.rows.start * shape.input[1], run.output.rows());
            // SAFETY: the shapes were compared.
            unsafe { multiply(&part, &mut Matrix(rows.sub_cols(group * inputs, inputs))) };
            continue;
        }
        let mut taps = Taps {
            shape,
            out: shape.output(),
            // SAFETY: the group's channels are inside a pixel.
            input: unsafe { run.input.ptr().add(group * inputs) },
            pixel: run.input.stride(),
            zeros: scratch.as_ptr(),
            merged,
            first_row: run.rows.start,
        };
        // SAFETY: the pointers are those of taps inside the image or of enough zeros.
        unsafe { multiply(&part, &mut taps) };
    }
}

/// Whether it is a matrix product of pixels by channels.
fn is_product(shape: &ConvShape) -> bool {
    shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.padding == [0; 4]
}
