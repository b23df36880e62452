//! x86-64 with AVX2 and FMA.

use super::Simd;
use core::arch::x86_64::*;

/// x86-64 with AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2;

/// A mask of the first `n` of 8 lanes.
#[inline(always)]
unsafe fn first(n: usize) -> __m256i {
    const WINDOW: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: at most 8 lanes into an array of 16, of which 8 are read.
    unsafe { _mm256_loadu_si256(WINDOW.as_ptr().add(8 - n.min(8)).cast()) }
}

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    const UNROLL: usize = 4;
    const FUSED: bool = true;
    type V = __m256;
    type I = __m256i;
    type M = __m256;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
        unsafe { _mm256_maskload_ps(p, first(n)) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: Self::V, n: usize) {
        unsafe { _mm256_maskstore_ps(p, first(n), v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn madd(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn gt(a: Self::V, b: Self::V) -> Self::M {
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M {
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_blendv_ps(b, a, m) }
    }
    #[inline(always)]
    unsafe fn bits(v: Self::V) -> Self::I {
        unsafe { _mm256_castps_si256(v) }
    }
    #[inline(always)]
    unsafe fn float(i: Self::I) -> Self::V {
        unsafe { _mm256_castsi256_ps(i) }
    }
    #[inline(always)]
    unsafe fn isplat(x: i32) -> Self::I {
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm256_sub_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I {
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(N.cast_signed())) }
    }
    #[inline(always)]
    unsafe fn sra<const N: u32>(a: Self::I) -> Self::I {
        unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(N.cast_signed())) }
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::V {
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Self::I {
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())) }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> Self::V {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
    }
}
