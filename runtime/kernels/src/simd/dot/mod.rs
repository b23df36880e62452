//! Products of 8-bit integers, one type per way to compute them, behind one trait.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub mod scalar;
#[cfg(target_arch = "x86_64")]
pub mod vnni;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod wasm;

use super::Simd;
use crate::kernel::bytes::Lookup;

/// What the elements of A have to be before they are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each target has its own")]
pub enum Form {
    /// Bytes from 0 to 255.
    Unsigned,
    /// Bytes from -128 to 127.
    Signed,
    /// 16-bit integers of either range.
    Words,
}

/// Vectors of `LANES` 32-bit integers.
pub type Ints<D> = <<D as Dot>::S as Simd>::I;
/// Vectors of `LANES` floats.
pub type Floats<D> = <<D as Dot>::S as Simd>::V;

/// Sums of products of `GROUP` elements of a row of A with as many of each of `LANES` columns of B.
///
/// # Safety
///
/// Every function needs the instruction set that the type stands for. `weights` reads `LANES * GROUP` bytes at the pointer;
/// `load_bytes` and `store_bytes` access `n` bytes (`n <= LANES`). Pointers need no alignment.
pub unsafe trait Dot: 'static {
    /// The floats and integers that go with it. No products are fused with sums, so that results are the same everywhere.
    type S: Simd;
    /// Elements of A that one step multiplies. They take four bytes.
    const GROUP: usize;
    /// What A has to be.
    const FORM: Form;

    /// The weights of one step, ordered by column, as `dot` wants them.
    unsafe fn weights(p: *const i8) -> Ints<Self>;
    /// `acc + a . b` per column; exact, but for sums that do not fit in 32 bits, which wrap. `a` has the same group in all lanes.
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self>;
    /// Weights that are all 1.
    unsafe fn ones() -> Ints<Self>;
    /// Wrapping product per lane.
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self>;
    /// `a * b + c` of whole numbers so small that the result is exact, however it is computed.
    unsafe fn exact_madd(a: Floats<Self>, b: Floats<Self>, c: Floats<Self>) -> Floats<Self>;
    /// The integers that whole numbers below 2^31 are.
    unsafe fn truncate(v: Floats<Self>) -> Ints<Self>;
    /// `n` bytes, each with its bits flipped where `flip` has ones, then as integers from 0 to 255; 0 or `flip` in the other lanes.
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self>;
    /// The low bytes of the first `n` lanes.
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize);

    /// Looks up as many bytes as there are instructions for, and says how many.
    #[inline(always)]
    unsafe fn lookup_blocks(_: &Lookup) -> usize {
        0
    }
}
