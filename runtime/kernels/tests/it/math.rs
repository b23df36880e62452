//! The accuracy of functions of one number, over a dense set of all floats, and of the steps with an operand.

use crate::support::{Numbers, compare, every_kernels};
use pannier_kernels::{Activation, Kernels, Operand, Step, View, ViewMut};

/// Every 4,099th float: 1,047,808 of them, of both signs, subnormal, infinite and NaN.
fn floats() -> Vec<f32> {
    (0..=u32::MAX)
        .step_by(4099)
        .map(f32::from_bits)
        .chain([0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY])
        .collect()
}

fn apply(kernels: Kernels, activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let target = ViewMut::dense(&mut out, 1, x.len()).unwrap();
    kernels.pointwise(View::dense(x, 1, x.len()).unwrap(), target, &[Step::Activate(activation)]).unwrap();
    out
}

/// The distance between neighbouring floats at `x`.
fn ulp(x: f64) -> f64 {
    // The float below has the same distance, except at a power of two.
    let x = (x.abs() as f32).clamp(f32::MIN_POSITIVE, f32::from_bits(f32::MAX.to_bits() - 1));
    f64::from(f32::from_bits(x.to_bits() + 1)) - f64::from(x)
}

/// The error function near zero, by its series (Abramowitz and Stegun 7.1.6).
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-18 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// Its complement for `x > 2`, by its continued fraction (7.1.14).
fn erfc_fraction(x: f64) -> f64 {
    let fraction = (1..=200).rev().fold(x, |f, n| x + f64::from(n) / 2.0 / f);
    (-x * x).exp() / (std::f64::consts::PI.sqrt() * fraction)
}

fn erf(x: f64) -> f64 {
    if x.abs() < 2.0 { erf_series(x) } else { (1.0 - erfc_fraction(x.abs())).copysign(x) }
}

fn gelu(x: f64) -> f64 {
    let u = x * std::f64::consts::FRAC_1_SQRT_2;
    if u < -2.0 { x * erfc_fraction(-u) / 2.0 } else { x * (1.0 + erf(u)) / 2.0 }
}

fn gelu_tanh(x: f64) -> f64 {
    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    x / (1.0 + (-2.0 * u).exp())
}

fn softplus(x: f64) -> f64 {
    if x > 30.0 { x } else { x.exp().ln_1p() }
}

fn hard_swish(x: f64) -> f64 {
    x * (x * 0.25 + 0.5).clamp(0.0, 1.0)
}

/// Half a step above the largest float.
const LARGEST: f64 = 3.402_823_567_797_336_6e38;

struct Case {
    activation: Activation,
    reference: fn(f64) -> f64,
    /// Allowed error: in units in the last place, and absolute.
    ulps: f64,
    absolute: f64,
}

const CASES: &[Case] = &[
    case(Activation::Exp, f64::exp, 2.0, 0.0),
    case(Activation::Log, f64::ln, 2.0, 0.0),
    case(Activation::Tanh, f64::tanh, 3.0, 0.0),
    case(Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 4.0, 0.0),
    // Far out the sigmoid is subnormal, which has fewer bits.
    case(Activation::Silu, |x| x / (1.0 + (-x).exp()), 4.0, 1e-36),
    case(Activation::Erf, erf, 2.0, 0.0),
    // Relative accuracy is lost where the result is below 2e-7, as with every form of it that is in use.
    case(Activation::Gelu, gelu, 4.0, 2e-7),
    case(Activation::GeluTanh, gelu_tanh, 4.0, 2e-7),
    case(Activation::Softplus, softplus, 3.0, 0.0),
    case(Activation::Elu { alpha: 0.75 }, |x| if x < 0.0 { 0.75 * x.exp_m1() } else { x }, 4.0, 0.0),
    case(Activation::Sqrt, f64::sqrt, 0.5, 0.0),
    case(Activation::Reciprocal, |x| 1.0 / x, 0.5, 0.0),
    case(Activation::Abs, f64::abs, 0.0, 0.0),
    case(Activation::Neg, |x| -x, 0.0, 0.0),
    case(Activation::Square, |x| x * x, 0.5, 0.0),
    case(Activation::Relu, |x| if x < 0.0 { 0.0 } else { x }, 0.0, 0.0),
    case(Activation::Clip { min: -1.5, max: 6.0 }, |x| x.clamp(-1.5, 6.0), 0.0, 0.0),
    case(Activation::LeakyRelu { alpha: 0.5 }, |x| if x < 0.0 { 0.5 * x } else { x }, 0.5, 0.0),
    case(Activation::HardSigmoid { alpha: 0.25, beta: 0.5 }, |x| (x * 0.25 + 0.5).clamp(0.0, 1.0), 0.5, 0.0),
    case(Activation::HardSwish { alpha: 0.25, beta: 0.5 }, hard_swish, 2.0, 2e-7),
];

const fn case(activation: Activation, reference: fn(f64) -> f64, ulps: f64, absolute: f64) -> Case {
    Case { activation, reference, ulps, absolute }
}

#[test]
fn functions_are_as_accurate_as_stated() {
    let x = floats();
    let mut failures = Vec::new();
    for case in CASES {
        for kernels in every_kernels() {
            let mut worst = (0.0_f64, 0.0, 0.0);
            for (x, y) in x.iter().zip(apply(kernels, case.activation, &x)) {
                let exact = (case.reference)(f64::from(*x));
                // Beyond the largest float, infinity is the nearest.
                let exact = if exact.abs() > LARGEST { exact.signum() * f64::INFINITY } else { exact };
                let y64 = f64::from(y);
                // A product of zero and infinity is NaN in both.
                if y64 == exact || (y.is_nan() && (exact.is_nan() || x.is_infinite())) {
                    continue;
                }
                let error = (y64 - exact).abs();
                let scaled = if error <= case.absolute { 0.0 } else { error / ulp(exact) };
                if scaled > worst.0 || scaled.is_nan() {
                    worst = (scaled, *x, y);
                }
            }
            if worst.0.is_nan() || worst.0 > case.ulps {
                failures.push(format!(
                    "{:?}: {} ulp at {:e} ({:e}), {kernels:?}",
                    case.activation, worst.0, worst.1, worst.2
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn deterministic_functions_have_the_same_bits_everywhere() {
    let x: Vec<f32> = floats().into_iter().filter(|x| !x.is_nan()).collect();
    for case in CASES {
        let mut first: Option<(Kernels, Vec<u32>)> = None;
        for kernels in every_kernels().into_iter().filter(Kernels::is_deterministic) {
            // The sign of a NaN that is made differs by instruction set; everything else must not.
            let bits = apply(kernels, case.activation, &x)
                .iter()
                .map(|y| if y.is_nan() { u32::MAX } else { y.to_bits() })
                .collect::<Vec<_>>();
            match &first {
                None => first = Some((kernels, bits)),
                Some((other, expected)) => {
                    let differs = bits.iter().zip(expected).position(|(a, b)| a != b);
                    assert_eq!(differs, None, "{:?}: {kernels:?} and {other:?} differ", case.activation);
                }
            }
        }
    }
}

#[test]
fn nan_stays_nan() {
    for kernels in every_kernels() {
        for case in CASES {
            assert!(apply(kernels, case.activation, &[f32::NAN])[0].is_nan(), "{:?} {kernels:?}", case.activation);
        }
        let canonical = apply(kernels, Activation::CanonicalNan, &[-f32::NAN, 1.0, f32::from_bits(0x7f80_0001)]);
        assert_eq!(canonical.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [0x7fc0_0000, 0x3f80_0000, 0x7fc0_0000]);
    }
}

#[test]
fn steps_take_every_kind_of_operand() {
    type Operation = (fn(Operand<'_>) -> Step<'_>, fn(f64, f64) -> f64);
    let operations: [Operation; 9] = [
        (|y| Step::Add(y), |x, y| x + y),
        (|y| Step::Sub(y), |x, y| x - y),
        (|y| Step::SubFrom(y), |x, y| y - x),
        (|y| Step::Mul(y), |x, y| x * y),
        (|y| Step::Div(y), |x, y| x / y),
        (|y| Step::DivInto(y), |x, y| y / x),
        (|y| Step::Min(y), f64::min),
        (|y| Step::Max(y), f64::max),
        (|y| Step::PRelu(y), |x, y| if x < 0.0 { x * y } else { x }),
    ];
    for (rows, cols) in [(1, 1), (3, 5), (7, 16), (100, 48), (2, 1500), (2, 2048), (200, 3), (33, 47)] {
        let mut numbers = Numbers::new((rows * cols) as u64);
        let far = |x: &f32| if x.abs() < 0.1 { 0.5 } else { *x };
        let x: Vec<f32> = numbers.vec(rows * cols).iter().map(far).collect();
        let y: Vec<f32> = numbers.vec(rows * (cols + 2)).iter().map(far).collect();
        let full = View::new(&y, rows, cols, cols + 2).unwrap();
        type Element<'a> = &'a dyn Fn(usize, usize) -> f32;
        let operands: [(&str, Operand<'_>, Element<'_>); 5] = [
            ("scalar", Operand::Scalar(0.75), &|_, _| 0.75),
            ("columns", Operand::Cols(&y), &|_, c| y[c]),
            ("rows", Operand::Rows(&y), &|r, _| y[r]),
            ("full", Operand::Full(full), &|r, c| y[r * (cols + 2) + c]),
            ("destination", Operand::Destination, &|r, c| y[r * cols + c]),
        ];
        for (step, reference) in &operations {
            for (name, operand, at) in operands {
                let expected: Vec<f64> =
                    (0..rows * cols).map(|i| reference(f64::from(x[i]), f64::from(at(i / cols, i % cols)))).collect();
                compare(name, 1e-6, &expected, |kernels| {
                    let mut out = y[..rows * cols].to_vec();
                    let target = ViewMut::dense(&mut out, rows, cols).unwrap();
                    kernels.pointwise(View::dense(&x, rows, cols).unwrap(), target, &[step(operand)]).unwrap();
                    out
                });
            }
        }
    }
}

#[test]
fn steps_follow_each_other_whatever_lies_between_rows() {
    for (rows, cols) in [(40, 64), (3, 2048), (5, 7)] {
        for gaps in [[0, 0], [3, 0], [0, 3]] {
            let strides = gaps.map(|gap| cols + gap);
            let mut numbers = Numbers::new((rows * cols) as u64);
            let (x, before, y) = (numbers.vec(rows * strides[0]), numbers.vec(rows * strides[1]), numbers.vec(cols));
            let steps =
                [Step::Mul(Operand::Cols(&y)), Step::Activate(Activation::Abs), Step::Add(Operand::Destination)];
            // With and without a step that wants what was there.
            for steps in [&steps[..2], &steps[..]] {
                let at = |i: usize, stride: usize| i / cols * stride + i % cols;
                let expected: Vec<f64> = (0..rows * cols)
                    .map(|i| {
                        let product = (f64::from(x[at(i, strides[0])]) * f64::from(y[i % cols])).abs();
                        product + if steps.len() == 3 { f64::from(before[at(i, strides[1])]) } else { 0.0 }
                    })
                    .collect();
                compare(&format!("{rows} x {cols}, {gaps:?}"), 1e-6, &expected, |kernels| {
                    let mut out = before.clone();
                    let source = View::new(&x, rows, cols, strides[0]).unwrap();
                    kernels.pointwise(source, ViewMut::new(&mut out, rows, cols, strides[1]).unwrap(), steps).unwrap();
                    for (row, was) in out.chunks(strides[1]).zip(before.chunks(strides[1])) {
                        assert_eq!(row[cols..], was[cols..], "wrote between rows");
                    }
                    (0..rows * cols).map(|i| out[at(i, strides[1])]).collect()
                });
            }
        }
    }
}
