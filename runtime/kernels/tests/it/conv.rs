//! Convolutions and pooling.

use crate::support::{Numbers, compare};
use pannier_kernels::{
    Activation, ConvShape, Kernels, LerpAxis, Operand, PackedWeights, PoolKind, Step, View, ViewMut,
};
use proptest::prelude::*;

/// One output element of a naive convolution: `(image, y, x, channel)`.
fn convolve(s: &ConvShape, input: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f64> {
    let [out_h, out_w] = s.output();
    let [inputs, outputs] = [s.in_channels / s.groups, s.out_channels / s.groups];
    let mut out = Vec::new();
    for i in 0..s.batch * out_h * out_w * s.out_channels {
        let (pixel, channel) = (i / s.out_channels, i % s.out_channels);
        let (image, y, x) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
        let mut sum = f64::from(bias[channel]);
        for_taps(s, y, x, |ky, kx, at| {
            for c in 0..inputs {
                let from = (image * s.input[0] * s.input[1] + at) * s.in_channels + channel / outputs * inputs + c;
                let weight = ((channel * inputs + c) * s.kernel[0] + ky) * s.kernel[1] + kx;
                sum += f64::from(input[from]) * f64::from(weights[weight]);
            }
        });
        out.push(sum);
    }
    out
}

/// Calls `f(ky, kx, pixel)` for the taps of a window that are inside the image.
fn for_taps(s: &ConvShape, y: usize, x: usize, mut f: impl FnMut(usize, usize, usize)) {
    for ky in 0..s.kernel[0] {
        for kx in 0..s.kernel[1] {
            let in_y = (y * s.stride[0] + ky * s.dilation[0]).wrapping_sub(s.padding[0]);
            let in_x = (x * s.stride[1] + kx * s.dilation[1]).wrapping_sub(s.padding[1]);
            if in_y < s.input[0] && in_x < s.input[1] {
                f(ky, kx, in_y * s.input[1] + in_x);
            }
        }
    }
}

/// A matrix with `gap` floats behind each row.
fn spread(dense: &[f32], cols: usize, gap: usize) -> Vec<f32> {
    dense.chunks(cols.max(1)).flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(f32::NAN, gap))).collect()
}

fn check(s: &ConvShape, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let gap = (seed / 3 % 3) as usize;
    let dense = numbers.vec(s.in_pixels() * s.in_channels);
    let weights = numbers.vec(s.kernel[0] * s.kernel[1] * s.in_channels / s.groups * s.out_channels);
    let bias = numbers.vec(s.out_channels);
    let residual = numbers.vec(s.out_pixels() * s.out_channels);
    let mut expected = convolve(s, &dense, &weights, &bias);
    // Steps that are applied in registers, that products apply there, and that nobody does.
    for (x, y) in expected.iter_mut().zip(&residual) {
        *x = match seed % 3 {
            0 => *x * (0.25 * *x + 0.5).clamp(0.0, 1.0) * 2.0 + 1.0,
            1 => (*x + f64::from(*y)).max(0.0),
            _ => (*x + f64::from(*y)).abs(),
        };
    }
    let tolerance = 2e-5 * ((s.kernel[0] * s.kernel[1] * s.in_channels / s.groups) as f64).sqrt();
    let steps = |residual| {
        let residual = Step::Add(Operand::Full(View::dense(residual, s.out_pixels(), s.out_channels).unwrap()));
        match seed % 3 {
            0 => {
                let activation = Activation::HardSwish { alpha: 0.25, beta: 0.5 };
                [Step::Activate(activation), Step::Affine { scale: 2.0, shift: 1.0 }]
            }
            1 => [residual, Step::Activate(Activation::Relu)],
            _ => [residual, Step::Activate(Activation::Abs)],
        }
    };
    let input = spread(&dense, s.in_channels, gap);
    compare(&format!("{s:?}"), tolerance, &expected, |kernels| {
        let conv = kernels.conv(*s).unwrap();
        let mut packed = vec![f32::NAN; conv.packed_len()];
        conv.pack(&weights, Some(&bias), &mut packed).unwrap();
        let mut scratch = vec![f32::NAN; conv.scratch_len()];
        let mut out = vec![f32::NAN; s.out_pixels() * s.out_channels];
        let input = View::new(&input, s.in_pixels(), s.in_channels, s.in_channels + gap).unwrap();
        // In two parts, as two threads would.
        let middle = conv.rows() / 2;
        let (upper, lower) =
            ViewMut::dense(&mut out, s.out_pixels(), s.out_channels).unwrap().split_rows(middle * s.output()[1]);
        for (rows, part) in [(0..middle, upper), (middle..conv.rows(), lower)] {
            let packed = PackedWeights::Floats(&packed);
            conv.run_part(rows, None, input, packed, part, &steps(&residual), &mut scratch).unwrap();
        }
        let mut whole = vec![f32::NAN; out.len()];
        let target = ViewMut::dense(&mut whole, s.out_pixels(), s.out_channels).unwrap();
        conv.run(input, &packed, target, &steps(&residual), &mut scratch).unwrap();
        assert_eq!(whole, out, "parts differ from the whole: {s:?}");
        out
    });
    let lines = s.in_channels * s.kernel[0] * if s.dilation[1] == 1 { 1 } else { s.kernel[1] };
    if s.groups == 1 && lines <= 128 {
        let pixels = s.input[0] * s.input[1];
        let planes: Vec<f32> = (0..dense.len())
            .map(|i| {
                let (plane, pixel) = (i / pixels, i % pixels);
                let (image, channel) = (plane / s.in_channels, plane % s.in_channels);
                dense[(image * pixels + pixel) * s.in_channels + channel]
            })
            .collect();
        compare(&format!("planar {s:?}"), tolerance, &expected, |kernels| {
            let conv = kernels.conv_planar(*s).unwrap();
            let mut packed = vec![f32::NAN; conv.packed_len()];
            conv.pack(&weights, Some(&bias), &mut packed).unwrap();
            let mut scratch = vec![f32::NAN; conv.scratch_len()];
            let mut out = vec![f32::NAN; s.out_pixels() * s.out_channels];
            let input = View::dense(&planes, s.batch * s.in_channels, pixels).unwrap();
            let target = ViewMut::dense(&mut out, s.out_pixels(), s.out_channels).unwrap();
            conv.run(input, &packed, target, &steps(&residual), &mut scratch).unwrap();
            out
        });
    }
}

fn shape(input: [usize; 2], channels: [usize; 2], kernel: usize, stride: [usize; 2], groups: usize) -> ConvShape {
    let pad = kernel / 2;
    ConvShape { stride, padding: [pad; 4], groups, ..ConvShape::new(input, channels[0], channels[1], [kernel, kernel]) }
}

#[test]
fn convolutions_of_the_shapes_that_models_have_are_right() {
    let cases = [
        shape([12, 13], [3, 16], 3, [2, 2], 1),
        shape([12, 13], [16, 24], 1, [1, 1], 1),
        shape([12, 13], [8, 24], 3, [1, 1], 1),
        shape([20, 20], [24, 24], 3, [1, 1], 1),
        shape([21, 17], [96, 24], 3, [1, 1], 1),
        shape([12, 13], [24, 24], 3, [1, 1], 24),
        shape([12, 13], [40, 40], 3, [2, 1], 40),
        shape([12, 13], [88, 88], 5, [1, 1], 88),
        shape([12, 13], [33, 33], 5, [2, 2], 33),
        shape([3, 96], [104, 104], 5, [2, 1], 104),
        shape([9, 9], [12, 18], 3, [1, 1], 3),
        shape([1, 1], [5, 7], 3, [1, 1], 1),
        // 1-D: with and without padding, sliding windows over a signal, and very many taps.
        ConvShape { padding: [0, 1, 0, 1], ..ConvShape::new([1, 40], 60, 33, [1, 3]) },
        ConvShape::new([1, 30], 16, 20, [1, 5]),
        ConvShape { padding: [0, 2, 0, 2], ..ConvShape::new([1, 30], 9, 70, [1, 5]) },
        ConvShape { padding: [1; 4], stride: [2, 2], groups: 2, ..ConvShape::new([9, 8], 10, 120, [3, 3]) },
        // From planes, as a product whose rows are not packed.
        ConvShape {
            stride: [2, 3],
            dilation: [1, 2],
            padding: [2, 1, 2, 2],
            ..ConvShape::new([3, 11], 11, 12, [3, 2])
        },
        ConvShape::new([30, 1], 16, 20, [5, 1]),
        ConvShape { stride: [1, 16], ..ConvShape::new([1, 96], 1, 19, [1, 32]) },
        ConvShape { stride: [1, 3], padding: [0, 70, 0, 75], ..ConvShape::new([1, 50], 2, 5, [1, 150]) },
        ConvShape { dilation: [2, 3], padding: [2, 3, 1, 0], ..ConvShape::new([11, 12], 5, 9, [3, 3]) },
        ConvShape { dilation: [2, 3], padding: [2, 3, 1, 0], groups: 9, ..ConvShape::new([11, 12], 9, 9, [3, 3]) },
        ConvShape { batch: 3, padding: [1; 4], ..ConvShape::new([5, 6], 7, 9, [3, 3]) },
        ConvShape { batch: 2, padding: [9; 4], ..ConvShape::new([2, 2], 3, 4, [3, 3]) },
        ConvShape { batch: 2, padding: [9; 4], groups: 3, ..ConvShape::new([2, 2], 3, 3, [3, 3]) },
        ConvShape::new([2, 2], 3, 4, [3, 3]),
        ConvShape { batch: 0, ..ConvShape::new([2, 2], 3, 4, [1, 1]) },
    ];
    for (i, case) in cases.iter().enumerate() {
        for round in 0..3 {
            check(case, i as u64 + round);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn convolutions_of_random_shapes_are_right(
        batch in 1_usize..3, input in [1_usize..14, 1..14], kernel in [1_usize..6, 1..6], stride in [1_usize..4, 1..4],
        dilation in [1_usize..3, 1..3], padding in [0_usize..4, 0..4, 0..4, 0..4], inputs in 1_usize..20, outputs in 1_usize..20,
        groups in prop::sample::select(vec![1_usize, 1, 2, 5]), depthwise: bool, seed: u64,
    ) {
        let (in_channels, out_channels, groups) =
            if depthwise { (inputs, inputs, inputs) } else { (inputs * groups, outputs * groups, groups) };
        check(&ConvShape { batch, input, in_channels, out_channels, kernel, stride, dilation, padding, groups }, seed);
    }

    #[test]
    fn pools_of_random_shapes_are_right(
        batch in 1_usize..3, input in [1_usize..14, 1..14], kernel in [1_usize..6, 1..6], stride in [1_usize..4, 1..4],
        dilation in [1_usize..3, 1..3], padding in [0_usize..2, 0..2, 0..2, 0..2], channels in 1_usize..40, seed: u64,
    ) {
        let shape = ConvShape {
            batch, input, in_channels: channels, out_channels: channels, kernel, stride, dilation, padding, groups: 1,
        };
        for kind in [PoolKind::Max, PoolKind::Average, PoolKind::AveragePadded] {
            check_pool(kind, &shape, seed);
        }
    }

    #[test]
    fn transposed_convolutions_of_random_shapes_are_right(
        batch in 1_usize..3, input in [1_usize..14, 1..14], kernel in [1_usize..4, 1..4], stride in [1_usize..4, 1..4],
        padding in [0_usize..2, 0..2, 0..2, 0..2], made in 1_usize..20, given in 1_usize..20, seed: u64,
    ) {
        let shape = ConvShape {
            batch, input, in_channels: made, out_channels: given, kernel, stride, dilation: [1, 1], padding, groups: 1,
        };
        check_transposed(&shape, seed);
        // Windows that do not overlap.
        let [h, w] = [input[0] * kernel[0], input[1] * kernel[1]];
        check_transposed(&ConvShape { input: [h, w], stride: kernel, padding: [0; 4], ..shape }, seed);
    }
}

fn check_pool(kind: PoolKind, s: &ConvShape, seed: u64) {
    let input = Numbers::new(seed).vec(s.in_pixels() * s.in_channels);
    let [out_h, out_w] = s.output();
    let mut expected = Vec::new();
    for i in 0..s.out_pixels() * s.in_channels {
        let (pixel, channel) = (i / s.in_channels, i % s.in_channels);
        let (image, y, x) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
        let mut inside = Vec::new();
        for_taps(s, y, x, |_, _, at| {
            inside.push(f64::from(input[(image * s.input[0] * s.input[1] + at) * s.in_channels + channel]));
        });
        // Every window that fits lies inside the padded image.
        let count = if kind == PoolKind::AveragePadded { s.kernel[0] * s.kernel[1] } else { inside.len() };
        expected.push(match kind {
            PoolKind::Max => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            _ => inside.iter().sum::<f64>() / count as f64,
        });
    }
    compare(&format!("{kind:?} {s:?}"), 1e-6, &expected, |kernels| {
        let mut out = vec![f32::NAN; expected.len()];
        let target = ViewMut::dense(&mut out, s.out_pixels(), s.in_channels).unwrap();
        kernels.pool(kind, s, View::dense(&input, s.in_pixels(), s.in_channels).unwrap(), target).unwrap();
        out
    });
}

fn check_transposed(s: &ConvShape, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let [given, made] = [s.out_channels, s.in_channels];
    let (input, bias) = (numbers.vec(s.out_pixels() * given), numbers.vec(made));
    let weights = numbers.vec(given * made * s.kernel[0] * s.kernel[1]);
    let [out_h, out_w] = s.output();
    let mut expected: Vec<f64> = (0..s.in_pixels() * made).map(|i| f64::from(bias[i % made])).collect();
    for pixel in 0..s.out_pixels() {
        let (image, y, x) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
        for_taps(s, y, x, |ky, kx, at| {
            for g in 0..given {
                for m in 0..made {
                    let weight = weights[((g * made + m) * s.kernel[0] + ky) * s.kernel[1] + kx];
                    expected[(image * s.input[0] * s.input[1] + at) * made + m] +=
                        f64::from(input[pixel * given + g]) * f64::from(weight);
                }
            }
        });
    }
    compare(&format!("transposed {s:?}"), 1e-4, &expected, |kernels| {
        let conv = kernels.conv_transpose(*s).unwrap();
        let mut packed = vec![f32::NAN; conv.packed_len()];
        conv.pack(&weights, Some(&bias), &mut packed).unwrap();
        let mut scratch = vec![f32::NAN; conv.scratch_len()];
        let mut out = vec![f32::NAN; expected.len()];
        let target = ViewMut::dense(&mut out, s.in_pixels(), made).unwrap();
        let input = View::dense(&input, s.out_pixels(), given).unwrap();
        conv.run(input, &packed, target, &[Step::Activate(Activation::Neg)], &mut scratch).unwrap();
        out.iter().map(|x| -x).collect()
    });
}

#[test]
fn bilinear_resizing_weighs_four_pixels() {
    let mut numbers = Numbers::new(3);
    let (input, channels) = (numbers.vec(5 * 4 * 19), 19);
    let axis = |len: u32, count: u32| -> Vec<LerpAxis> {
        let at = |i: u32| f64::from(i) * f64::from(len - 1) / f64::from(count - 1);
        let low = |i| (at(i) as u32).min(len - 1);
        (0..count)
            .map(|i| LerpAxis {
                low: low(i),
                high: (low(i) + 1).min(len - 1),
                weight: (at(i) - f64::from(low(i))) as f32,
            })
            .collect()
    };
    let (ys, xs) = (axis(5, 9), axis(4, 11));
    let mut expected = Vec::new();
    for y in &ys {
        for x in &xs {
            for c in 0..channels {
                let at = |row: u32, column: u32| f64::from(input[(row * 4 + column) as usize * channels + c]);
                let mix = |a: f64, b: f64, w: f32| a + (b - a) * f64::from(w);
                let top = mix(at(y.low, x.low), at(y.low, x.high), x.weight);
                expected.push(mix(top, mix(at(y.high, x.low), at(y.high, x.high), x.weight), y.weight));
            }
        }
    }
    compare("resize", 1e-6, &expected, |kernels| {
        let mut out = vec![f32::NAN; expected.len()];
        let target = ViewMut::dense(&mut out, 99, channels).unwrap();
        kernels.resize_linear(View::dense(&input, 20, channels).unwrap(), 4, target, &ys, &xs).unwrap();
        out
    });
}

#[test]
fn shapes_that_are_none_are_errors() {
    let kernels = Kernels::best();
    let good = ConvShape::new([4, 4], 4, 4, [3, 3]);
    let bad = [
        ConvShape { kernel: [0, 3], ..good },
        ConvShape { stride: [0, 1], ..good },
        ConvShape { dilation: [1, 0], ..good },
        ConvShape { groups: 0, ..good },
        ConvShape { groups: 3, ..good },
        ConvShape { input: [usize::MAX, 4], ..good },
        ConvShape { input: [1 << 30, 1 << 30], ..good },
        ConvShape { padding: [usize::MAX, 0, 1, 0], ..good },
        ConvShape { dilation: [usize::MAX, 1], ..good },
        ConvShape { in_channels: usize::MAX, ..good },
        ConvShape { batch: usize::MAX, ..good },
    ];
    for shape in bad {
        assert!(kernels.conv(shape).is_err(), "{shape:?}");
        assert!(kernels.conv_planar(shape).is_err(), "{shape:?}");
        assert!(kernels.conv_transpose(shape).is_err(), "{shape:?}");
    }
    let conv = kernels.conv(ConvShape { padding: [1; 4], ..good }).unwrap();
    let mut packed = vec![0.0; conv.packed_len()];
    let (data, mut out, mut scratch) = (vec![0.0; 16 * 4 * 9], vec![0.0; 64], vec![0.0; conv.scratch_len()]);
    assert!(conv.pack(&data[1..], None, &mut packed).is_err());
    assert!(conv.pack(&data[..144], Some(&data[..3]), &mut packed).is_err());
    conv.pack(&data[..144], None, &mut packed).unwrap();
    let mut run = |pixels, channels, packed: &[f32], rows, scratch: &mut [f32]| {
        let input = View::dense(&data, pixels, channels).unwrap();
        conv.run(input, packed, ViewMut::dense(&mut out, rows, 4).unwrap(), &[], scratch)
    };
    assert_eq!(run(16, 4, &packed, 16, &mut scratch), Ok(()));
    assert!(run(15, 4, &packed, 16, &mut scratch).is_err());
    assert!(run(16, 3, &packed, 16, &mut scratch).is_err());
    assert!(run(16, 4, &packed[1..], 16, &mut scratch).is_err());
    assert!(run(16, 4, &packed, 15, &mut scratch).is_err());
    assert!(run(16, 4, &packed, 16, &mut scratch[1..]).is_err());
}
