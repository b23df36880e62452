//! One vector type per instruction set, behind one trait.
//!
//! Kernels are generic over [`Simd`] and `#[inline(always)]`; a `#[target_feature]` entry per instruction set
//! (`table.rs`) instantiates them. Nothing here may be called outside such an entry.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod dot;
#[cfg(target_arch = "aarch64")]
pub mod neon;
// WebAssembly with vectors has no use for it, and pays for each byte.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub mod scalar;
// Not for plain WebAssembly vectors, which have no fused products to avoid.
#[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
pub mod strict;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod wasm;

/// Width of the virtual vector in which sums along a row are taken, on every instruction set: element `i` is added
/// into lane `i % VIRTUAL_LANES` and the lanes are summed as a tree. So a sum has the same bits everywhere.
pub const VIRTUAL_LANES: usize = 32;

/// Floats of the bits of binary16 numbers, one in each lane, exactly.
///
/// # Safety
///
/// The instruction set is there.
#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "only where there is no such instruction"))]
#[inline(always)]
pub unsafe fn widen_halves<S: Simd>(half: S::I) -> S::V {
    // SAFETY: arithmetic only.
    unsafe {
        let magnitude = S::shl::<13>(S::iand(half, S::isplat(0x7fff)));
        // The exponents of both are 112 apart; multiplied, subnormal numbers become normal ones.
        let x = S::mul(S::float(magnitude), S::splat(f32::from_bits((127 + 112) << 23)));
        let whole = S::select(S::gt(x, S::splat(65504.0)), S::float(S::ior(S::bits(x), S::isplat(0x7f80_0000))), x);
        S::float(S::ior(S::bits(whole), S::shl::<16>(S::iand(half, S::isplat(0x8000)))))
    }
}

/// Vectors of `LANES` floats, and what can be done with them.
///
/// # Safety
///
/// Every function needs the instruction set that the type stands for. `load` and `store` access `LANES` floats at the
/// pointer, unaligned, `load_bytes` and `load_halves` as many bytes and 16-bit numbers; `load_first` and `store_first` access the first `n` (`n <= LANES`), `load_part` and `store_part` too.
pub unsafe trait Simd: Copy + 'static {
    /// Floats in a vector; divides [`VIRTUAL_LANES`].
    const LANES: usize;
    /// Steps of k that a product takes per loop. More than one where the compiler that allocates registers sees the loop as it was
    /// written; WebAssembly's does not, and spills.
    const UNROLL: usize;
    /// Whether [`Simd::fused`] rounds once.
    const FUSED: bool;
    /// `LANES` floats.
    type V: Copy;
    /// `LANES` 32-bit integers.
    type I: Copy;
    /// A condition per lane.
    type M: Copy;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// `LANES` floats from memory.
    unsafe fn load(p: *const f32) -> Self::V;
    /// `LANES` floats to memory.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// `n` floats from memory, zero in the other lanes.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V;
    /// The first `n` lanes to memory.
    unsafe fn store_first(p: *mut f32, v: Self::V, n: usize);

    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, with one rounding where the instruction set has it, with two where not.
    unsafe fn madd(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Square root, correctly rounded.
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `a < b ? a : b`: the second operand if either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `a > b ? a : b`: the second operand if either is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a > b` per lane.
    unsafe fn gt(a: Self::V, b: Self::V) -> Self::M;
    /// `a == b` per lane.
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M;
    /// `m ? a : b` per lane.
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V;

    /// The bits of the floats.
    unsafe fn bits(v: Self::V) -> Self::I;
    /// The floats with these bits.
    unsafe fn float(i: Self::I) -> Self::V;
    /// All lanes `x`.
    unsafe fn isplat(x: i32) -> Self::I;
    /// Wrapping sum.
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping difference.
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise and.
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise or.
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I;
    /// Shift left by `N` bits.
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I;
    /// Shift right by `N` bits, with sign.
    unsafe fn sra<const N: u32>(a: Self::I) -> Self::I;
    /// Integers as floats.
    unsafe fn to_float(a: Self::I) -> Self::V;
    /// `LANES` signed bytes from memory.
    unsafe fn load_bytes(p: *const u8) -> Self::I;
    /// `LANES` binary16 numbers from memory.
    unsafe fn load_halves(p: *const u16) -> Self::V;

    /// Writes 4 floats of each of 4 rows so that those of a column are side by side, and the columns `stride` apart.
    #[inline(always)]
    unsafe fn transpose(rows: [*const f32; 4], out: *mut f32, stride: usize) {
        for column in 0..4 {
            for (r, row) in rows.iter().enumerate() {
                // SAFETY: the caller's rows and columns.
                unsafe { *out.add(column * stride + r) = *row.add(column) };
            }
        }
    }

    /// `a * b + c` with one rounding, if [`Simd::FUSED`].
    #[inline(always)]
    unsafe fn fused(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { Self::madd(a, b, c) }
    }

    /// `n` floats from memory, without looking further where that is a whole vector.
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self::V {
        // SAFETY: as for `load` and `load_first`.
        unsafe { if n == Self::LANES { Self::load(p) } else { Self::load_first(p, n) } }
    }

    /// The first `n` lanes to memory.
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: as for `store` and `store_first`.
        unsafe { if n == Self::LANES { Self::store(p, v) } else { Self::store_first(p, v, n) } }
    }

    /// All lanes zero.
    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { Self::splat(0.0) }
    }

    /// Absolute value.
    #[inline(always)]
    unsafe fn abs(a: Self::V) -> Self::V {
        // SAFETY: as above.
        unsafe { Self::float(Self::iand(Self::bits(a), Self::isplat(0x7fff_ffff))) }
    }

    /// The magnitude of `a` with the sign of `b`.
    #[inline(always)]
    unsafe fn copysign(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: as above.
        unsafe {
            let sign = Self::iand(Self::bits(b), Self::isplat(i32::MIN));
            Self::float(Self::ior(Self::iand(Self::bits(a), Self::isplat(0x7fff_ffff)), sign))
        }
    }
}
