//! 64-bit Arm with NEON.

use super::Simd;
use core::arch::aarch64::*;

/// 64-bit Arm with NEON.
#[derive(Clone, Copy)]
pub struct Neon;

// SAFETY (of every block here): the trait's contract gives the instruction set and valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
#[allow(unused_unsafe, reason = "the instructions are safe where the whole program is built with NEON")]
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    const UNROLL: usize = 4;
    const FUSED: bool = true;
    type V = float32x4_t;
    type I = int32x4_t;
    type M = uint32x4_t;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate() {
            if i < n {
                *lane = unsafe { *p.add(i) };
            }
        }
        unsafe { Self::load(lanes.as_ptr()) }
    }
    #[inline(always)]
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
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn madd(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vbslq_f32(vcgtq_f32(b, a), a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn gt(a: Self::V, b: Self::V) -> Self::M {
        unsafe { vcgtq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M {
        unsafe { vceqq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vbslq_f32(m, a, b) }
    }
    #[inline(always)]
    unsafe fn bits(v: Self::V) -> Self::I {
        unsafe { vreinterpretq_s32_f32(v) }
    }
    #[inline(always)]
    unsafe fn float(i: Self::I) -> Self::V {
        unsafe { vreinterpretq_f32_s32(i) }
    }
    #[inline(always)]
    unsafe fn isplat(x: i32) -> Self::I {
        unsafe { vdupq_n_s32(x) }
    }
    #[inline(always)]
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I {
        unsafe { vaddq_s32(a, b) }
    }
    #[inline(always)]
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I {
        unsafe { vsubq_s32(a, b) }
    }
    #[inline(always)]
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I {
        unsafe { vandq_s32(a, b) }
    }
    #[inline(always)]
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I {
        unsafe { vorrq_s32(a, b) }
    }
    #[inline(always)]
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I {
        unsafe { vshlq_s32(a, vdupq_n_s32(N.cast_signed())) }
    }
    #[inline(always)]
    unsafe fn sra<const N: u32>(a: Self::I) -> Self::I {
        unsafe { vshlq_s32(a, vdupq_n_s32(-N.cast_signed())) }
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::V {
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Self::I {
        unsafe {
            let bytes = vcreate_s8(u64::from(p.cast::<u32>().read_unaligned()));
            vmovl_s16(vget_low_s16(vmovl_s8(bytes)))
        }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> Self::V {
        unsafe {
            let bits = vcreate_u16(p.cast::<u64>().read_unaligned());
            super::widen_halves::<Self>(vreinterpretq_s32_u32(vmovl_u16(bits)))
        }
    }
}
