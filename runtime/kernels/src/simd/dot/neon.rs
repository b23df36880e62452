//! 64-bit Arm: four products at a time by `sdot`, or pairs of 16-bit integers without it.

use super::{Dot, Form, Ints};
use crate::simd::neon::Neon;
use crate::simd::strict::Strict;
use core::arch::aarch64::*;

/// The dot product extension.
pub struct NeonDot;

/// Without it.
pub struct NeonBytes;

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers; of four bytes, `n` are copied.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
#[allow(unused_unsafe, reason = "the instructions are safe where the whole program is built with NEON")]
unsafe impl Dot for NeonBytes {
    type S = Strict<Neon>;
    const GROUP: usize = 2;
    const FORM: Form = Form::Words;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> Ints<Self> {
        unsafe { vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p))) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe {
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            let high = vmull_high_s16(a, b);
            vaddq_s32(acc, vpaddq_s32(low, high))
        }
    }
    #[inline(always)]
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { vmulq_s32(a, b) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        unsafe {
            let mut part = [0_u8; 8];
            core::ptr::copy_nonoverlapping(p, part.as_mut_ptr(), n.min(4));
            let bytes = veor_u8(vld1_u8(part.as_ptr()), vdup_n_u8(flip));
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        unsafe {
            let words = vmovn_u32(vreinterpretq_u32_s32(v));
            let mut part = [0_u8; 8];
            vst1_u8(part.as_mut_ptr(), vmovn_u16(vcombine_u16(words, words)));
            core::ptr::copy_nonoverlapping(part.as_ptr(), p, n.min(4));
        }
    }
}

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
#[allow(unused_unsafe, reason = "the instructions are safe where the whole program is built with NEON")]
unsafe impl Dot for NeonDot {
    type S = Strict<Neon>;
    const GROUP: usize = 4;
    const FORM: Form = Form::Signed;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> Ints<Self> {
        unsafe { vreinterpretq_s32_s8(vld1q_s8(p)) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        let mut sum = acc;
        // The intrinsic is not stable yet.
        unsafe {
            core::arch::asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
    #[inline(always)]
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        unsafe { NeonBytes::mul(a, b) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        unsafe { NeonBytes::load_bytes(p, n, flip) }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        unsafe { NeonBytes::store_bytes(p, v, n) }
    }
}
