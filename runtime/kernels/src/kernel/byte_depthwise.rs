//! Convolution of each channel of 8-bit integers by itself.
//!
//! There is no group of elements here whose products one instruction could add. So it is done in floats: a byte times the difference
//! of two is below 2^16 in magnitude, and sums of up to 128 of those, less the zero point's share, are exact, whether products are
//! fused with sums or not.

use super::bytes::{Store, store};
use super::pointwise::Target;
use crate::simd::Simd;
use crate::simd::dot::{Dot, Floats};
use core::ops::Range;

/// Vectors before the taps of each vector of channels: scale, bias (integers), shift.
pub const HEADER: usize = 3;

/// Most taps for which sums are exact.
pub const MAX_TAPS: usize = 128;

/// One output row.
pub struct ByteDepthwise<'a> {
    /// The input row under the first kernel line that is inside the image, column 0.
    pub src: *const u8,
    /// What flips bytes into 0 to 255, and the zero point of those.
    pub flip: u8,
    pub zero: i32,
    pub scale: f32,
    /// Bytes between lines of the kernel (dilated) and between pixels.
    pub line: usize,
    pub pixel: usize,
    /// Kernel lines inside the image, and the first of them.
    pub lines: usize,
    pub first_line: usize,
    /// `[channels / LANES][HEADER + kernel_h * taps][LANES]`
    pub weights: *const f32,
    pub kernel_h: usize,
    /// Horizontally: taps, their distance, windows' distance, padding on the left, width of the image.
    pub taps: usize,
    pub dilation: usize,
    pub stride: usize,
    pub pad: usize,
    pub in_w: usize,
    /// The row of output: `rows` of the target are its pixels, `cols` the channels.
    pub store: Store<'a>,
}

/// One output row. `PX` pixels are computed side by side.
#[inline(always)]
pub unsafe fn depthwise<D: Dot, const PX: usize>(d: &ByteDepthwise<'_>) {
    // SAFETY: the driver's row.
    unsafe {
        let done = match (d.taps, d.stride, d.dilation) {
            (3, 1, 1) => inside::<D, PX, 3, 1>(d),
            (3, 2, 1) => inside::<D, PX, 3, 2>(d),
            (5, 1, 1) => inside::<D, PX, 5, 1>(d),
            (5, 2, 1) => inside::<D, PX, 5, 2>(d),
            _ => 0..0,
        };
        for rest in [0..done.start, done.end..d.store.target.rows] {
            border::<D>(d, rest);
        }
    }
}

/// Output pixels all of whose taps are inside the image, as many as are computed side by side; returns which.
#[inline(always)]
unsafe fn inside<D: Dot, const PX: usize, const TAPS: usize, const STRIDE: usize>(
    d: &ByteDepthwise<'_>,
) -> Range<usize> {
    let out_w = d.store.target.rows;
    // Windows `start..end` are inside the image.
    let start = d.pad.div_ceil(STRIDE).min(out_w);
    let end = if d.pad + d.in_w >= TAPS { ((d.pad + d.in_w - TAPS) / STRIDE + 1).clamp(start, out_w) } else { start };
    // SAFETY: as above.
    unsafe {
        let mut x = start;
        while x + PX <= end {
            pixels::<D, PX, TAPS, STRIDE>(d, x);
            x += PX;
        }
        start..x
    }
}

/// `PX` output pixels from `x`, all of whose taps are inside the image.
#[inline(always)]
unsafe fn pixels<D: Dot, const PX: usize, const TAPS: usize, const STRIDE: usize>(d: &ByteDepthwise<'_>, x: usize) {
    let lanes = D::S::LANES;
    let mut c = 0;
    // SAFETY: the window is inside the image, the channels are inside a pixel, weights are whole vectors.
    unsafe {
        while c < d.store.target.cols {
            let n = (d.store.target.cols - c).min(lanes);
            let mut acc = [[D::S::zero()]; PX];
            // What the zero point contributes to each of them: every window has all of its taps.
            let mut total = D::S::zero();
            let mut line = d.src.add((x * STRIDE - d.pad) * d.pixel + c);
            let mut taps = channels::<D>(d, c).add((HEADER + d.first_line * TAPS) * lanes);
            for _ in 0..d.lines {
                let mut w = [D::S::zero(); TAPS];
                for (t, w) in w.iter_mut().enumerate() {
                    *w = D::S::load(taps.add(t * lanes));
                    total = D::S::add(total, *w);
                }
                for j in 0..(PX - 1) * STRIDE + TAPS {
                    let v = load::<D>(d, line.add(j * d.pixel), n);
                    for (i, acc) in acc.iter_mut().enumerate() {
                        // Tap j - i * STRIDE of window i, if it has one.
                        if j >= i * STRIDE && j - i * STRIDE < TAPS {
                            acc[0] = D::exact_madd(v, w[j - i * STRIDE], acc[0]);
                        }
                    }
                }
                line = line.wrapping_add(d.line);
                taps = taps.add(TAPS * lanes);
            }
            let zero = D::S::to_float(D::S::isplat(-d.zero));
            for acc in &mut acc {
                acc[0] = D::exact_madd(total, zero, acc[0]);
            }
            finish::<D, PX>(d, &acc, x, c, n);
            c += lanes;
        }
    }
}

/// Output pixels, one by one, with the taps that are inside the image.
#[inline(always)]
unsafe fn border<D: Dot>(d: &ByteDepthwise<'_>, pixels: Range<usize>) {
    let lanes = D::S::LANES;
    for x in pixels {
        let left = x * d.stride;
        let first = d.pad.saturating_sub(left).div_ceil(d.dilation).min(d.taps);
        let last = (d.pad + d.in_w).saturating_sub(left).div_ceil(d.dilation).min(d.taps);
        let mut c = 0;
        while c < d.store.target.cols {
            let n = (d.store.target.cols - c).min(lanes);
            // SAFETY: taps were cut to the image; weights are whole vectors.
            unsafe {
                let mut acc = D::S::zero();
                for line in 0..d.lines {
                    let w = channels::<D>(d, c).add((HEADER + (d.first_line + line) * d.taps) * lanes);
                    for tap in first..last {
                        let at = d.src.add(line * d.line + (left + tap * d.dilation - d.pad) * d.pixel + c);
                        let x = D::S::sub(load::<D>(d, at, n), D::S::to_float(D::S::isplat(d.zero)));
                        acc = D::exact_madd(x, D::S::load(w.add(tap * lanes)), acc);
                    }
                }
                finish::<D, 1>(d, &[[acc]], x, c, n);
            }
            c += lanes;
        }
    }
}

/// The weights of the vector of channels from `c`.
#[inline(always)]
unsafe fn channels<D: Dot>(d: &ByteDepthwise<'_>, c: usize) -> *const f32 {
    // SAFETY: `c` is the first channel of one of them.
    unsafe { d.weights.add(c * (HEADER + d.kernel_h * d.taps)) }
}

/// `n` channels of a pixel.
#[inline(always)]
unsafe fn load<D: Dot>(d: &ByteDepthwise<'_>, at: *const u8, n: usize) -> Floats<D> {
    // SAFETY: they are inside the image.
    unsafe { D::S::to_float(D::load_bytes(at, n, d.flip)) }
}

/// Stores `PX` pixels from `x` of the vector of channels from `c`.
#[inline(always)]
unsafe fn finish<D: Dot, const PX: usize>(
    d: &ByteDepthwise<'_>,
    acc: &[[Floats<D>; 1]; PX],
    x: usize,
    c: usize,
    cols: usize,
) {
    let whole = d.store.target;
    let size = if d.store.form.is_bytes() { 1 } else { 4 };
    // SAFETY: a part of the driver's target.
    unsafe {
        let header = channels::<D>(d, c);
        let bias = D::S::bits(D::S::load(header.add(D::S::LANES)));
        let mut sums = [[bias]; PX];
        for (sum, acc) in sums.iter_mut().zip(acc) {
            sum[0] = D::S::iadd(D::truncate(acc[0]), bias);
        }
        let scale = D::S::mul(D::S::load(header), D::S::splat(d.scale));
        let shift = D::S::load(header.add(2 * D::S::LANES));
        let target = Target { rows: PX, cols, row: whole.row + x, col: whole.col + c, ..whole };
        let part = Store { dst: d.store.dst.add((x * whole.stride + c) * size), target, ..d.store };
        store::<D, 1, PX>(&part, &sums, &[scale], &[shift]);
    }
}
