//! Products and convolutions of 8-bit integers: the same integers as in a naive computation, on every instruction set.

use crate::support::Numbers;
use pannier_kernels::{
    Activation, ByteKind, ByteOutput, ByteView, ByteWeights, ConvShape, Dot, Elements, ElementsMut, Isa, KernelError,
    Kernels, Operand, Step, View,
};
use proptest::prelude::*;

/// Kernels with every way to multiply that this machine has.
fn every_dot() -> Vec<Kernels> {
    Dot::available().map(|dot| Kernels::best().with_dot(dot).expect("an available way has kernels")).collect()
}

/// Random integers, or only the extreme ones: those of which pairs of products do not fit in 16 bits.
fn bytes(numbers: &mut Numbers, len: usize, extreme: bool) -> Vec<u8> {
    let pick = |random: u64| if extreme { [0x00, 0x7f, 0x80, 0xff][random as usize % 4] } else { random as u8 };
    (0..len).map(|_| pick(numbers.next_u64() >> 20)).collect()
}

fn value(byte: u8, signed: bool) -> i64 {
    if signed { i64::from(byte.cast_signed()) } else { i64::from(byte) }
}

fn zero_point(numbers: &mut Numbers, signed: bool) -> i32 {
    let zero = [0, 255, 128, (numbers.next_u64() >> 30) as i32 & 255][(numbers.next_u64() >> 30) as usize % 4];
    if signed { zero - 128 } else { zero }
}

/// Weights with everything that they may have.
struct Weights {
    data: Vec<u8>,
    signed: bool,
    zeros: Vec<i32>,
    scales: Vec<f32>,
    bias: Vec<i32>,
    shift: Vec<f32>,
}

impl Weights {
    fn new(numbers: &mut Numbers, len: usize, channels: usize, extreme: bool) -> Weights {
        let signed = numbers.next_u64() & 0x1000 == 0;
        let count = [0, 1, channels][(numbers.next_u64() >> 30) as usize % 3];
        Weights {
            data: bytes(numbers, len, extreme),
            signed,
            zeros: (0..count).map(|_| zero_point(numbers, signed)).collect(),
            scales: (0..channels).map(|_| numbers.float().abs() * 1e-3 + 1e-4).collect(),
            bias: (0..channels).map(|_| (numbers.next_u64() >> 44) as i32 - (1 << 19)).collect(),
            shift: numbers.vec(channels),
        }
    }

    fn packing(&self) -> ByteWeights<'_> {
        let (bias, shift) = (Some(self.bias.as_slice()), Some(self.shift.as_slice()));
        ByteWeights { data: &self.data, signed: self.signed, zeros: &self.zeros, scales: &self.scales, bias, shift }
    }

    fn zero(&self, channel: usize) -> i64 {
        match self.zeros.as_slice() {
            [] => 0,
            [zero] => i64::from(*zero),
            zeros => i64::from(zeros[channel]),
        }
    }
}

/// What is computed of sums, as the documentation says: in binary32, each operation rounded.
fn floats(sums: &[i32], weights: &Weights, scale: f32, full: &[f32]) -> Vec<f32> {
    let channels = weights.scales.len().max(1);
    let one = |(i, sum): (usize, &i32)| {
        let channel = i % channels;
        let x = *sum as f32 * (weights.scales[channel] * scale) + weights.shift[channel];
        (x + full[i]).max(0.0)
    };
    sums.iter().enumerate().map(one).collect()
}

fn quantized(x: f32, kind: ByteKind, factor: f32) -> u8 {
    let [low, high] = kind.range();
    ((x * factor).round_ties_even() as i32).saturating_add(kind.zero).clamp(low, high) as u8
}

/// Runs the three kinds of output with all kernels, and compares them with what the sums amount to.
fn check(
    what: &str,
    sums: &[i32],
    weights: &Weights,
    scale: f32,
    numbers: &mut Numbers,
    run: impl Fn(Kernels, ByteOutput<'_>, &[Step<'_>]) -> Result<(), KernelError>,
) {
    let channels = weights.scales.len();
    let full = numbers.vec(sums.len());
    let expected = floats(sums, weights, scale, &full);
    let largest = expected.iter().fold(1.0_f32, |max, x| max.max(x.abs()));
    let signed = numbers.next_u64() & 0x100 == 0;
    let (kind, factor) = (ByteKind { signed, zero: zero_point(numbers, signed) }, 130.0 / largest);
    let rounded: Vec<u8> = expected.iter().map(|x| quantized(*x, kind, factor)).collect();
    let steps = [
        Step::Add(Operand::Full(View::dense(&full, sums.len() / channels.max(1), channels).unwrap())),
        Step::Activate(Activation::Relu),
    ];
    for kernels in every_dot() {
        let dot = kernels.dot();
        let mut found = vec![7; sums.len()];
        run(kernels, ByteOutput::Sums(&mut found), &[]).unwrap();
        assert_eq!(found, sums, "{what}: sums with {dot:?}");
        let mut found = vec![7.0; sums.len()];
        run(kernels, ByteOutput::Floats(&mut found), &steps).unwrap();
        assert_eq!(found, expected, "{what}: numbers with {dot:?}");
        let mut found = vec![7; sums.len()];
        run(kernels, ByteOutput::Bytes { data: &mut found, kind, factor }, &steps).unwrap();
        assert_eq!(found, rounded, "{what}: bytes with {dot:?}");
        // In registers.
        let quick = [Step::Activate(Activation::Relu)];
        let plain: Vec<f32> = floats(sums, weights, scale, &vec![0.0; sums.len()]);
        let mut found = vec![7; sums.len()];
        run(kernels, ByteOutput::Bytes { data: &mut found, kind, factor }, &quick).unwrap();
        let rounded: Vec<u8> = plain.iter().map(|x| quantized(*x, kind, factor)).collect();
        assert_eq!(found, rounded, "{what}: bytes in registers with {dot:?}");
    }
}

fn check_product([m, k, n]: [usize; 3], gap: usize, extreme: bool, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let stride = k + gap;
    let signed = numbers.next_u64() & 0x10 == 0;
    let kind = ByteKind { signed, zero: zero_point(&mut numbers, signed) };
    let a = bytes(&mut numbers, (m * stride).saturating_sub(gap), extreme);
    let weights = Weights::new(&mut numbers, k * n, n, extreme);
    let scale = 0.037;
    let mut sums = Vec::new();
    for (r, c) in (0..m).flat_map(|r| (0..n).map(move |c| (r, c))) {
        let term = |i: usize| {
            let w = value(weights.data[i * n + c], weights.signed) - weights.zero(c);
            (value(a[r * stride + i], signed) - i64::from(kind.zero)) * w
        };
        sums.push((0..k).map(term).sum::<i64>() as i32 + weights.bias[c]);
    }
    let transposed: Vec<u8> = (0..n * k).map(|i| weights.data[i % k * n + i / k]).collect();
    for flip in [false, true] {
        check("product", &sums, &weights, scale, &mut numbers, |kernels, output, steps| {
            let product = kernels.byte_matmul(k, n)?;
            let mut packed = vec![0x5555_5555; product.packed_len()];
            let data = if flip { &transposed } else { &weights.data };
            product.pack(&ByteWeights { data, ..weights.packing() }, flip, &mut packed)?;
            let mut unpacked = vec![7; data.len()];
            product.unpack(&packed, flip, weights.signed, &mut unpacked)?;
            assert_eq!(&unpacked, data);
            let mut scratch = vec![0xaa; product.scratch_len(m)];
            product.run(
                ByteView { data: &a, rows: m, cols: k, stride, kind, scale },
                &packed,
                output,
                steps,
                &mut scratch,
            )
        });
    }
}

#[test]
fn products_of_every_size_are_exact() {
    for m in [1, 2, 5, 8, 9, 13, 70] {
        for (k, n) in [(1, 1), (2, 16), (3, 17), (4, 48), (5, 49), (16, 64), (31, 5), (64, 7), (130, 95)] {
            check_product([m, k, n], m % 3, false, (m * 1000 + k * 10 + n) as u64);
        }
    }
    check_product([150, 300, 200], 0, false, 1);
    check_product([3, 0, 4], 0, false, 2);
    check_product([0, 4, 4], 0, false, 3);
}

#[test]
fn no_sum_saturates() {
    // 255 * 127 + 255 * 127 and -255 * 128 - 255 * 128 do not fit in 16 bits.
    let k = 64;
    for (weight, zero) in [(127_i8, 0), (-128, 0), (-128, 255)] {
        let (a, b) = (vec![255_u8; k], vec![weight.cast_unsigned(); k]);
        for kernels in every_dot() {
            let product = kernels.byte_matmul(k, 1).unwrap();
            let mut packed = vec![0; product.packed_len()];
            let weights = ByteWeights { data: &b, signed: true, zeros: &[], scales: &[1.0], bias: None, shift: None };
            product.pack(&weights, false, &mut packed).unwrap();
            let mut sums = [0];
            let a = ByteView::dense(&a, 1, k, ByteKind { signed: false, zero }, 1.0);
            let mut scratch = vec![0; product.scratch_len(1)];
            product.run(a, &packed, ByteOutput::Sums(&mut sums), &[], &mut scratch).unwrap();
            assert_eq!(sums[0], 64 * (255 - zero) * i32::from(weight), "{:?}", kernels.dot());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn products_of_random_sizes_are_exact(m in 1_usize..40, k in 1_usize..150, n in 1_usize..120, gap in 0_usize..5, extreme: bool, seed: u64) {
        check_product([m, k, n], gap, extreme, seed);
    }

    #[test]
    fn convolutions_of_random_shapes_are_exact(
        image in (1_usize..3, 1_usize..14, 1_usize..24),
        kernel in (1_usize..6, 1_usize..6),
        stride in (1_usize..3, 1_usize..3),
        dilation in (1_usize..3, 1_usize..3),
        padding in (0_usize..3, 0_usize..3, 0_usize..3, 0_usize..3),
        channels in (1_usize..20, 1_usize..20),
        kind in 0..3,
        extreme: bool,
        seed: u64,
    ) {
        let (inputs, outputs) = channels;
        let (groups, in_channels, out_channels) = match kind {
            0 => (1, inputs, outputs),
            1 => (inputs, inputs, inputs),
            _ => (3, inputs * 3, outputs * 3),
        };
        let shape = ConvShape {
            batch: image.0,
            input: [image.1, image.2],
            in_channels,
            out_channels,
            kernel: [kernel.0, kernel.1],
            stride: [stride.0, stride.1],
            dilation: [dilation.0, dilation.1],
            padding: [padding.0, padding.1, padding.2, padding.3],
            groups,
        };
        check_conv(shape, extreme, seed);
    }
}

fn naive_conv(s: &ConvShape, x: &[u8], kind: ByteKind, weights: &Weights) -> Vec<i32> {
    let [out_h, out_w] = s.output();
    let (inputs, outputs) = (s.in_channels / s.groups, s.out_channels / s.groups);
    let mut sums = Vec::new();
    for (image, y) in (0..s.batch).flat_map(|image| (0..out_h).map(move |y| (image, y))) {
        for (left, channel) in (0..out_w).flat_map(|left| (0..s.out_channels).map(move |channel| (left, channel))) {
            let mut sum = i64::from(weights.bias[channel]);
            for (ky, kx) in (0..s.kernel[0]).flat_map(|ky| (0..s.kernel[1]).map(move |kx| (ky, kx))) {
                let at_y = (y * s.stride[0] + ky * s.dilation[0]).checked_sub(s.padding[0]);
                let at_x = (left * s.stride[1] + kx * s.dilation[1]).checked_sub(s.padding[1]);
                let (Some(at_y), Some(at_x)) = (at_y, at_x) else { continue };
                if at_y >= s.input[0] || at_x >= s.input[1] {
                    continue;
                }
                for c in 0..inputs {
                    let pixel = (image * s.input[0] + at_y) * s.input[1] + at_x;
                    let a = value(x[pixel * s.in_channels + channel / outputs * inputs + c], kind.signed);
                    let w = weights.data[((channel * inputs + c) * s.kernel[0] + ky) * s.kernel[1] + kx];
                    sum += (a - i64::from(kind.zero)) * (value(w, weights.signed) - weights.zero(channel));
                }
            }
            sums.push(sum as i32);
        }
    }
    sums
}

fn check_conv(shape: ConvShape, extreme: bool, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let signed = numbers.next_u64() & 0x10 == 0;
    let kind = ByteKind { signed, zero: zero_point(&mut numbers, signed) };
    let x = bytes(&mut numbers, shape.in_pixels() * shape.in_channels, extreme);
    let len = shape.kernel[0] * shape.kernel[1] * shape.in_channels / shape.groups * shape.out_channels;
    let weights = Weights::new(&mut numbers, len, shape.out_channels, extreme);
    let sums = naive_conv(&shape, &x, kind, &weights);
    let scale = 0.021;
    check(&format!("{shape:?}"), &sums, &weights, scale, &mut numbers, |kernels, output, steps| {
        let conv = kernels.byte_conv(shape)?;
        let mut packed = vec![0x5555_5555; conv.packed_len()];
        conv.pack(&weights.packing(), &mut packed)?;
        let mut unpacked = vec![7; weights.data.len()];
        conv.unpack(&packed, weights.signed, &mut unpacked)?;
        assert_eq!(unpacked, weights.data);
        let mut scratch = vec![0xaa; conv.scratch_len()];
        let input = ByteView::dense(&x, shape.in_pixels(), shape.in_channels, kind, scale);
        conv.run(input, &packed, output, steps, &mut scratch)
    });
}

#[test]
fn convolutions_of_usual_shapes_are_exact() {
    let base = ConvShape { padding: [1; 4], ..ConvShape::new([9, 21], 16, 24, [3, 3]) };
    let depthwise = ConvShape { groups: 40, in_channels: 40, out_channels: 40, ..base };
    let five = ConvShape { kernel: [5, 5], padding: [2; 4], ..depthwise };
    for shape in [
        base,
        ConvShape { stride: [2, 2], in_channels: 3, ..base },
        ConvShape { padding: [0; 4], ..base },
        ConvShape::new([7, 13], 48, 40, [1, 1]),
        ConvShape { stride: [2, 1], ..ConvShape::new([7, 13], 20, 8, [1, 1]) },
        depthwise,
        ConvShape { stride: [2, 2], ..depthwise },
        ConvShape { stride: [2, 1], ..depthwise },
        five,
        ConvShape { stride: [2, 2], ..five },
        ConvShape { input: [2, 1], ..five },
        // Rows of output that share lines, of images that end within a group of those, and windows that are outside altogether.
        ConvShape { input: [2, 40], batch: 2, ..five },
        ConvShape { input: [3, 40], stride: [2, 1], ..five },
        ConvShape { input: [13, 9], stride: [3, 1], ..five },
        ConvShape { input: [6, 9], padding: [7, 1, 4, 1], ..depthwise },
        ConvShape { input: [10, 9], kernel: [1, 5], padding: [3, 2, 3, 2], ..depthwise },
        ConvShape { out_channels: 80, ..depthwise },
        ConvShape { kernel: [17, 17], padding: [8; 4], ..depthwise },
        // Lines outside of the image, and none inside.
        ConvShape { input: [1, 21], padding: [5; 4], ..five },
        ConvShape { kernel: [1, 3], padding: [0, 1, 0, 1], ..depthwise },
        ConvShape { kernel: [3, 3], dilation: [2, 2], padding: [2; 4], ..depthwise },
        ConvShape { dilation: [2, 1], padding: [2, 1, 2, 1], ..base },
        ConvShape { dilation: [1, 2], padding: [1, 2, 1, 2], ..base },
        // Lines that lie ready in the image.
        ConvShape { padding: [1, 0, 1, 0], ..base },
        ConvShape { stride: [2, 2], ..ConvShape::new([8, 14], 20, 8, [1, 1]) },
        ConvShape { batch: 2, stride: [2, 2], in_channels: 3, ..base },
        ConvShape::new([3, 5], 7, 9, [1, 1]),
    ] {
        for extreme in [false, true] {
            check_conv(shape, extreme, 11);
        }
    }
}

#[test]
fn rows_of_a_convolution_can_be_computed_apart() {
    let shape = ConvShape { padding: [1; 4], batch: 2, ..ConvShape::new([9, 11], 12, 20, [3, 3]) };
    for shape in [shape, ConvShape { groups: 12, out_channels: 12, ..shape }] {
        let mut numbers = Numbers::new(3);
        let kind = ByteKind { signed: false, zero: 99 };
        let x = bytes(&mut numbers, shape.in_pixels() * shape.in_channels, false);
        let input = ByteView::dense(&x, shape.in_pixels(), shape.in_channels, kind, 0.01);
        let full = numbers.vec(shape.out_pixels() * shape.out_channels);
        let steps = [Step::Add(Operand::Full(View::dense(&full, shape.out_pixels(), shape.out_channels).unwrap()))];
        for kernels in every_dot() {
            let conv = kernels.byte_conv(shape).unwrap();
            let weights = Weights::new(
                &mut Numbers::new(4),
                9 * shape.in_channels / shape.groups * shape.out_channels,
                shape.out_channels,
                false,
            );
            let mut packed = vec![0; conv.packed_len()];
            conv.pack(&weights.packing(), &mut packed).unwrap();
            let mut scratch = vec![0; conv.scratch_len()];
            let mut whole = vec![0.0; full.len()];
            conv.run(input, &packed, ByteOutput::Floats(&mut whole), &steps, &mut scratch).unwrap();
            let mut parts = vec![0.0; full.len()];
            let (upper, lower) = parts.split_at_mut(7 * 11 * shape.out_channels);
            for (rows, part) in [(0..7, upper), (7..18, lower)] {
                conv.run_rows(rows, input, &packed, ByteOutput::Floats(part), &steps, &mut scratch).unwrap();
            }
            assert_eq!(whole, parts, "{:?}", kernels.dot());
        }
    }
}

#[test]
fn quantizing_rounds_ties_to_even_and_saturates() {
    let values = [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 254.5, 255.0, 300.0, -300.0, 1e30, -1e30, f32::INFINITY, f32::NAN];
    for kernels in every_dot() {
        for (kind, expected) in [
            (ByteKind { signed: false, zero: 1 }, [1, 1, 3, 3, 1, 0, 255, 255, 255, 0, 255, 0, 255, 0]),
            (ByteKind { signed: true, zero: -1 }, [-1, -1, 1, 1, -1, -3, 127, 127, 127, -128, 127, -128, 127, -128]),
        ] {
            let mut found = [0; 14];
            kernels.quantize(&values, kind, 1.0, &mut found).unwrap();
            assert_eq!(found, expected.map(|x: i32| x as u8), "{:?} {kind:?}", kernels.dot());
            let bytes: Vec<u8> = (0..=255).collect();
            let mut back = [0.0; 256];
            kernels.dequantize(&bytes, kind, 0.1, &mut back).unwrap();
            for (byte, back) in bytes.iter().zip(back) {
                assert_eq!(back, (value(*byte, kind.signed) - i64::from(kind.zero)) as f32 * 0.1);
            }
        }
    }
}

/// Numbers at and next to those where one integer becomes the next, of scales of any size: where quotients that are not rounded
/// correctly show.
#[test]
fn quantizing_divides_exactly() {
    let mut random = Numbers::new(7);
    let mut scales: Vec<f32> =
        (0..400).map(|_| f32::from_bits((random.next_u64() as u32 & 0x7fff_ffff).min(0x7f7f_ffff))).collect();
    scales.extend((0..2000).map(|_| f32::from_bits(0x3f80_0000 | random.next_u64() as u32 & 0x7f_ffff)));
    scales.extend([
        1.0,
        1.999_999_9,
        0.1,
        1.0 / 3.0,
        1e-45,
        f32::MIN_POSITIVE,
        f32::MAX,
        0.0,
        -0.25,
        f32::INFINITY,
        f32::NAN,
    ]);
    for scale in scales {
        let mut values = vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-40];
        for code in -129..=128 {
            let edge = (code as f32 + 0.5) * scale;
            values.extend((-3..=3).map(|step| f32::from_bits(edge.to_bits().wrapping_add_signed(step))));
        }
        for kind in [ByteKind { signed: true, zero: 0 }, ByteKind { signed: false, zero: 128 }] {
            // `f32::max` leaves out NaN, as kernels do.
            let low = (kind.range()[0] - kind.zero) as f32;
            let expected: Vec<u8> = values.iter().map(|x| quantized((x / scale).max(low), kind, 1.0)).collect();
            for kernels in every_dot() {
                let mut found = vec![0; values.len()];
                kernels.quantize(&values, kind, scale, &mut found).unwrap();
                for ((x, expected), found) in values.iter().zip(&expected).zip(found) {
                    assert_eq!(*expected, found, "{x:e} / {scale:e}, {:?} {kind:?}", kernels.dot());
                }
            }
        }
    }
}

/// Elementwise work in plain binary32.
fn elementwise(x: f32, step: &Step<'_>, row: usize, col: usize) -> f32 {
    let y = match step.operand() {
        Some(Operand::Scalar(y)) => *y,
        Some(Operand::Cols(y)) => y[col],
        Some(Operand::Rows(y)) => y[row],
        Some(Operand::Full(y)) => y.row(row)[col],
        _ => 0.0,
    };
    match *step {
        Step::Add(_) => x + y,
        Step::Sub(_) => x - y,
        Step::SubFrom(_) => y - x,
        Step::Mul(_) => x * y,
        Step::Max(_) => x.max(y),
        Step::Affine { scale, shift } => x * scale + shift,
        Step::Activate(Activation::Relu) => x.max(0.0),
        Step::Activate(Activation::Clip { min, max }) => x.clamp(min, max),
        Step::Activate(Activation::HardSigmoid { alpha, beta }) => (x * alpha + beta).clamp(0.0, 1.0),
        Step::Activate(Activation::HardSwish { alpha, beta }) => x * (x * alpha + beta).clamp(0.0, 1.0),
        Step::Activate(Activation::Abs) => x.abs(),
        _ => unreachable!("no test has it"),
    }
}

fn check_pointwise([rows, cols]: [usize; 2], first: usize, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let bytes = bytes(&mut numbers, rows * cols, false);
    let (line, column) = (numbers.vec(cols), numbers.vec(first + rows));
    let full = numbers.vec((first + rows) * cols);
    let view = View::dense(&full, first + rows, cols).unwrap();
    let (from, to) = (ByteKind { signed: false, zero: 77 }, ByteKind { signed: true, zero: -3 });
    let (alpha, beta) = (0.25, 0.5);
    let lists: [&[Step<'_>]; 6] = [
        &[],
        &[Step::Mul(Operand::Cols(&line)), Step::Affine { scale: 0.7, shift: -0.1 }],
        &[Step::Add(Operand::Full(view)), Step::Activate(Activation::HardSwish { alpha, beta })],
        &[Step::Sub(Operand::Rows(&column)), Step::Activate(Activation::Clip { min: -0.5, max: 0.75 })],
        &[Step::SubFrom(Operand::Scalar(0.3)), Step::Activate(Activation::HardSigmoid { alpha, beta })],
        // Not in registers.
        &[Step::Max(Operand::Cols(&line)), Step::Activate(Activation::Abs), Step::Activate(Activation::Relu)],
    ];
    let values: Vec<f32> = bytes.iter().map(|byte| (i32::from(*byte) - 77) as f32 * 0.013).collect();
    let each = |steps: &[Step<'_>]| -> Vec<f32> {
        let at = |i: usize| steps.iter().fold(values[i], |x, step| elementwise(x, step, first + i / cols, i % cols));
        (0..values.len()).map(at).collect()
    };
    let source = Elements::Bytes { data: &bytes, kind: from, scale: 0.013 };
    for (index, (kernels, steps)) in every_dot().into_iter().flat_map(|k| lists.map(|steps| (k, steps))).enumerate() {
        let what = format!("{rows} x {cols} from {first}, {index}, {:?}", kernels.dot());
        let expected = each(steps);
        let mut found = vec![7.0; values.len()];
        kernels.pointwise_bytes(first, cols, source, ElementsMut::Floats(&mut found), steps).unwrap();
        assert_eq!(found, expected, "{what}");
        let rounded: Vec<u8> =
            expected.iter().map(|x| ((x / 0.011).round_ties_even() - 3.0).clamp(-128.0, 127.0) as i8 as u8).collect();
        for source in [source, Elements::Floats(&values)] {
            let mut found = vec![7; values.len()];
            let to = ElementsMut::Bytes { data: &mut found, kind: to, scale: 0.011 };
            kernels.pointwise_bytes(first, cols, source, to, steps).unwrap();
            assert_eq!(found, rounded, "{what}");
        }
    }
}

#[test]
fn elementwise_work_on_bytes_is_that_on_numbers() {
    for (seed, size) in [[1, 1], [3, 5], [2, 64], [5, 67], [40, 130], [2, 1500], [1, 0], [0, 3]].into_iter().enumerate()
    {
        check_pointwise(size, seed % 3, seed as u64);
    }
    let (kernels, kind) = (Kernels::best(), ByteKind { signed: false, zero: 0 });
    let run = |len: usize, cols: usize, zero: i32, steps: &[Step<'_>]| {
        let to = ElementsMut::Bytes { data: &mut [0; 6], kind: ByteKind { zero, ..kind }, scale: 1.0 };
        kernels.pointwise_bytes(1, cols, Elements::Bytes { data: &[0; 7][..len], kind, scale: 1.0 }, to, steps)
    };
    assert_eq!(run(6, 3, 0, &[Step::Add(Operand::Cols(&[1.0; 3])), Step::Add(Operand::Rows(&[1.0; 3]))]), Ok(()));
    assert!(run(7, 7, 0, &[]).is_err() && run(6, 4, 0, &[]).is_err() && run(6, 3, 256, &[]).is_err());
    assert!(run(6, 3, 0, &[Step::Add(Operand::Cols(&[1.0; 2]))]).is_err());
    assert!(run(6, 3, 0, &[Step::Add(Operand::Rows(&[1.0; 2]))]).is_err());
    assert!(run(6, 3, 0, &[Step::Add(Operand::Destination)]).is_err());
}

#[test]
fn bytes_are_looked_up_whatever_their_number() {
    let mut numbers = Numbers::new(8);
    let table: [u8; 256] = bytes(&mut numbers, 256, false).try_into().unwrap();
    for len in [0, 1, 63, 64, 65, 500] {
        let from = bytes(&mut numbers, len, false);
        let expected: Vec<u8> = from.iter().map(|byte| table[usize::from(*byte)]).collect();
        for kernels in every_dot() {
            let mut found = vec![0; len];
            kernels.lookup_bytes(&table, &from, &mut found).unwrap();
            assert_eq!(found, expected, "{:?}", kernels.dot());
        }
    }
    assert!(Kernels::best().lookup_bytes(&table, &[0; 2], &mut [0; 3]).is_err());
}

#[test]
fn byte_calls_that_do_not_fit_are_errors() {
    let kernels = Kernels::for_isa(Isa::best(), true).unwrap();
    let product = kernels.byte_matmul(5, 3).unwrap();
    let mut packed = vec![0; product.packed_len()];
    let data = [1_u8; 64];
    let weights = ByteWeights { data: &data[..15], signed: true, zeros: &[], scales: &[1.0], bias: None, shift: None };
    assert_eq!(product.pack(&weights, false, &mut packed), Ok(()));
    assert!(product.pack(&ByteWeights { data: &data[..14], ..weights }, false, &mut packed).is_err());
    assert!(product.pack(&ByteWeights { zeros: &[200], ..weights }, false, &mut packed).is_err());
    assert!(product.pack(&ByteWeights { scales: &[1.0, 2.0], ..weights }, false, &mut packed).is_err());
    assert!(product.pack(&ByteWeights { bias: Some(&[1]), ..weights }, false, &mut packed).is_err());
    assert!(product.pack(&weights, false, &mut packed[1..]).is_err());

    let kind = ByteKind { signed: false, zero: 0 };
    let a = ByteView::dense(&data, 2, 5, kind, 1.0);
    let mut scratch = vec![0; product.scratch_len(2)];
    let mut run = |a: ByteView<'_>, packed: &[i32], len: usize, steps: &[Step<'_>]| {
        product.run(a, packed, ByteOutput::Floats(&mut vec![0.0; len]), steps, &mut scratch)
    };
    assert_eq!(run(a, &packed, 6, &[]), Ok(()));
    assert!(run(a, &packed, 7, &[]).is_err());
    assert!(run(a, &packed[1..], 6, &[]).is_err());
    assert!(run(ByteView { cols: 4, ..a }, &packed, 6, &[]).is_err());
    assert!(run(ByteView { stride: 60, ..a }, &packed, 6, &[]).is_err());
    assert!(run(ByteView { kind: ByteKind { signed: false, zero: -1 }, ..a }, &packed, 6, &[]).is_err());
    assert!(run(a, &packed, 6, &[Step::Add(Operand::Cols(&[1.0]))]).is_err());
    let steps = [Step::Activate(Activation::Relu)];
    assert!(product.run(a, &packed, ByteOutput::Sums(&mut [0; 6]), &steps, &mut scratch).is_err());
    let steps = [Step::Add(Operand::Destination)];
    let bytes = ByteOutput::Bytes { data: &mut [0; 6], kind, factor: 1.0 };
    assert!(product.run(a, &packed, bytes, &steps, &mut scratch).is_err());
    assert!(product.run(a, &packed, ByteOutput::Floats(&mut [0.0; 6]), &[], &mut []).is_err());
    assert!(kernels.byte_matmul(usize::MAX, 2).is_err());
    let huge = ConvShape { groups: 2, ..ConvShape::new([1, 1], 2, 2, [1 << 28, 1 << 28]) };
    assert_eq!(kernels.byte_conv(huge).err(), Some(KernelError::Overflow { what: "packed weights" }));
}
