//! A convolution as a matrix product: the row of A for an output pixel is the channels under each tap, one after the other.
//! Nothing is copied; taps outside of the image point to zeros.

use super::{ConvShape, Run};
use crate::panels::{Source, multiply};

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
    input: *const f32,
    pixel: usize,
    zeros: *const f32,
    merged: bool,
    /// Rows of output pixels before the first.
    first_row: usize,
}

impl Source for Taps<'_> {
    fn runs(&self) -> (usize, usize) {
        let [height, width] = self.shape.kernel;
        let inputs = self.shape.group()[0];
        if self.merged { (height, width * inputs) } else { (height * width, inputs) }
    }

    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32) {
        let s = self.shape;
        let [out_h, out_w] = s.output();
        let (y_axis, x_axis) = (s.axis(0), s.axis(1));
        let taps = if self.merged { 1 } else { x_axis.taps };
        for r in 0..rows {
            let row = self.first_row + (first + r) / out_w;
            let (x, y, image) = ((first + r) % out_w, row % out_h, row / out_h);
            for line in 0..y_axis.taps {
                let in_y = y_axis.position(y, line);
                for tap in 0..taps {
                    let at = match (in_y, x_axis.position(x, tap)) {
                        // SAFETY: both positions are inside the image, which is inside the view.
                        (Some(in_y), Some(in_x)) => unsafe {
                            self.input.add(((image * y_axis.len + in_y) * x_axis.len + in_x) * self.pixel)
                        },
                        _ => self.zeros,
                    };
                    // SAFETY: there is room for `runs x rows` pointers.
                    unsafe { *out.add((line * taps + tap) * rows + r) = at };
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
        let mut taps = Taps {
            shape,
            // SAFETY: the group's channels are inside a pixel.
            input: unsafe { run.input.ptr().add(group * shape.group()[0]) },
            pixel: run.input.stride(),
            zeros: scratch.as_ptr(),
            merged,
            first_row: run.rows.start,
        };
        // SAFETY: the pointers are those of taps inside the image or of enough zeros.
        unsafe { multiply(&run.part(group, 0, run.output.rows(), run.steps), &mut taps) };
    }
}
