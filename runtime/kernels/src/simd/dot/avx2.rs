//! x86-64 with AVX2: pairs of bytes as pairs of 16-bit integers, whose products `vpmaddwd` adds without loss.

use super::{Dot, Form, Ints};
use crate::simd::avx2::Avx2;
use crate::simd::strict::Strict;
use core::arch::x86_64::*;

/// AVX2.
pub struct Avx2Bytes;

/// The first `n` of eight bytes, and zeros.
#[inline(always)]
pub unsafe fn eight(p: *const u8, n: usize) -> __m128i {
    // SAFETY: the caller has `n` bytes, and the instruction set.
    unsafe {
        if n >= 8 {
            return _mm_loadl_epi64(p.cast());
        }
        let mut part = [0_u8; 8];
        core::ptr::copy_nonoverlapping(p, part.as_mut_ptr(), n);
        _mm_loadl_epi64(part.as_ptr().cast())
    }
}

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers; of eight bytes, `n` are copied.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Dot for Avx2Bytes {
    type S = Strict<Avx2>;
    const GROUP: usize = 2;
    const FORM: Form = Form::Words;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> Ints<Self> {
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)) }
    }
    #[inline(always)]
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { _mm256_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        unsafe { _mm256_cvtepu8_epi32(_mm_xor_si128(eight(p, n), _mm_set1_epi8(flip.cast_signed()))) }
    }
    #[inline(always)]
    unsafe fn interleave(rows: &[*const u8; 4], count: usize, n: usize, flip: u8) -> Ints<Self> {
        unsafe {
            if count < 2 {
                return Self::load_bytes(rows[0], n, flip);
            }
            let bytes = _mm_unpacklo_epi8(eight(rows[0], n), eight(rows[1], n));
            _mm256_cvtepu8_epi16(_mm_xor_si128(bytes, _mm_set1_epi8(flip.cast_signed())))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        unsafe {
            // The low bytes of each half to its front, then both halves together.
            let low = _mm256_shuffle_epi8(v, _mm256_set1_epi32(0x0c08_0400));
            let low = _mm256_permutevar8x32_epi32(low, _mm256_set_epi32(4, 4, 4, 4, 4, 4, 4, 0));
            let low = _mm256_castsi256_si128(low);
            if n >= 8 {
                _mm_storel_epi64(p.cast(), low);
            } else {
                let mut part = [0_u8; 8];
                _mm_storel_epi64(part.as_mut_ptr().cast(), low);
                core::ptr::copy_nonoverlapping(part.as_ptr(), p, n);
            }
        }
    }
}
