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
    /// Whether what is done with it is to be small code rather than fast: WebAssembly pays for each byte.
    const SMALL: bool = false;

    /// The weights of one step, ordered by column, as `dot` wants them.
    unsafe fn weights(p: *const i8) -> Ints<Self>;
    /// `acc + a . b` per column; exact, but for sums that do not fit in 32 bits, which wrap. `a` has the same group in all lanes.
    unsafe fn dot(acc: Ints<Self>, a: Ints<Self>, b: Ints<Self>) -> Ints<Self>;
    /// Weights of 1 for the first `count` elements of each group, and of 0 for the others.
    #[inline(always)]
    unsafe fn ones(count: usize) -> Ints<Self> {
        let bits = 32 / Self::GROUP;
        let all = if Self::GROUP == 2 { 0x0001_0001_u32 } else { 0x0101_0101 };
        // SAFETY: the caller has the instruction set; at least one element counts.
        unsafe { Self::S::isplat((all >> ((Self::GROUP - count) * bits)).cast_signed()) }
    }
    /// Wrapping product per lane.
    unsafe fn mul(a: Ints<Self>, b: Ints<Self>) -> Ints<Self>;
    /// `n` bytes, each with its bits flipped where `flip` has ones, then as integers from 0 to 255; 0 or `flip` in the other lanes.
    unsafe fn load_bytes(p: *const u8, n: usize, flip: u8) -> Ints<Self>;
    /// The low bytes of the first `n` lanes.
    unsafe fn store_bytes(p: *mut u8, v: Ints<Self>, n: usize);

    /// Elements of A as a step wants them, of `GROUP` rows of bytes that each have `n` columns: per lane, those of its column. Of the rows
    /// only the first `count` matter, but all are read. Bytes have their bits flipped where `flip` has ones; 16-bit integers are from 0 to 255.
    #[inline(always)]
    unsafe fn interleave(rows: &[*const u8; 4], count: usize, n: usize, flip: u8) -> Ints<Self> {
        // SAFETY: the caller's rows.
        unsafe {
            let first = Self::load_bytes(rows[0], n, flip);
            if Self::GROUP == 2 {
                return if count < 2 {
                    first
                } else {
                    Self::S::ior(first, Self::S::shl::<16>(Self::load_bytes(rows[1], n, flip)))
                };
            }
            let mut group = first;
            if count > 1 {
                group = Self::S::ior(group, Self::S::shl::<8>(Self::load_bytes(rows[1], n, flip)));
            }
            if count > 2 {
                group = Self::S::ior(group, Self::S::shl::<16>(Self::load_bytes(rows[2], n, flip)));
            }
            if count > 3 {
                group = Self::S::ior(group, Self::S::shl::<24>(Self::load_bytes(rows[3], n, flip)));
            }
            group
        }
    }

    /// Looks up as many bytes as there are instructions for, and says how many.
    #[inline(always)]
    unsafe fn lookup_blocks(_: &Lookup) -> usize {
        0
    }
}
