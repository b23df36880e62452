//! Convolution of each channel by itself.

use super::pointwise::{Finish, TILE, Target, Tile};
use crate::simd::Simd;

/// One output row of a depthwise convolution.
pub struct Depthwise<'a> {
    /// The input row under the first kernel line that is inside the image, column 0.
    pub src: *const f32,
    /// Elements between lines of the kernel (dilated) and between pixels.
    pub line: usize,
    pub pixel: usize,
    /// Kernel lines inside the image, and the first of them.
    pub lines: usize,
    pub first_line: usize,
    /// `[channels / LANES][1 + kernel_h * kernel_w][LANES]`: bias, then taps.
    pub weights: *const f32,
    pub kernel_h: usize,
    /// Horizontally: taps, their distance, windows' distance, padding on the left, width of the image.
    pub taps: usize,
    pub dilation: usize,
    pub stride: usize,
    pub pad: usize,
    pub in_w: usize,
    /// The row of output: `rows` are its pixels, `cols` the channels.
    pub target: Target<'a>,
    pub finish: unsafe fn(&Finish<'_>),
}

/// Output pixels that are computed side by side.
const PIXELS: usize = 4;

#[inline(always)]
pub unsafe fn depthwise<S: Simd>(d: &Depthwise<'_>) {
    let out_w = d.target.rows;
    let mut tile = Tile::new();
    let tile = tile.as_mut_ptr();
    let block = TILE / PIXELS / S::LANES * S::LANES;
    let mut x = 0;
    while x < out_w {
        let n = PIXELS.min(out_w - x);
        let mut c0 = 0;
        while c0 < d.target.cols {
            let cols = block.min(d.target.cols - c0);
            let stride = cols.div_ceil(S::LANES) * S::LANES;
            let mut c = 0;
            while c < cols {
                for i in 0..n {
                    // SAFETY: the driver's row; the tile has room for PIXELS rows of `block`.
                    unsafe {
                        let y = pixel::<S>(d, x + i, c0 + c, (cols - c).min(S::LANES));
                        S::store(tile.add(i * stride + c), y);
                    }
                }
                c += S::LANES;
            }
            // SAFETY: the target is a part of the driver's.
            unsafe {
                let t = d.target;
                let dst = t.dst.add(x * t.stride + c0);
                let target = Target { dst, rows: n, cols, row: t.row + x, col: t.col + c0, ..t };
                (d.finish)(&Finish { tile, tile_stride: stride, target });
            }
            c0 += cols;
        }
        x += n;
    }
}

/// One output pixel, `n` channels from `c`.
#[inline(always)]
unsafe fn pixel<S: Simd>(d: &Depthwise<'_>, x: usize, c: usize, n: usize) -> S::V {
    let start = x * d.stride;
    let first = d.pad.saturating_sub(start).div_ceil(d.dilation).min(d.taps);
    let end = (d.pad + d.in_w).saturating_sub(start).div_ceil(d.dilation).min(d.taps);
    // SAFETY: taps were cut to the image; weights are whole vectors.
    unsafe {
        let weights = d.weights.add(c * (1 + d.kernel_h * d.taps));
        let mut acc = S::load(weights);
        for line in 0..d.lines {
            let w = weights.add((1 + (d.first_line + line) * d.taps) * S::LANES);
            for tap in first..end {
                let at = d.src.add(line * d.line + (start + tap * d.dilation - d.pad) * d.pixel + c);
                let v = if n == S::LANES { S::load(at) } else { S::load_first(at, n) };
                acc = S::madd(v, S::load(w.add(tap * S::LANES)), acc);
            }
        }
        acc
    }
}
