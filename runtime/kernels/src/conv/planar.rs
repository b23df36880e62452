//! A convolution that reads planes: the first layer, whose few channels would leave vectors over channels empty.
//! The lines of the planes under a row of output pixels are copied with their padding; a piece of A's row is then the taps
//! of one line of one plane.

use super::{ConvShape, Run};
use crate::kernel::lines::Lines as Tile;
use crate::kernel::quick::Quick;
use crate::panels::{Part, Source};
use crate::product::multiply;
use crate::table::FirstLayer;

/// Pieces of a row of A: lines of taps, or single taps if those are dilated.
pub(super) fn runs(shape: &ConvShape) -> usize {
    let lines = shape.in_channels.saturating_mul(shape.kernel[0]);
    if shape.dilation[1] == 1 { lines } else { lines.saturating_mul(shape.kernel[1]) }
}

fn line_len(shape: &ConvShape) -> usize {
    shape.input[1] + shape.padding[1] + shape.padding[3]
}

pub(super) fn scratch_len(shape: &ConvShape) -> usize {
    shape.in_channels * shape.kernel[0] * line_len(shape)
}

struct Lines<'a> {
    shape: &'a ConvShape,
    lines: *const f32,
}

impl Source for Lines<'_> {
    fn runs(&self) -> (usize, usize) {
        (runs(self.shape), if self.shape.dilation[1] == 1 { self.shape.kernel[1] } else { 1 })
    }

    unsafe fn fill(&mut self, first: usize, rows: usize, out: *mut *const f32) {
        let s = self.shape;
        let taps = if s.dilation[1] == 1 { 1 } else { s.kernel[1] };
        for run in 0..runs(s) {
            let start = run / taps * line_len(s) + run % taps * s.dilation[1] + first * s.stride[1];
            for r in 0..rows {
                // SAFETY: inside the padded line; there is room for `runs x rows` pointers.
                unsafe { *out.add(run * rows + r) = self.lines.add(start + r * s.stride[1]) };
            }
        }
    }
}

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(run: &Run<'_>, scratch: &mut [f32]) {
    let s = &run.conv.shape;
    let [out_h, out_w] = s.output();
    for (i, row) in run.rows.clone().enumerate() {
        copy_lines(run, row / out_h, row % out_h, scratch);
        // SAFETY: the lines of this row are in the scratch memory.
        unsafe {
            let part = run.part(0, i * out_w, out_w, run.steps);
            if s.dilation[1] == 1 && (1..=2).contains(&s.stride[1]) {
                tiles(s, &part, scratch.as_ptr());
            } else {
                multiply(&part, &mut Lines { shape: s, lines: scratch.as_ptr() });
            }
        }
    }
}

/// A row of output pixels in tiles; what is left at its end as a product like any other.
///
/// # Safety
///
/// The lines of this row are in the scratch memory.
unsafe fn tiles(s: &ConvShape, part: &Part<'_>, lines: *const f32) {
    let quick = Quick::of_product(part.steps);
    for p in part.range.clone() {
        let start = part.panels.first_column(p);
        let FirstLayer { pixels, by_stride } = &part.table.lines[part.panels.vectors(p) - 1];
        let mut x = 0;
        while x + pixels <= part.rows {
            // SAFETY: pixels and columns are inside the part.
            unsafe {
                by_stride[s.stride[1] - 1](&Tile {
                    src: lines.add(x * s.stride[1]),
                    line: line_len(s),
                    lines: runs(s),
                    taps: s.kernel[1],
                    panel: part.panel(p),
                    target: part.target(p, x, *pixels, quick),
                    finish: part.table.finish,
                });
            }
            x += pixels;
        }
        let rest = Part {
            range: p..p + 1,
            rows: part.rows - x,
            // SAFETY: inside the part's destination.
            dst: unsafe { part.dst.add(x * part.stride + start) },
            row: part.row + x,
            ..*part
        };
        // SAFETY: as above.
        unsafe { multiply(&rest, &mut Lines { shape: s, lines: lines.add(x * s.stride[1]) }) };
    }
}

/// The lines under output row `y` of an image, with their padding.
fn copy_lines(run: &Run<'_>, image: usize, y: usize, scratch: &mut [f32]) {
    let s = &run.conv.shape;
    let axis = s.axis(0);
    let [left, width] = [s.padding[1], s.input[1]];
    for (i, line) in scratch.chunks_exact_mut(line_len(s).max(1)).take(s.in_channels * axis.taps).enumerate() {
        match axis.position(y, i % axis.taps) {
            Some(in_y) => {
                let plane = run.input.row(image * s.in_channels + i / axis.taps);
                line[..left].fill(0.0);
                line[left..left + width].copy_from_slice(&plane[in_y * width..(in_y + 1) * width]);
                line[left + width..].fill(0.0);
            }
            None => line.fill(0.0),
        }
    }
}
