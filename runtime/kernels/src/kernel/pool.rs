//! Pooling over windows of pixels, channels side by side.

use crate::simd::Simd;

/// What a window becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolKind {
    /// The largest element.
    Max,
    /// The sum, divided by the number of elements inside the image.
    Average,
    /// The sum, divided by the number of elements inside the image and its padding (ONNX's `count_include_pad`).
    AveragePadded,
}

/// One output row.
pub struct Pool {
    pub kind: PoolKind,
    /// The input row under the first line of the window, column 0.
    pub src: *const f32,
    /// Elements between lines of the window and between pixels.
    pub line: usize,
    pub pixel: usize,
    /// Lines of the window that are inside the image.
    pub lines: usize,
    pub dst: *mut f32,
    pub dst_pixel: usize,
    pub out_w: usize,
    pub channels: usize,
    /// Width of the image and, horizontally: taps, their distance, windows' distance, padding on the left.
    pub in_w: usize,
    pub taps: usize,
    pub dilation: usize,
    pub stride: usize,
    pub pad: usize,
    /// Lines times taps that count in an average of kind `AveragePadded`, per column of output: filled by the driver.
    pub padded_lines: usize,
    pub padded_end: usize,
}

#[inline(always)]
pub unsafe fn pool<S: Simd>(p: &Pool) {
    for x in 0..p.out_w {
        // The taps inside the image: pad <= x * stride + t * dilation < pad + in_w.
        let start = x * p.stride;
        let first = p.pad.saturating_sub(start).div_ceil(p.dilation).min(p.taps);
        let end = (p.pad + p.in_w).saturating_sub(start).div_ceil(p.dilation).min(p.taps);
        let inside = end.saturating_sub(first);
        let count = match p.kind {
            PoolKind::Max => 1,
            PoolKind::Average => p.lines * inside,
            PoolKind::AveragePadded => {
                p.padded_lines * p.padded_end.saturating_sub(start).div_ceil(p.dilation).min(p.taps)
            }
        };
        let mut c = 0;
        while c < p.channels {
            let n = (p.channels - c).min(S::LANES);
            // SAFETY: the driver gives lines and pixels inside the image; taps were cut to it.
            unsafe {
                let max = p.kind == PoolKind::Max;
                let mut acc = S::splat(if max { f32::NEG_INFINITY } else { 0.0 });
                for line in 0..p.lines {
                    for tap in first..end {
                        let at = p.src.add(line * p.line + (start + tap * p.dilation - p.pad) * p.pixel + c);
                        let y = S::load_part(at, n);
                        acc = if max { S::select(S::eq(acc, acc), S::max(acc, y), acc) } else { S::add(acc, y) };
                    }
                }
                if !max {
                    acc = S::div(acc, S::splat(count as f32));
                }
                let at = p.dst.add(x * p.dst_pixel + c);
                S::store_part(at, acc, n);
            }
            c += n;
        }
    }
}
