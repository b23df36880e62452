//! WebAssembly with 128-bit vectors; fused products if the build has relaxed SIMD.

use super::Simd;
use core::arch::wasm32::*;

/// WebAssembly with 128-bit vectors; fused products if the build has relaxed SIMD.
#[derive(Clone, Copy)]
pub struct Wasm;

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Simd for Wasm {
    const LANES: usize = 4;
    const UNROLL: usize = 1;
    const FUSED: bool = false;
    type V = v128;
    type I = v128;
    type M = v128;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { v128_store(p.cast(), v) }
    }
    // A call, because the ends of rows are many and take a loop each.
    #[inline(never)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate() {
            if i < n {
                *lane = unsafe { *p.add(i) };
            }
        }
        unsafe { Self::load(lanes.as_ptr()) }
    }
    // A call, because the ends of rows are many and take a loop each.
    #[inline(never)]
    unsafe fn store_first(p: *mut f32, v: Self::V, n: usize) {
        let mut lanes = [0.0; 4];
        unsafe { Self::store(lanes.as_mut_ptr(), v) };
        for (i, lane) in lanes.iter().enumerate() {
            if i < n {
                unsafe { *p.add(i) = *lane };
            }
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        f32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        f32x4_div(a, b)
    }
    #[inline(always)]
    unsafe fn madd(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        #[cfg(target_feature = "relaxed-simd")]
        {
            f32x4_relaxed_madd(a, b, c)
        }
        #[cfg(not(target_feature = "relaxed-simd"))]
        {
            f32x4_add(f32x4_mul(a, b), c)
        }
    }
    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        f32x4_sqrt(a)
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    unsafe fn gt(a: Self::V, b: Self::V) -> Self::M {
        f32x4_gt(a, b)
    }
    #[inline(always)]
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M {
        f32x4_eq(a, b)
    }
    #[inline(always)]
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        v128_bitselect(a, b, m)
    }
    #[inline(always)]
    unsafe fn bits(v: Self::V) -> Self::I {
        v
    }
    #[inline(always)]
    unsafe fn float(i: Self::I) -> Self::V {
        i
    }
    #[inline(always)]
    unsafe fn isplat(x: i32) -> Self::I {
        i32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I {
        i32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I {
        i32x4_sub(a, b)
    }
    #[inline(always)]
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I {
        v128_and(a, b)
    }
    #[inline(always)]
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I {
        v128_or(a, b)
    }
    #[inline(always)]
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I {
        i32x4_shl(a, N)
    }
    #[inline(always)]
    unsafe fn sra<const N: u32>(a: Self::I) -> Self::I {
        i32x4_shr(a, N)
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::V {
        f32x4_convert_i32x4(a)
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Self::I {
        unsafe { i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(v128_load32_zero(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn transpose(rows: [*const f32; 4], out: *mut f32, stride: usize) {
        unsafe {
            let [a, b, c, d] = rows.map(|row| Self::load(row));
            let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
            Self::store(out, i64x2_shuffle::<0, 2>(ab, cd));
            Self::store(out.add(stride), i64x2_shuffle::<1, 3>(ab, cd));
            let (ab, cd) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
            Self::store(out.add(2 * stride), i64x2_shuffle::<0, 2>(ab, cd));
            Self::store(out.add(3 * stride), i64x2_shuffle::<1, 3>(ab, cd));
        }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> Self::V {
        unsafe { super::widen_halves::<Self>(u32x4_load_extend_u16x4(p)) }
    }
}
