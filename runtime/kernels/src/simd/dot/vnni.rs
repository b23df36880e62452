//! x86-64 with `vpdpbusd`, which adds four products of unsigned and signed bytes to a sum without saturating.

use super::avx2::Avx2Bytes;
use super::{Dot, Floats, Form, Ints};
use crate::kernel::bytes::Lookup;
use crate::simd::Simd;
use crate::simd::avx2::Avx2;
use crate::simd::avx512::Avx512;
use crate::simd::strict::Strict;
use core::arch::x86_64::*;

/// AVX-512 VNNI.
pub struct Avx512Vnni;

/// AVX-VNNI.
pub struct AvxVnni;

#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1_u32 << n.min(16)) - 1) as __mmask16
}

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Dot for Avx512Vnni {
    type S = Strict<Avx512>;
    const GROUP: usize = 4;
    const FORM: Form = Form::Unsigned;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn dot(acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(acc, a, b) }
    }
    #[inline(always)]
    unsafe fn ones() -> __m512i {
        unsafe { _mm512_set1_epi8(1) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn exact_madd(a: Floats<Self>, b: Floats<Self>, c: Floats<Self>) -> Floats<Self> {
        unsafe { Avx512::madd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn truncate(v: __m512) -> __m512i {
        unsafe { _mm512_cvttps_epi32(v) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> __m512i {
        unsafe {
            let bytes = _mm_maskz_loadu_epi8(first(n), p.cast());
            _mm512_cvtepu8_epi32(_mm_xor_si128(bytes, _mm_set1_epi8(flip.cast_signed())))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: __m512i, n: usize) {
        unsafe { _mm512_mask_cvtepi32_storeu_epi8(p.cast(), first(n), v) }
    }
    #[inline(always)]
    unsafe fn lookup_blocks(l: &Lookup) -> usize {
        unsafe {
            let part = |at: usize| _mm512_loadu_si512(l.table.add(at).cast());
            let (a, b, c, d) = (part(0), part(64), part(128), part(192));
            let mut at = 0;
            while at + 64 <= l.len {
                let index = _mm512_loadu_si512(l.src.add(at).cast());
                let low = _mm512_permutex2var_epi8(a, index, b);
                let high = _mm512_permutex2var_epi8(c, index, d);
                let bytes = _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
                _mm512_storeu_si512(l.dst.add(at).cast(), bytes);
                at += 64;
            }
            at
        }
    }
}

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Dot for AvxVnni {
    type S = Strict<Avx2>;
    const GROUP: usize = 4;
    const FORM: Form = Form::Unsigned;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> Ints<Self> {
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { _mm256_dpbusd_avx_epi32(acc, a, b) }
    }
    #[inline(always)]
    unsafe fn ones() -> Ints<Self> {
        unsafe { _mm256_set1_epi8(1) }
    }
    #[inline(always)]
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { Avx2Bytes::mul(a, b) }
    }
    #[inline(always)]
    unsafe fn exact_madd(a: Floats<Self>, b: Floats<Self>, c: Floats<Self>) -> Floats<Self> {
        unsafe { Avx2::madd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn truncate(v: Floats<Self>) -> Ints<Self> {
        unsafe { Avx2Bytes::truncate(v) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        unsafe { Avx2Bytes::load_bytes(p, n, flip) }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        unsafe { Avx2Bytes::store_bytes(p, v, n) }
    }
}
