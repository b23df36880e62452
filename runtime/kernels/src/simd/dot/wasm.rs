//! WebAssembly: pairs of bytes as pairs of 16-bit integers, whose products `i32x4.dot_i16x8_s` adds without loss.

use super::{Dot, Form, Ints};
#[cfg(target_feature = "relaxed-simd")]
use crate::simd::strict::Strict;
use crate::simd::wasm::Wasm;
use core::arch::wasm32::*;

/// WebAssembly with 128-bit vectors.
pub struct WasmBytes;

// SAFETY (of every block here): the trait's contract gives valid pointers; of four bytes, `n` are copied.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Dot for WasmBytes {
    #[cfg(target_feature = "relaxed-simd")]
    type S = Strict<Wasm>;
    #[cfg(not(target_feature = "relaxed-simd"))]
    type S = Wasm;
    const GROUP: usize = 2;
    const FORM: Form = Form::Words;
    const SMALL: bool = true;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> Ints<Self> {
        unsafe { i16x8_load_extend_i8x8(p) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        i32x4_add(acc, i32x4_dot_i16x8(a, b))
    }
    #[inline(always)]
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        i32x4_mul(a, b)
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        unsafe {
            let bytes = if n >= 4 {
                v128_load32_zero(p.cast())
            } else {
                let mut part = [0_u8; 4];
                core::ptr::copy_nonoverlapping(p, part.as_mut_ptr(), n);
                v128_load32_zero(part.as_ptr().cast())
            };
            let bytes = v128_xor(bytes, u8x16_splat(flip));
            u32x4_extend_low_u16x8(u16x8_extend_low_u8x16(bytes))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        unsafe {
            let low = i8x16_shuffle::<0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>(v, v);
            if n >= 4 {
                v128_store32_lane::<0>(low, p.cast());
            } else {
                let part = i32x4_extract_lane::<0>(low).to_le_bytes();
                core::ptr::copy_nonoverlapping(part.as_ptr(), p, n);
            }
        }
    }
}
