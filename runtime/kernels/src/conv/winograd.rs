//! 3 x 3 convolutions by Winograd's F(4x4, 3x3): tiles of the image are transformed, 36 matrix products are taken, and the sums
//! are transformed into tiles of the output.
//!
//! The grid of tiles is that of the image, whatever rows a call computes, so sharing work changes no bit.

use super::{ConvShape, Run};
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;
use crate::kernel::winograd::{IN, Input, OUT, Output};
use crate::matmul::Matrix;
use crate::packing::Packing;
use crate::panels::{Packed, Part};
use crate::product::multiply;
use crate::view::View;

pub(crate) const POINTS: usize = IN * IN;
/// Floats of transformed tiles that are worked on at a time: with the weights they stay in the second-level cache.
const BLOCK_FLOATS: usize = 128 * 1024;
/// Sums of a point start at multiples of this, for the sake of vectors of any width.
const ROUND: usize = 16;

/// Floats between points beyond what they hold: at distances of 4 KiB all 36 would fall into the same few lines of the cache.
const PAD: usize = 16;

/// Whether it saves enough products to pay for its transforms.
pub(super) fn suits(s: &ConvShape) -> bool {
    let [out_h, out_w] = s.output();
    let plain = s.kernel == [3, 3] && s.stride == [1, 1] && s.dilation == [1, 1] && s.groups == 1;
    // 36 products per tile instead of 9 per pixel; tiles at the border may be partly empty.
    let products = out_h.div_ceil(OUT).saturating_mul(out_w.div_ceil(OUT)).saturating_mul(POINTS);
    plain
        && s.in_channels >= 16
        && s.out_channels >= 16
        && products.saturating_mul(3) <= out_h.saturating_mul(out_w).saturating_mul(2 * 9)
}

/// Floats of a row of sums.
fn sums_len(s: &ConvShape) -> usize {
    s.out_channels.div_ceil(ROUND) * ROUND
}

/// Tiles that are worked on at a time.
fn block(s: &ConvShape) -> usize {
    let [out_h, out_w] = s.output();
    let tiles = out_h.div_ceil(OUT) * out_w.div_ceil(OUT);
    (BLOCK_FLOATS / (POINTS * (s.in_channels + sums_len(s)))).max(1).next_multiple_of(8).min(tiles.max(1))
}

pub(super) fn scratch_len(s: &ConvShape) -> usize {
    POINTS * (block(s) * (s.in_channels + sums_len(s)) + 2 * PAD) + s.in_channels
}

/// `G g G^T` of each kernel, then the panels of each point; the biases last.
pub(crate) fn pack(packing: &Packing, weights: &[f32], bias: impl Fn(usize) -> f32, packed: &mut [f32]) {
    let (inputs, panels) = (packing.inputs, &packing.panels);
    let (points, biases) = packed.split_at_mut(POINTS * panels.len());
    for (point, packed) in points.chunks_exact_mut(panels.len().max(1)).enumerate() {
        panels.pack(packed, |_| 0.0, |k, n| transform(&weights[(n * inputs + k) * 9..][..9], point));
    }
    for (channel, slot) in biases.iter_mut().enumerate() {
        *slot = bias(channel);
    }
}

/// One point of `G g G^T`, in f64: weights are transformed once.
fn transform(kernel: &[f32], point: usize) -> f32 {
    const G: [[f64; 3]; IN] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    let (row, column) = (&G[point / IN], &G[point % IN]);
    let mut sum = 0.0;
    for (y, a) in row.iter().enumerate() {
        for (x, b) in column.iter().enumerate() {
            sum += a * b * f64::from(kernel[y * 3 + x]);
        }
    }
    sum as f32
}

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(run: &Run<'_>, scratch: &mut [f32]) {
    let s = &run.conv.shape;
    let [out_h, out_w] = s.output();
    let across = out_w.div_ceil(OUT);
    let block = block(s);
    let (zeros, scratch) = scratch.split_at_mut(s.in_channels);
    zeros.fill(0.0);
    let (tiles, sums) = scratch.split_at_mut(POINTS * (block * s.in_channels + PAD));
    let mut work = Work { run, zeros, tiles, sums, block, quick: Quick::of(run.steps) };
    for image in run.rows.start / out_h..run.rows.end.div_ceil(out_h) {
        // The rows of this image, and the rows of tiles that cover them.
        let start = run.rows.start.saturating_sub(image * out_h);
        let end = (run.rows.end - image * out_h).min(out_h);
        let (first, last) = (start / OUT * across, end.div_ceil(OUT) * across);
        for tile in (first..last).step_by(block) {
            let count = block.min(last - tile);
            // SAFETY: the tiles cover output rows of this call.
            unsafe { work.block(image, tile, count, [start, end]) };
        }
    }
}

struct Work<'a> {
    run: &'a Run<'a>,
    zeros: &'a [f32],
    tiles: &'a mut [f32],
    sums: &'a mut [f32],
    /// Tiles for which there is room.
    block: usize,
    quick: Option<Quick>,
}

impl Work<'_> {
    /// `count` tiles from `first`, of which output rows `rows` of the image are written.
    unsafe fn block(&mut self, image: usize, first: usize, count: usize, rows: [usize; 2]) {
        let conv = self.run.conv;
        let s = &conv.shape;
        let table = conv.kernels.table;
        let across = s.output()[1].div_ceil(OUT);
        let at = |tile: usize| [(first + tile) / across * OUT, (first + tile) % across * OUT];
        for tile in 0..count {
            // SAFETY: there is room for `block` tiles.
            unsafe {
                (table.winograd_input)(&Input {
                    pixels: self.pixels(image, at(tile)),
                    channels: s.in_channels,
                    dst: self.tiles.as_mut_ptr().add(tile * s.in_channels),
                    point: self.block * s.in_channels + PAD,
                });
            }
        }
        for (point, tiles) in self.tiles.chunks_exact(self.block * s.in_channels + PAD).enumerate() {
            let Ok(tiles) = View::dense(tiles, count, s.in_channels) else { return };
            // SAFETY: the sums of a point have room for `block` rows.
            unsafe {
                let part = Part {
                    table,
                    panels: conv.panels,
                    range: 0..conv.panels.count(),
                    packed: Packed::Floats(self.run.floats().add(point * conv.panels.len())),
                    rows: count,
                    dst: self.sums.as_mut_ptr().add(point * (self.block * sums_len(s) + PAD)),
                    stride: sums_len(s),
                    row: 0,
                    col: 0,
                    steps: &[],
                };
                multiply(&part, &mut Matrix(tiles));
            }
        }
        for tile in 0..count {
            // SAFETY: the tile has sums.
            unsafe { self.store(image, tile, at(tile), rows) };
        }
    }

    /// The 6 x 6 pixels under the tile of outputs at `[y, x]`.
    fn pixels(&self, image: usize, [y, x]: [usize; 2]) -> [*const f32; POINTS] {
        let s = &self.run.conv.shape;
        let (y_axis, x_axis) = (s.axis(0), s.axis(1));
        let mut pixels = [self.zeros.as_ptr(); POINTS];
        for (i, line) in pixels.chunks_exact_mut(IN).enumerate() {
            let Some(in_y) = y_axis.position(y + i, 0) else { continue };
            let row = (image * y_axis.len + in_y) * x_axis.len;
            for (j, pixel) in line.iter_mut().enumerate() {
                if let Some(in_x) = x_axis.position(x + j, 0) {
                    // SAFETY: inside the image.
                    *pixel = unsafe { self.run.input.ptr().add((row + in_x) * self.run.input.stride()) };
                }
            }
        }
        pixels
    }

    /// Writes the outputs of a tile at `[y, x]` that are inside of `rows` and of the image.
    unsafe fn store(&self, image: usize, tile: usize, [y, x]: [usize; 2], [start, end]: [usize; 2]) {
        let run = self.run;
        let s = &run.conv.shape;
        let [out_h, out_w] = s.output();
        let first_line = start.saturating_sub(y);
        let lines = OUT.min(end - y) - first_line;
        // The row of pixels of all images, and of this call.
        let row = (image * out_h + y + first_line) * out_w + x;
        let stride = run.output.stride();
        // SAFETY: the pixels are inside the output of this call.
        unsafe {
            (run.conv.kernels.table.winograd_output)(&Output {
                src: self.sums.as_ptr().add(tile * sums_len(s)),
                point: self.block * sums_len(s) + PAD,
                bias: run.floats().add(POINTS * run.conv.panels.len()),
                target: Target {
                    dst: run.output.ptr().add((row - run.rows.start * out_w) * stride),
                    stride,
                    rows: OUT.min(out_w - x),
                    cols: s.out_channels,
                    row,
                    col: 0,
                    steps: run.steps,
                    quick: self.quick,
                },
                first_line,
                lines,
                line: out_w * stride,
                line_rows: out_w,
                finish: run.conv.kernels.table.finish,
            });
        }
    }
}
