//! Figures that are known without a model.

use super::*;
use crate::quantize::calibrate::{BINS, ValueStats};
use crate::quantize::codes::{Grid, sqnr_db};
use crate::quantize::rounding::{Choice, Metric};

/// A normal distribution as a histogram over `[-9, 9]`.
fn gaussian() -> ValueStats {
    let density = |bin: usize| {
        let x = (bin as f64 + 0.5) / BINS as f64 * 18.0 - 9.0;
        (-x * x / 2.0).exp()
    };
    let counts = (0..BINS).map(|bin| (density(bin) * 1e6).round() as u64).collect();
    ValueStats { cases: vec![[-9.0, 9.0]], features: Vec::new(), counts }
}

const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

#[test]
fn the_range_of_least_error_of_a_normal_distribution_is_the_known_one() {
    // Optimal uniform quantization of 256 codes: about 3.9 standard deviations, 40.5 dB.
    let stats = gaussian();
    let grid = range::activation(&stats, RangeEstimator::Mse, UNBOUNDED);
    assert!(grid.range().iter().all(|end| (end.abs() - 3.9).abs() < 0.3), "{:?}", grid.range());
    let found = range::activation_sqnr_db(&stats, &grid).unwrap();
    assert!((found - 40.5).abs() < 0.2, "{found} dB");
    let whole = range::activation(&stats, RangeEstimator::MinMax, UNBOUNDED);
    assert!(range::activation_sqnr_db(&stats, &whole).unwrap() < found - 6.0);
    // Of a normal distribution, 99.73 % lie within three standard deviations.
    let [low, high] = range::activation(&stats, RangeEstimator::Percentile(99.73), UNBOUNDED).range();
    assert!((high - 3.0).abs() < 0.05 && (low + 3.0).abs() < 0.05, "{low} {high}");
}

#[test]
fn weights_of_four_bits_of_a_normal_distribution_have_the_known_error() {
    // 15 codes over 2.5 standard deviations: 18.9 dB.
    let numbers = Noise(1).normals(4096);
    let grid = range::weights(&numbers, &[], 7, true, true);
    let decoded: Vec<f32> = numbers.iter().map(|number| grid.decode(grid.encode(*number))).collect();
    let found = sqnr_db(&numbers, &decoded).unwrap();
    assert!((found - 18.9).abs() < 0.2, "{found} dB");
    assert!((grid.range()[1] - 2.5).abs() < 0.3, "{:?}", grid.range());
}

#[test]
fn entropy_has_more_than_one_candidate() {
    // A narrow distribution, and a few numbers ten times as far out: min-max would spend nine of ten codes on those.
    let mut stats = ValueStats { cases: vec![[-10.0, 10.0]], features: Vec::new(), counts: vec![0; BINS] };
    for (bin, count) in gaussian().counts.iter().enumerate() {
        stats.counts[BINS * 9 / 20 + bin / 10] += count;
    }
    stats.counts[0] = 3;
    stats.counts[BINS - 1] = 3;
    let [low, high] = range::activation(&stats, RangeEstimator::Entropy, UNBOUNDED).range();
    assert!(low > -5.0 && high < 5.0, "{low} {high}");
}

#[test]
fn known_bounds_are_not_exceeded() {
    let stats = gaussian();
    let [low, high] = range::activation(&stats, RangeEstimator::MinMax, [-0.375, 6.0]).range();
    assert!((-0.4..=-0.375).contains(&low) && (6.0..6.1).contains(&high), "{low} {high}");
}

#[test]
fn codes_come_back_and_zero_is_exact() {
    let mut noise = Noise(8);
    let extremes = [0.0, f32::MIN_POSITIVE, 1e-45, -1e-39, 1e-10, 1.0, -3.0, 1e30, f32::MAX, f32::MIN];
    for round in 0..500 {
        let end = |noise: &mut Noise| match noise.uniform() {
            choice if choice < 0.2 => extremes[(noise.uniform() * extremes.len() as f64) as usize],
            _ => noise.normal() * 10.0_f32.powi((noise.uniform() * 20.0) as i32 - 10),
        };
        let (a, b) = (end(&mut noise), end(&mut noise));
        let levels = [1, 7, 15, 63, 127][round % 5];
        for grid in [
            Grid::symmetric(a.abs(), levels),
            Grid::over(a.min(b), a.max(b), -levels - 1, levels),
            Grid::over(a.min(b), a.max(b), 0, 255),
        ] {
            assert!(grid.scale.is_normal() && grid.scale > 0.0, "{a} {b} {grid:?}");
            assert_eq!(grid.decode(grid.encode(0.0)), 0.0, "{a} {b} {grid:?}");
            for code in grid.low..=grid.high {
                let number = grid.decode(code);
                assert!(number.is_finite(), "{a} {b} {grid:?} {code}");
                assert_eq!(grid.encode(number), code, "{a} {b} {grid:?}");
            }
            for x in [a, b, a / 3.0, f32::MAX, f32::MIN] {
                let code = grid.encode(x);
                assert!((grid.low..=grid.high).contains(&code), "{a} {b} {grid:?} {x}");
                let [low, high] = grid.range();
                if x >= low && x <= high {
                    let lost = f64::from(x) - f64::from(grid.decode(code));
                    assert!(lost.abs() <= f64::from(grid.scale) * 0.5001, "{x} {grid:?}");
                }
            }
        }
    }
}

/// `sum x x^T` of a few random vectors.
fn products(noise: &mut Noise, width: usize, rows: usize) -> Vec<f64> {
    let mut products = vec![0.0; width * width];
    for _ in 0..rows {
        let shared = noise.normal();
        let x: Vec<f64> = noise.normals(width).iter().map(|number| f64::from(number + shared)).collect();
        for (index, entry) in products.iter_mut().enumerate() {
            *entry += x[index / width] * x[index % width] / rows as f64;
        }
    }
    products
}

fn error(products: &[f64], exact: &[f32], found: &[f64]) -> f64 {
    let lost: Vec<f64> = exact.iter().zip(found).map(|(exact, found)| f64::from(*exact) - found).collect();
    let width = lost.len();
    products.iter().enumerate().map(|(index, entry)| entry * lost[index / width] * lost[index % width]).sum()
}

#[test]
fn adaptive_rounding_is_never_worse_than_nearest_and_best_where_all_is_tried() {
    let mut noise = Noise(21);
    for (width, rows) in [(1, 4), (3, 50), (4, 2), (9, 30), (25, 10), (40, 200)] {
        for _ in 0..20 {
            let mut damped = products(&mut noise, width, rows);
            let metric = Metric::new(damped.clone(), width).unwrap();
            let trace: f64 = (0..width).map(|index| damped[index * width + index]).sum();
            (0..width).for_each(|index| damped[index * width + index] += 0.01 * trace / width as f64);
            let row = noise.normals(width);
            let grid = range::weights(&row, &[], 7, true, false);
            let nearest: Vec<f64> = row.iter().map(|number| f64::from(grid.decode(grid.encode(*number)))).collect();
            let (found, better) = metric.round(&row, |_| Choice::Code(&grid));
            let (was, is) = (error(&damped, &row, &nearest), error(&damped, &row, &found));
            assert!(is <= was * (1.0 + 1e-9), "{width}: {is} > {was}");
            assert_eq!(better, found != nearest);
            if width > 9 {
                continue;
            }
            // Every row of neighbours there is.
            let neighbours: Vec<[f64; 2]> = row
                .iter()
                .zip(&nearest)
                .map(|(number, nearest)| {
                    let away = if f64::from(*number) < *nearest { -grid.scale } else { grid.scale };
                    [*nearest, f64::from(grid.decode(grid.encode(*nearest as f32 + away)))]
                })
                .collect();
            for choices in 0..1_usize << width {
                let other: Vec<f64> =
                    neighbours.iter().enumerate().map(|(place, pair)| pair[choices >> place & 1]).collect();
                assert!(is <= error(&damped, &row, &other) * (1.0 + 1e-9), "{width}, {choices}");
            }
        }
    }
}

#[test]
fn a_matrix_that_says_nothing_is_none() {
    for products in [vec![0.0; 4], vec![f64::NAN; 4], vec![f64::INFINITY; 4], vec![1.0; 3]] {
        assert!(Metric::new(products, 2).is_none());
    }
}

#[test]
fn bounds_follow_from_the_operator() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 2, 4, 4]));
    let six = builder.weight("six", &Tensor::scalar(6.0_f32));
    let zero = builder.weight("zero", &Tensor::scalar(0.0_f32));
    let sigmoid = builder.node("Sigmoid", &[x]);
    let gate = [("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
    let hard = builder.node_attributes("HardSigmoid", &[x], &gate);
    let relu = builder.node("Relu", &[x]);
    let made = [
        ("x", x, UNBOUNDED),
        ("relu", relu, [0.0, f32::INFINITY]),
        ("clip", builder.node("Clip", &[x, zero, six]), [0.0, 6.0]),
        ("tanh", builder.node("Tanh", &[x]), [-1.0, 1.0]),
        ("silu", builder.node("Mul", &[x, sigmoid]), [-0.278_465, f32::INFINITY]),
        ("hard swish", builder.node("Mul", &[hard, x]), [-0.375, f32::INFINITY]),
        ("a gate of something else", builder.node("Mul", &[relu, sigmoid]), UNBOUNDED),
        ("through a pool", builder.node("GlobalMaxPool", &[relu]), [0.0, f32::INFINITY]),
        ("sum", builder.node("Add", &[relu, relu]), UNBOUNDED),
    ];
    let program = builder.build();
    for (name, value, expected) in made {
        assert_eq!(bounds::of(&program, value), expected, "{name}");
    }
}
