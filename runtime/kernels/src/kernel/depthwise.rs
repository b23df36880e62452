//! Convolution of each channel by itself.
//!
//! Where all taps are inside the image, some output pixels are computed side by side: each input pixel is read once for all
//! of them, and the taps of a line stay in registers. At the borders it goes pixel by pixel.

use super::pointwise::{Finish, TILE, Target, Tile};
use crate::simd::Simd;
use core::ops::Range;

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

/// One output row. `PX` pixels are computed side by side, or half of them.
#[inline(always)]
pub unsafe fn depthwise<S: Simd, const PX: usize, const HALF: usize>(d: &Depthwise<'_>) {
    // SAFETY: the driver's row.
    unsafe {
        let done = match (d.taps, d.stride, d.dilation) {
            (3, 1, 1) => inside::<S, PX, HALF, 3, 1>(d),
            (3, 2, 1) => inside::<S, PX, HALF, 3, 2>(d),
            (5, 1, 1) => inside::<S, PX, HALF, 5, 1>(d),
            (5, 2, 1) => inside::<S, PX, HALF, 5, 2>(d),
            _ => 0..0,
        };
        for rest in [0..done.start, done.end..d.target.rows] {
            border::<S>(d, rest);
        }
    }
}

/// Output pixels all of whose taps are inside the image, as many as are computed side by side; returns which.
#[inline(always)]
unsafe fn inside<S: Simd, const PX: usize, const HALF: usize, const TAPS: usize, const STRIDE: usize>(
    d: &Depthwise<'_>,
) -> Range<usize> {
    let out_w = d.target.rows;
    // Windows `start..end` are inside the image.
    let start = d.pad.div_ceil(STRIDE).min(out_w);
    let end = if d.pad + d.in_w >= TAPS { ((d.pad + d.in_w - TAPS) / STRIDE + 1).clamp(start, out_w) } else { start };
    // SAFETY: as above.
    unsafe {
        let mut x = start;
        while x + PX <= end {
            pixels::<S, PX, TAPS, STRIDE>(d, x);
            x += PX;
        }
        while x + HALF <= end {
            pixels::<S, HALF, TAPS, STRIDE>(d, x);
            x += HALF;
        }
        start..x
    }
}

/// `PX` output pixels from `x`, all of whose taps are inside the image.
#[inline(always)]
unsafe fn pixels<S: Simd, const PX: usize, const TAPS: usize, const STRIDE: usize>(d: &Depthwise<'_>, x: usize) {
    let t = &d.target;
    let block = TILE / PX / S::LANES * S::LANES;
    let per_vector = (1 + d.kernel_h * TAPS) * S::LANES;
    let mut tile = Tile::new();
    let tile = tile.as_mut_ptr();
    let mut c0 = 0;
    while c0 < t.cols {
        let cols = block.min(t.cols - c0);
        let tile_stride = cols.div_ceil(S::LANES) * S::LANES;
        let mut c = 0;
        while c < cols {
            let n = (cols - c).min(S::LANES);
            // SAFETY: the window is inside the image, the channels are inside a pixel, weights are whole vectors.
            unsafe {
                let src = d.src.add((x * STRIDE - d.pad) * d.pixel + c0 + c);
                let weights = d.weights.add((c0 + c) / S::LANES * per_vector);
                let mut acc = if n == S::LANES {
                    window::<S, PX, TAPS, STRIDE>(d, src, weights, |p| S::load(p))
                } else {
                    window::<S, PX, TAPS, STRIDE>(d, src, weights, |p| S::load_first(p, n))
                };
                if let Some(quick) = &t.quick {
                    quick.apply::<S, 1, PX>(&mut acc);
                    let dst = t.dst.add(x * t.stride + c0 + c);
                    for (i, [y]) in acc.into_iter().enumerate() {
                        S::store_part(dst.add(i * t.stride), y, n);
                    }
                } else {
                    for (i, [y]) in acc.into_iter().enumerate() {
                        S::store(tile.add(i * tile_stride + c), y);
                    }
                }
            }
            c += S::LANES;
        }
        if t.quick.is_none() {
            // SAFETY: the target is a part of the driver's.
            unsafe { finish::<S>(d, tile, tile_stride, x, PX, c0, cols) };
        }
        c0 += cols;
    }
}

/// One vector of channels of `PX` neighbouring windows.
#[inline(always)]
unsafe fn window<S: Simd, const PX: usize, const TAPS: usize, const STRIDE: usize>(
    d: &Depthwise<'_>,
    src: *const f32,
    weights: *const f32,
    load: impl Fn(*const f32) -> S::V,
) -> [[S::V; 1]; PX] {
    // SAFETY: as in `pixels`.
    unsafe {
        let mut acc = [[S::load(weights)]; PX];
        let mut line = src;
        let mut taps = weights.add((1 + d.first_line * TAPS) * S::LANES);
        for _ in 0..d.lines {
            let mut w = [S::zero(); TAPS];
            for (t, w) in w.iter_mut().enumerate() {
                *w = S::load(taps.add(t * S::LANES));
            }
            if STRIDE == 1 {
                // One pointer that moves: with one for each pixel there are more of them than registers.
                let mut at = line;
                for j in 0..PX - 1 + TAPS {
                    let v = load(at);
                    at = at.wrapping_add(d.pixel);
                    for (i, acc) in acc.iter_mut().enumerate() {
                        // Tap j - i of window i, if it has one: taps come in ascending order.
                        if j >= i && j - i < TAPS {
                            acc[0] = S::madd(v, w[j - i], acc[0]);
                        }
                    }
                }
            } else {
                // Windows share too few pixels to keep them.
                for (t, w) in w.into_iter().enumerate() {
                    for (i, acc) in acc.iter_mut().enumerate() {
                        acc[0] = S::madd(load(line.add((i * STRIDE + t) * d.pixel)), w, acc[0]);
                    }
                }
            }
            line = line.wrapping_add(d.line);
            taps = taps.add(TAPS * S::LANES);
        }
        acc
    }
}

#[inline(always)]
unsafe fn finish<S: Simd>(
    d: &Depthwise<'_>,
    tile: *mut f32,
    tile_stride: usize,
    x: usize,
    rows: usize,
    c: usize,
    cols: usize,
) {
    let t = d.target;
    // SAFETY: a part of the driver's target.
    unsafe {
        let dst = t.dst.add(x * t.stride + c);
        let target = Target { dst, rows, cols, row: t.row + x, col: t.col + c, ..t };
        (d.finish)(&Finish::tile(tile, tile_stride, target));
    }
}

/// Vectors of channels of one pixel that are summed side by side.
const WIDE: usize = 4;

/// Output pixels, one by one, with the taps that are inside the image.
#[inline(always)]
unsafe fn border<S: Simd>(d: &Depthwise<'_>, pixels: Range<usize>) {
    let mut tile = Tile::new();
    let tile = tile.as_mut_ptr();
    for x in pixels {
        let mut c = 0;
        while c < d.target.cols {
            let cols = (d.target.cols - c).min(WIDE * S::LANES);
            // SAFETY: the driver's row.
            unsafe {
                if cols == WIDE * S::LANES {
                    pixel::<S, WIDE>(d, x, c, tile, |p| S::load(p));
                } else {
                    for v in (0..cols).step_by(S::LANES) {
                        let n = (cols - v).min(S::LANES);
                        pixel::<S, 1>(d, x, c + v, tile.add(v), |p| S::load_part(p, n));
                    }
                }
                finish::<S>(d, tile, cols.div_ceil(S::LANES) * S::LANES, x, 1, c, cols);
            }
            c += cols;
        }
    }
}

/// `N` vectors of channels of one output pixel.
#[inline(always)]
unsafe fn pixel<S: Simd, const N: usize>(
    d: &Depthwise<'_>,
    x: usize,
    c: usize,
    tile: *mut f32,
    load: impl Fn(*const f32) -> S::V,
) {
    let start = x * d.stride;
    let first = d.pad.saturating_sub(start).div_ceil(d.dilation).min(d.taps);
    let end = (d.pad + d.in_w).saturating_sub(start).div_ceil(d.dilation).min(d.taps);
    let per_vector = (1 + d.kernel_h * d.taps) * S::LANES;
    // SAFETY: taps were cut to the image; weights are whole vectors.
    unsafe {
        let weights = d.weights.add(c / S::LANES * per_vector);
        let mut acc = [S::zero(); N];
        for (v, acc) in acc.iter_mut().enumerate() {
            *acc = S::load(weights.add(v * per_vector));
        }
        for line in 0..d.lines {
            let w = weights.add((1 + (d.first_line + line) * d.taps) * S::LANES);
            for tap in first..end {
                let at = d.src.add(line * d.line + (start + tap * d.dilation - d.pad) * d.pixel + c);
                for (v, acc) in acc.iter_mut().enumerate() {
                    let w = S::load(w.add(v * per_vector + tap * S::LANES));
                    *acc = S::madd(load(at.add(v * S::LANES)), w, *acc);
                }
            }
        }
        for (v, acc) in acc.into_iter().enumerate() {
            S::store(tile.add(v * S::LANES), acc);
        }
    }
}
