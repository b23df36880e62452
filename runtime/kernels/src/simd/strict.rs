//! The deterministic form of an instruction set: the same instructions, but a product is rounded before it is added, but where
//! [`Simd::fused`] is asked for by name.

use super::Simd;

/// `S` without fused multiply-add.
#[derive(Clone, Copy)]
pub struct Strict<S>(core::marker::PhantomData<S>);

macro_rules! forward {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)?;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($arg: $ty),*) $(-> $out)? {
            // SAFETY: same contract.
            unsafe { S::$name($($arg),*) }
        }
    )*};
}

// SAFETY: every function keeps the contract of the one it forwards to.
unsafe impl<S: Simd> Simd for Strict<S> {
    const LANES: usize = S::LANES;
    const UNROLL: usize = S::UNROLL;
    const FUSED: bool = S::FUSED;
    type V = S::V;
    type I = S::I;
    type M = S::M;

    forward! {
        fn splat(x: f32) -> S::V;
        fn load(p: *const f32) -> S::V;
        fn store(p: *mut f32, v: S::V);
        fn load_first(p: *const f32, n: usize) -> S::V;
        fn store_first(p: *mut f32, v: S::V, n: usize);
        fn add(a: S::V, b: S::V) -> S::V;
        fn sub(a: S::V, b: S::V) -> S::V;
        fn mul(a: S::V, b: S::V) -> S::V;
        fn div(a: S::V, b: S::V) -> S::V;
        fn sqrt(a: S::V) -> S::V;
        fn min(a: S::V, b: S::V) -> S::V;
        fn max(a: S::V, b: S::V) -> S::V;
        fn gt(a: S::V, b: S::V) -> S::M;
        fn eq(a: S::V, b: S::V) -> S::M;
        fn select(m: S::M, a: S::V, b: S::V) -> S::V;
        fn bits(v: S::V) -> S::I;
        fn float(i: S::I) -> S::V;
        fn isplat(x: i32) -> S::I;
        fn iadd(a: S::I, b: S::I) -> S::I;
        fn isub(a: S::I, b: S::I) -> S::I;
        fn iand(a: S::I, b: S::I) -> S::I;
        fn ior(a: S::I, b: S::I) -> S::I;
        fn to_float(a: S::I) -> S::V;
        fn load_bytes(p: *const u8) -> S::I;
        fn load_halves(p: *const u16) -> S::V;
        fn fused(a: S::V, b: S::V, c: S::V) -> S::V;
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: S::I) -> S::I {
        // SAFETY: same contract.
        unsafe { S::shl::<N>(a) }
    }

    #[inline(always)]
    unsafe fn sra<const N: u32>(a: S::I) -> S::I {
        // SAFETY: same contract.
        unsafe { S::sra::<N>(a) }
    }

    #[inline(always)]
    unsafe fn madd(a: S::V, b: S::V, c: S::V) -> S::V {
        // SAFETY: same contract.
        unsafe { S::add(S::mul(a, b), c) }
    }
}
