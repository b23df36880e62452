//! Transposition, and copies of small pieces.

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

/// Copies `count` pieces of `len` floats, from every `src_stride` to every `dst_stride`. Short pieces cost no call.
///
/// # Safety
///
/// The pieces are there and do not overlap.
pub unsafe fn copy_pieces(
    src: *const f32,
    src_stride: usize,
    dst: *mut f32,
    dst_stride: usize,
    count: usize,
    len: usize,
) {
    // SAFETY: the caller's pieces, of `N` floats each.
    unsafe fn fixed<const N: usize>(
        src: *const f32,
        src_stride: usize,
        dst: *mut f32,
        dst_stride: usize,
        count: usize,
    ) {
        for i in 0..count {
            // SAFETY: the caller's pieces.
            unsafe {
                let piece = src.add(i * src_stride).cast::<[f32; N]>().read_unaligned();
                dst.add(i * dst_stride).cast::<[f32; N]>().write_unaligned(piece);
            }
        }
    }
    // SAFETY: as above.
    unsafe {
        match len {
            1 => fixed::<1>(src, src_stride, dst, dst_stride, count),
            2 => fixed::<2>(src, src_stride, dst, dst_stride, count),
            4 => fixed::<4>(src, src_stride, dst, dst_stride, count),
            _ => {
                for i in 0..count {
                    core::ptr::copy_nonoverlapping(src.add(i * src_stride), dst.add(i * dst_stride), len);
                }
            }
        }
    }
}
