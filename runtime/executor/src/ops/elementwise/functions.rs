//! Functions that the standard library does not have, in binary64.

/// The error function, to about 1e-15.
///
/// Below 2.5 its Taylor series around 0, which is short enough there; above, the continued fraction of `erfc`
/// (Abramowitz and Stegun 7.1.6 and 7.1.14).
pub(crate) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let z = x.abs();
    let value = if z < 2.5 {
        // exp(-z^2) * sum of 2^n z^(2n+1) / (2n+1)!!: all terms positive, nothing cancels.
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum
    } else if z < 6.0 {
        let mut fraction = 0.0;
        for n in (1..=60).rev() {
            fraction = f64::from(n) / 2.0 / (z + fraction);
        }
        1.0 - (-z * z).exp() / (std::f64::consts::PI.sqrt() * (z + fraction))
    } else {
        1.0
    };
    value.copysign(x)
}

/// `1 / (1 + exp(-x))` without overflow.
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 + exp(x))` without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_has_the_values_of_the_tables() {
        let table = [
            (0.0, 0.0),
            (0.1, 0.1124629160182849),
            (1.0, 0.8427007929497149),
            (2.4, 0.9993114861033549),
            (2.6, 0.9997639655834707),
            (5.0, 0.9999999999984626),
        ];
        for (x, expected) in table {
            assert!((erf(x) - expected).abs() < 2e-15, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
        assert_eq!(erf(f64::INFINITY), 1.0);
        assert!(erf(f64::NAN).is_nan());
    }
}
