//! Transposition.

use crate::simd::Simd;

/// `dst[c][r] = src[r][c]`
pub struct Transpose {
    pub src: *const f32,
    pub src_stride: usize,
    pub dst: *mut f32,
    pub dst_stride: usize,
    pub rows: usize,
    pub cols: usize,
}

/// Side of the blocks that are transposed one after the other, so that both sides stay in the first-level cache.
const BLOCK: usize = 16;

#[inline(always)]
pub unsafe fn transpose<S: Simd>(t: &Transpose) {
    for r0 in (0..t.rows).step_by(BLOCK) {
        let r1 = (r0 + BLOCK).min(t.rows);
        for c0 in (0..t.cols).step_by(BLOCK) {
            let c1 = (c0 + BLOCK).min(t.cols);
            for c in c0..c1 {
                for r in r0..r1 {
                    // SAFETY: inside both matrices.
                    unsafe { *t.dst.add(c * t.dst_stride + r) = *t.src.add(r * t.src_stride + c) };
                }
            }
        }
    }
}
