//! A convolution with very many taps: the rows of A for a few output pixels are gathered first.

use super::{Conv, Run};
use crate::panels::Source;
use crate::product::multiply;

/// Output pixels that are gathered at a time.
const PIXELS: usize = 64;

fn row_len(conv: &Conv) -> usize {
    let [height, width] = conv.shape.kernel;
    height * width * conv.shape.group()[0]
}

pub(super) fn scratch_len(conv: &Conv) -> usize {
    PIXELS.min(conv.shape.out_pixels()) * row_len(conv)
}

struct Gathered {
    rows: *const f32,
    len: usize,
}

impl Source for Gathered {
    fn runs(&self) -> (usize, usize) {
        (1, self.len)
    }

    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32) {
        for r in 0..rows {
            // SAFETY: the rows were gathered.
            unsafe { *out.add(r) = self.rows.add((first + r) * self.len) };
        }
    }
}

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(run: &Run<'_>, scratch: &mut [f32]) {
    let shape = &run.conv.shape;
    let inputs = shape.group()[0];
    let len = row_len(run.conv);
    let pixels = run.output.rows();
    for group in 0..shape.groups {
        for first in (0..pixels).step_by(PIXELS) {
            let count = PIXELS.min(pixels - first);
            for (i, row) in scratch.chunks_exact_mut(len.max(1)).take(count).enumerate() {
                gather(run, first + i, group * inputs, inputs, row);
            }
            // SAFETY: `count` rows of `len` floats are in the scratch memory.
            unsafe {
                multiply(&run.part(group, first, count, run.steps), &mut Gathered { rows: scratch.as_ptr(), len })
            };
        }
    }
}

/// The channels under each tap of one output pixel, zeros outside of the image.
fn gather(run: &Run<'_>, pixel: usize, channel: usize, inputs: usize, row: &mut [f32]) {
    let s = &run.conv.shape;
    let [out_h, out_w] = s.output();
    let (y_axis, x_axis) = (s.axis(0), s.axis(1));
    let line = run.rows.start + pixel / out_w;
    let (x, y, image) = (pixel % out_w, line % out_h, line / out_h);
    for (tap, out) in row.chunks_exact_mut(inputs.max(1)).enumerate() {
        match (y_axis.position(y, tap / x_axis.taps), x_axis.position(x, tap % x_axis.taps)) {
            (Some(in_y), Some(in_x)) => {
                let from = run.input.row((image * y_axis.len + in_y) * x_axis.len + in_x);
                out.copy_from_slice(&from[channel..channel + inputs]);
            }
            _ => out.fill(0.0),
        }
    }
}
