//! x86-64 with `vpdpbusd`, which adds four products of unsigned and signed bytes to a sum without saturating.

use super::avx2::{Avx2Bytes, eight};
use super::{Dot, Form, Ints};
use crate::kernel::bytes::Lookup;
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

/// The first `n` of sixteen bytes, and zeros.
#[inline(always)]
unsafe fn sixteen(p: *const u8, n: usize) -> __m128i {
    // SAFETY: the caller has `n` bytes, and the instruction set.
    unsafe { if n >= 16 { _mm_loadu_si128(p.cast()) } else { _mm_maskz_loadu_epi8(first(n), p.cast()) } }
}

/// Where the bytes of lane after lane are in four rows of sixteen.
static COLUMNS: [u8; 64] = {
    let mut places = [0; 64];
    let mut i = 0;
    while i < 64 {
        places[i] = (i % 4 * 16 + i / 4) as u8;
        i += 1;
    }
    places
};

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
    unsafe fn mul(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> __m512i {
        unsafe {
            let bytes = _mm_maskz_loadu_epi8(first(n), p.cast());
            _mm512_cvtepu8_epi32(_mm_xor_si128(bytes, _mm_set1_epi8(flip.cast_signed())))
        }
    }
    #[inline(always)]
    unsafe fn interleave(rows: &[*const u8; 4], count: usize, n: usize, flip: u8) -> __m512i {
        unsafe {
            if count < 2 {
                return Self::load_bytes(rows[0], n, flip);
            }
            let all = _mm512_castsi128_si512(sixteen(rows[0], n));
            let all = _mm512_inserti32x4::<1>(all, sixteen(rows[1], n));
            let all = _mm512_inserti32x4::<2>(all, sixteen(rows[2], n));
            let all = _mm512_inserti32x4::<3>(all, sixteen(rows[3], n));
            let places = _mm512_loadu_si512(COLUMNS.as_ptr().cast());
            let group = _mm512_permutexvar_epi8(places, all);
            _mm512_xor_si512(group, _mm512_set1_epi8(flip.cast_signed()))
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
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { Avx2Bytes::mul(a, b) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        unsafe { Avx2Bytes::load_bytes(p, n, flip) }
    }
    #[inline(always)]
    unsafe fn interleave(rows: &[*const u8; 4], count: usize, n: usize, flip: u8) -> Ints<Self> {
        unsafe {
            if count < 2 {
                return Self::load_bytes(rows[0], n, flip);
            }
            let upper = _mm_unpacklo_epi8(eight(rows[0], n), eight(rows[1], n));
            let lower = _mm_unpacklo_epi8(eight(rows[2], n), eight(rows[3], n));
            let group = _mm256_set_m128i(_mm_unpackhi_epi16(upper, lower), _mm_unpacklo_epi16(upper, lower));
            _mm256_xor_si256(group, _mm256_set1_epi8(flip.cast_signed()))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        unsafe { Avx2Bytes::store_bytes(p, v, n) }
    }
}
