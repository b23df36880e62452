//! Functions of one number, on vectors. Every constant is exact in f32 as written or the nearest to it.
//!
//! Sources of the polynomials: Cephes (`expf`, `logf`, `tanhf`), and for the error function the minimax fit that N. Juffa published.
//! Accuracy is measured by `tests/math.rs` against f64.
#![expect(clippy::excessive_precision, reason = "constants are written as their sources have them")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "arithmetic only: the caller has the instruction set of `S`")]

use crate::simd::Simd;

/// `a[0] + x (a[1] + x (a[2] + ...))`
#[inline(always)]
unsafe fn horner<S: Simd, const N: usize>(x: S::V, a: [f32; N]) -> S::V {
    unsafe {
        let mut sum = S::splat(a[N - 1]);
        for i in (0..N - 1).rev() {
            sum = S::madd(sum, x, S::splat(a[i]));
        }
        sum
    }
}

/// `2^n` for `n` in -126..=127.
#[inline(always)]
unsafe fn pow2<S: Simd>(n: S::I) -> S::V {
    unsafe { S::float(S::shl::<23>(S::iadd(n, S::isplat(127)))) }
}

#[inline(always)]
pub unsafe fn neg<S: Simd>(x: S::V) -> S::V {
    unsafe { S::float(S::isub(S::bits(x), S::isplat(i32::MIN))) }
}

/// e^x: 0 below -104, infinity above 89. The power of two is applied in two halves, so results may be subnormal.
#[inline(always)]
pub unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let x = S::min(S::splat(89.0), S::max(S::splat(-104.0), x));
        // 1.5 * 2^23: after the sum, the low bits of the float are the rounded integer.
        let magic = S::splat(12_582_912.0);
        let shifted = S::madd(x, S::splat(core::f32::consts::LOG2_E), magic);
        let n = S::sub(shifted, magic);
        let n_int = S::isub(S::bits(shifted), S::isplat(0x4b40_0000));
        // ln 2 in two parts; the product with the first, which ends in zeros, is exact.
        let r = S::madd(n, S::splat(-6.931_457_5e-1), x);
        let r = S::madd(n, S::splat(-1.428_606_8e-6), r);
        let p = horner::<S, 6>(
            r,
            [5.000_000_1e-1, 1.666_666_5e-1, 4.166_579_6e-2, 8.333_452e-3, 1.398_2e-3, 1.987_569_1e-4],
        );
        let y = S::add(S::madd(S::mul(r, r), p, r), S::splat(1.0));
        let half = S::sra::<1>(n_int);
        S::mul(S::mul(y, pow2::<S>(half)), pow2::<S>(S::isub(n_int, half)))
    }
}

/// ln x: NaN below 0, minus infinity at 0.
#[inline(always)]
pub unsafe fn log<S: Simd>(x: S::V) -> S::V {
    unsafe {
        // Subnormal numbers are scaled up first.
        let tiny = S::gt(S::splat(f32::MIN_POSITIVE), x);
        let scaled = S::select(tiny, S::mul(x, S::splat(8_388_608.0)), x);
        let bias = S::select(tiny, S::splat(-23.0), S::zero());
        // m in [sqrt 1/2, sqrt 2), e such that x = m 2^e: subtracting the bits of sqrt 1/2 makes the exponent field switch there.
        let offset = S::isplat(0x3f35_04f3);
        let shifted = S::isub(S::bits(scaled), offset);
        let e_int = S::sra::<23>(shifted);
        let e = S::add(S::to_float(e_int), bias);
        let m = S::float(S::isub(S::bits(scaled), S::shl::<23>(e_int)));
        let f = S::sub(m, S::splat(1.0));
        let z = S::mul(f, f);
        let p = horner::<S, 9>(
            f,
            [
                3.333_333_1e-1,
                -2.499_999_4e-1,
                2.000_071_5e-1,
                -1.666_805_8e-1,
                1.424_932_3e-1,
                -1.242_014_1e-1,
                1.167_699_9e-1,
                -1.151_461e-1,
                7.037_683_6e-2,
            ],
        );
        let y = S::mul(S::mul(f, z), p);
        let y = S::madd(e, S::splat(-2.121_944_4e-4), y);
        let y = S::madd(z, S::splat(-0.5), y);
        let y = S::madd(e, S::splat(0.693_359_375), S::add(f, y));
        let y = S::select(S::eq(x, S::splat(f32::INFINITY)), x, y);
        let y = S::select(S::gt(S::zero(), x), S::splat(f32::NAN), y);
        let y = S::select(S::eq(x, S::zero()), S::splat(f32::NEG_INFINITY), y);
        S::select(S::eq(x, x), y, x)
    }
}

/// 1 / (1 + e^-x), from e^-|x|, so both tails keep their relative accuracy.
#[inline(always)]
pub unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let e = exp::<S>(neg::<S>(S::abs(x)));
        let one = S::splat(1.0);
        S::div(S::select(S::gt(S::zero(), x), e, one), S::add(one, e))
    }
}

#[inline(always)]
pub unsafe fn silu<S: Simd>(x: S::V) -> S::V {
    unsafe { S::mul(x, sigmoid::<S>(x)) }
}

/// An odd polynomial near zero, `1 - 2 / (e^2|x| + 1)` elsewhere.
#[inline(always)]
pub unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let a = S::abs(x);
        let z = S::mul(x, x);
        let p = horner::<S, 5>(z, [-3.333_328_2e-1, 1.333_144_2e-1, -5.373_971_6e-2, 2.063_908_9e-2, -5.704_988_7e-3]);
        let near = S::madd(S::mul(x, z), p, x);
        let e = exp::<S>(S::add(a, a));
        let far = S::sub(S::splat(1.0), S::div(S::splat(2.0), S::add(e, S::splat(1.0))));
        S::select(S::gt(S::splat(0.625), a), near, S::copysign(far, x))
    }
}

/// ln of the complementary error function of `t` for `t > 0.92`, with an absolute error that suits `1 - exp(it)`.
#[inline(always)]
unsafe fn log_erfc<S: Simd>(t: S::V) -> S::V {
    unsafe {
        let r = horner::<S, 7>(
            t,
            [
                -1.287_175_1e-1,
                -6.348_466_9e-1,
                -1.067_778_8e-1,
                2.425_462_2e-2,
                -3.883_964_4e-3,
                3.831_971_3e-4,
                -1.728_534_7e-5,
            ],
        );
        S::sub(S::mul(r, t), t)
    }
}

/// `erf(x) / x - 1` for `s = x^2`, `|x| < 0.93`.
#[inline(always)]
unsafe fn erf_small<S: Simd>(s: S::V) -> S::V {
    unsafe {
        horner::<S, 6>(
            s,
            [1.283_791_7e-1, -3.761_253_4e-1, 1.128_199_25e-1, -2.676_813_5e-2, 4.991_194_2e-3, -5.967_617e-4],
        )
    }
}

/// Where the two forms of the error function meet.
const ERF_SPLIT: f32 = 0.927_734_4;

#[inline(always)]
pub unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    unsafe {
        // Above 4, erf is 1 in f32; the polynomial in the exponent must not turn back up.
        let t = S::min(S::splat(4.0), S::abs(x));
        let near = S::madd(erf_small::<S>(S::mul(x, x)), x, x);
        let far = S::copysign(S::sub(S::splat(1.0), exp::<S>(log_erfc::<S>(t))), x);
        let y = S::select(S::gt(t, S::splat(ERF_SPLIT)), far, near);
        S::select(S::eq(x, x), y, x)
    }
}

/// x (1 + erf(x / sqrt 2)) / 2. Below zero `1 + erf` would cancel, so there it is erfc.
#[inline(always)]
pub unsafe fn gelu<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let u = S::mul(x, S::splat(core::f32::consts::FRAC_1_SQRT_2));
        let half = S::mul(x, S::splat(0.5));
        let t = S::abs(u);
        // Far out erfc comes from a clamped polynomial; below -14.2 (t > 10) the result is 0 in f32.
        let tail = exp::<S>(log_erfc::<S>(S::min(S::splat(10.0), t)));
        let near = S::add(S::splat(1.0), S::madd(erf_small::<S>(S::mul(u, u)), u, u));
        let far = S::select(S::gt(S::zero(), x), tail, S::sub(S::splat(2.0), tail));
        S::mul(half, S::select(S::gt(t, S::splat(ERF_SPLIT)), far, near))
    }
}

#[inline(always)]
pub unsafe fn gelu_tanh<S: Simd>(x: S::V) -> S::V {
    unsafe {
        // (1 + tanh(u)) / 2 = sigmoid(2 u)
        let z = S::mul(x, x);
        let u = S::mul(x, S::madd(z, S::splat(0.071_354_814), S::splat(1.595_769_1)));
        S::mul(x, sigmoid::<S>(u))
    }
}

/// ln(1 + y) for `y` in 0..=1, with the rounding error of `1 + y` divided out.
#[inline(always)]
unsafe fn log1p<S: Simd>(y: S::V) -> S::V {
    unsafe {
        let one = S::splat(1.0);
        let u = S::add(one, y);
        let exact = S::eq(u, one);
        let ratio = S::div(y, S::select(exact, one, S::sub(u, one)));
        S::select(exact, y, S::mul(log::<S>(u), ratio))
    }
}

#[inline(always)]
pub unsafe fn softplus<S: Simd>(x: S::V) -> S::V {
    unsafe { S::add(S::max(S::zero(), x), log1p::<S>(exp::<S>(neg::<S>(S::abs(x))))) }
}

/// e^x - 1 for `x <= 0`: near zero by its series, elsewhere by the difference.
#[inline(always)]
unsafe fn exp_minus_1<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let p = horner::<S, 6>(x, [5.0e-1, 1.666_666_7e-1, 4.166_666_8e-2, 8.333_334e-3, 1.388_888_9e-3, 1.984_127e-4]);
        let near = S::madd(S::mul(x, x), p, x);
        let far = S::sub(exp::<S>(x), S::splat(1.0));
        S::select(S::gt(x, S::splat(-0.5)), near, far)
    }
}

#[inline(always)]
pub unsafe fn elu<S: Simd>(x: S::V, alpha: S::V) -> S::V {
    unsafe {
        let below = S::mul(alpha, exp_minus_1::<S>(S::min(S::zero(), x)));
        S::select(S::gt(S::zero(), x), below, x)
    }
}

#[inline(always)]
pub unsafe fn clip<S: Simd>(x: S::V, min: S::V, max: S::V) -> S::V {
    // The second operand of `min` and `max` is what a NaN leaves: x.
    unsafe { S::min(max, S::max(min, x)) }
}

#[inline(always)]
pub unsafe fn hard_sigmoid<S: Simd>(x: S::V, alpha: S::V, beta: S::V) -> S::V {
    unsafe { clip::<S>(S::madd(alpha, x, beta), S::zero(), S::splat(1.0)) }
}
