//! Any target: the plain form of what the instructions compute.

use super::{Dot, Form, Ints};
use crate::simd::scalar::Scalar;

/// Four columns in an array.
pub struct ScalarBytes;

/// The two 16-bit integers of a group.
#[inline(always)]
fn words(group: i32) -> [i32; 2] {
    [i32::from(group as i16), group >> 16]
}

// SAFETY (of every block here): the trait's contract gives valid pointers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Dot for ScalarBytes {
    type S = Scalar;
    const GROUP: usize = 2;
    const FORM: Form = Form::Words;

    #[inline(always)]
    unsafe fn weights(p: *const i8) -> Ints<Self> {
        let pairs = unsafe { p.cast::<[[i8; 2]; 4]>().read_unaligned() };
        pairs.map(|[low, high]| i32::from(low) & 0xffff | i32::from(high) << 16)
    }
    #[inline(always)]
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        let mut sums = acc;
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            let ([a0, a1], [b0, b1]) = (words(a), words(b));
            *sum = sum.wrapping_add(a0 * b0 + a1 * b1);
        }
        sums
    }
    #[inline(always)]
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self> {
        [a[0].wrapping_mul(b[0]), a[1].wrapping_mul(b[1]), a[2].wrapping_mul(b[2]), a[3].wrapping_mul(b[3])]
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self> {
        let mut bytes = [0; 4];
        for (i, byte) in bytes.iter_mut().enumerate().take(n) {
            *byte = i32::from(unsafe { *p.add(i) } ^ flip);
        }
        bytes
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize) {
        for (i, x) in v.into_iter().enumerate().take(n) {
            unsafe { *p.add(i) = x as u8 };
        }
    }
}
