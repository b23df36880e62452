//! Any target: four floats in an array, which the compiler may turn into whatever the target has.

use super::Simd;

/// Four floats in an array.
#[derive(Clone, Copy)]
pub struct Scalar;

#[inline(always)]
fn zip<A: Copy, B: Copy, C: Copy>(a: [A; 4], b: [B; 4], f: impl Fn(A, B) -> C) -> [C; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

// SAFETY (of every block here): the trait's contract gives valid pointers; everything else is plain arithmetic.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them, stated above")]
unsafe impl Simd for Scalar {
    const LANES: usize = 4;
    const UNROLL: usize = 1;
    const FUSED: bool = false;
    type V = [f32; 4];
    type I = [i32; 4];
    type M = [bool; 4];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
        let mut v = [0.0; 4];
        for (i, lane) in v.iter_mut().enumerate() {
            if i < n {
                *lane = unsafe { *p.add(i) };
            }
        }
        v
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: Self::V, n: usize) {
        for (i, lane) in v.iter().enumerate() {
            if i < n {
                unsafe { *p.add(i) = *lane };
            }
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn madd(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { Self::add(Self::mul(a, b), c) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn gt(a: Self::V, b: Self::V) -> Self::M {
        zip(a, b, |a, b| a > b)
    }
    #[inline(always)]
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        let either = zip(a, b, |a, b| (a, b));
        zip(m, either, |m, (a, b)| if m { a } else { b })
    }
    #[inline(always)]
    unsafe fn bits(v: Self::V) -> Self::I {
        v.map(|x| x.to_bits().cast_signed())
    }
    #[inline(always)]
    unsafe fn float(i: Self::I) -> Self::V {
        i.map(|x| f32::from_bits(x.cast_unsigned()))
    }
    #[inline(always)]
    unsafe fn isplat(x: i32) -> Self::I {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_sub)
    }
    #[inline(always)]
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I {
        a.map(|x| x << N)
    }
    #[inline(always)]
    unsafe fn sra<const N: u32>(a: Self::I) -> Self::I {
        a.map(|x| x >> N)
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::V {
        a.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Self::I {
        unsafe { p.cast::<[i8; 4]>().read() }.map(i32::from)
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> Self::V {
        let bits = unsafe { p.cast::<[u16; 4]>().read_unaligned() };
        unsafe { super::widen_halves::<Self>(bits.map(i32::from)) }
    }
}
