//! Layers of real models in 8-bit integers beside the same layers in binary32, measured in turns.
//!
//! ```text
//! cargo run --release -p pannier-kernels --example byte_layers [-- FILTER [ISA DOT]]
//! ```
//!
//! Each figure is the least of many; ratios are binary32 over integers.

use pannier_kernels::{
    Activation, ByteKind, ByteOutput, ByteView, ByteWeights, ConvShape, Dot, Isa, Kernels, Step, View, ViewMut,
};
use std::time::Instant;

/// How often, model, kind; `matmul`: m, k, n; `conv`: height, width, channels in and out, kernel, stride, padding, groups.
const LAYERS: &str = include_str!("layers.txt");

/// Turns of each measurement.
const ROUNDS: usize = 25;

/// A layer and its data.
struct Layer {
    model: &'static str,
    count: f64,
    name: String,
    floats: Box<dyn FnMut()>,
    bytes: Box<dyn FnMut()>,
}

/// A call in binary32 and one in 8-bit integers.
type Calls = (Box<dyn FnMut()>, Box<dyn FnMut()>);

fn floats(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 37 % 101) as f32 / 101.0 - 0.5).collect()
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 37 % 251) as u8).collect()
}

const KIND: ByteKind = ByteKind { signed: false, zero: 128 };
const STEPS: [Step<'_>; 1] = [Step::Activate(Activation::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 })];

fn weights(data: &[u8]) -> ByteWeights<'_> {
    ByteWeights { data, signed: true, zeros: &[], scales: &[0.001], bias: None, shift: None }
}

fn matmul(kernels: Kernels, m: usize, k: usize, n: usize) -> Calls {
    let product = kernels.matmul(k, n).expect("a product");
    let (a, mut packed, mut c) = (floats(m * k), vec![0.0; product.packed_len()], vec![0.0; m * n]);
    product.pack(View::dense(&floats(k * n), k, n).expect("B"), None, &mut packed).expect("shapes fit");
    let in_floats = move || {
        let (a, c) = (View::dense(&a, m, k).expect("A"), ViewMut::dense(&mut c, m, n).expect("C"));
        product.run(a, &packed, c, &[]).expect("shapes fit");
    };
    let product = kernels.byte_matmul(k, n).expect("a product");
    let (a, mut packed, mut c) = (bytes(m * k), vec![0; product.packed_len()], vec![0; m * n]);
    let mut scratch = vec![0; product.scratch_len(m)];
    product.pack(&weights(&bytes(k * n)), false, &mut packed).expect("shapes fit");
    let in_bytes = move || {
        let c = ByteOutput::Bytes { data: &mut c, kind: KIND, factor: 1.0 };
        product.run(ByteView::dense(&a, m, k, KIND, 0.01), &packed, c, &[], &mut scratch).expect("shapes fit");
    };
    (Box::new(in_floats), Box::new(in_bytes))
}

fn conv(kernels: Kernels, s: ConvShape) -> Calls {
    let planar = s.in_channels == 3;
    let conv = if planar { kernels.conv_planar(s) } else { kernels.conv(s) }.expect("a convolution");
    let len = s.kernel[0] * s.kernel[1] * s.in_channels / s.groups * s.out_channels;
    let (x, mut y) = (floats(s.in_pixels() * s.in_channels), vec![0.0; s.out_pixels() * s.out_channels]);
    let (mut packed, mut scratch) = (vec![0.0; conv.packed_len()], vec![0.0; conv.scratch_len()]);
    conv.pack(&floats(len), None, &mut packed).expect("shapes fit");
    let (rows, cols) = if planar { (s.in_channels, s.in_pixels()) } else { (s.in_pixels(), s.in_channels) };
    let in_floats = move || {
        let y = ViewMut::dense(&mut y, s.out_pixels(), s.out_channels).expect("an image");
        conv.run(View::dense(&x, rows, cols).expect("an image"), &packed, y, &STEPS, &mut scratch).expect("shapes fit");
    };
    let conv = kernels.byte_conv(s).expect("a convolution");
    let (x, mut y) = (bytes(s.in_pixels() * s.in_channels), vec![0; s.out_pixels() * s.out_channels]);
    let (mut packed, mut scratch) = (vec![0; conv.packed_len()], vec![0; conv.scratch_len()]);
    conv.pack(&weights(&bytes(len)), &mut packed).expect("shapes fit");
    let in_bytes = move || {
        let x = ByteView::dense(&x, s.in_pixels(), s.in_channels, KIND, 0.01);
        let y = ByteOutput::Bytes { data: &mut y, kind: KIND, factor: 1.0 };
        conv.run(x, &packed, y, &STEPS, &mut scratch).expect("shapes fit");
    };
    (Box::new(in_floats), Box::new(in_bytes))
}

fn parse(kernels: Kernels, line: &'static str) -> Layer {
    let mut words = line.split_whitespace();
    let count = words.next().and_then(|word| word.parse().ok()).expect("a count");
    let (model, kind) = (words.next().expect("a model"), words.next().expect("a kind"));
    let n: Vec<usize> = words.map(|word| word.parse().expect("a number")).collect();
    let (floats, bytes) = match (kind, &n[..]) {
        ("matmul", [m, k, n]) => matmul(kernels, *m, *k, *n),
        ("conv", [h, w, inputs, outputs, kh, kw, sh, sw, ph, pw, groups]) => {
            let shape = ConvShape::new([*h, *w], *inputs, *outputs, [*kh, *kw]);
            let (stride, padding) = ([*sh, *sw], [*ph, *pw, *ph, *pw]);
            conv(kernels, ConvShape { stride, padding, groups: *groups, ..shape })
        }
        _ => panic!("not a layer: {line}"),
    };
    Layer { model, count, name: format!("{kind} {n:?}"), floats, bytes }
}

/// Microseconds of a call, of as many as take a millisecond.
fn time(call: &mut dyn FnMut()) -> f64 {
    let mut calls = 1;
    loop {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        let took = start.elapsed().as_secs_f64() * 1e6;
        if took > 1000.0 || calls >= 1 << 16 {
            return took / f64::from(calls);
        }
        calls *= 2;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.first().cloned().unwrap_or_default();
    let named = |index: usize, name: String| arguments.get(index).is_none_or(|wanted| *wanted == name);
    let isa = Isa::available().find(|isa| named(1, format!("{isa:?}"))).expect("an instruction set");
    let dot = Dot::available().find(|dot| named(2, format!("{dot:?}"))).expect("a way to multiply");
    let kernels = Kernels::for_isa(isa, false).and_then(|kernels| kernels.with_dot(dot)).expect("kernels");
    println!("{isa:?} {dot:?}");
    let mut totals: Vec<(&str, f64, f64)> = Vec::new();
    for line in LAYERS.lines().filter(|line| line.contains(&filter)) {
        let mut layer = parse(kernels, line);
        let (mut floats, mut bytes) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            floats = floats.min(time(&mut layer.floats));
            bytes = bytes.min(time(&mut layer.bytes));
        }
        let Layer { model, count, name, .. } = layer;
        println!("{model:9} {count:>2} x {floats:9.1} us {bytes:9.1} us {:5.2} x  {name}", floats / bytes);
        match totals.iter_mut().find(|total| total.0 == model) {
            Some(total) => *total = (total.0, total.1 + floats * count, total.2 + bytes * count),
            None => totals.push((model, floats * count, bytes * count)),
        }
    }
    for (model, floats, bytes) in totals {
        println!("{model:9} {:9.3} ms {:9.3} ms {:5.2} x", floats / 1e3, bytes / 1e3, floats / bytes);
    }
}
