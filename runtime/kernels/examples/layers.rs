//! Share of the machine's peak that each kernel reaches on the layers of real models.
//!
//! ```text
//! cargo run --release -p pannier-kernels --example layers [-- FILTER [ISA]]
//! RUSTFLAGS="-C target-feature=+simd128,+relaxed-simd" cargo build --release -p pannier-kernels --example layers \
//!     --target wasm32-unknown-unknown && node runtime/kernels/examples/layers.mjs layers.wasm [FILTER]
//! ```
//!
//! The filter `bits` prints the bits of deterministic results instead, to compare machines.
//!
//! The peak is that of a loop of multiply-adds in registers, measured in the same run. Each figure is the least of many.

use pannier_kernels::{Activation, Conv, ConvShape, Isa, Kernels, MatMul, Step, View, ViewMut};

/// Model, how often, height, width, channels in and out, kernel, stride, padding, groups. `matmul`: m, k, n.
const LAYERS: &str = include_str!("layers.txt");

/// Seconds, of any origin.
#[cfg(not(target_arch = "wasm32"))]
fn seconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64()
}

#[cfg(not(target_arch = "wasm32"))]
fn print(line: &str) {
    println!("{line}");
}

#[cfg(target_arch = "wasm32")]
mod host {
    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        pub safe fn seconds() -> f64;
        pub fn print(text: *const u8, len: usize);
        /// Writes the filter, at most `len` bytes of it, and returns its length.
        pub fn filter(text: *mut u8, len: usize) -> usize;
    }
}

#[cfg(target_arch = "wasm32")]
use host::seconds;

#[cfg(target_arch = "wasm32")]
fn print(line: &str) {
    // SAFETY: the host reads the text of this call only.
    unsafe { host::print(line.as_ptr(), line.len()) }
}

/// What to measure, and the instruction set if it is not the best.
#[cfg(not(target_arch = "wasm32"))]
fn arguments() -> (String, Option<String>) {
    let mut arguments = std::env::args().skip(1);
    (arguments.next().unwrap_or_default(), arguments.next())
}

#[cfg(target_arch = "wasm32")]
fn arguments() -> (String, Option<String>) {
    let mut text = vec![0; 256];
    // SAFETY: the host writes at most as many bytes as there are.
    let len = unsafe { host::filter(text.as_mut_ptr(), text.len()) };
    text.truncate(len);
    (String::from_utf8_lossy(&text).into_owned(), None)
}

/// Floats that start at a multiple of 64 bytes.
struct Aligned(Vec<f32>, usize, usize);

impl Aligned {
    fn new(len: usize) -> Self {
        let mut data = vec![0.0; len + 16];
        let start = data.as_ptr().align_offset(64);
        for (i, x) in data[start..].iter_mut().enumerate() {
            *x = (i * 37 % 101) as f32 / 101.0 - 0.5;
        }
        Self(data, start, len)
    }

    fn get(&self) -> &[f32] {
        &self.0[self.1..self.1 + self.2]
    }

    fn get_mut(&mut self) -> &mut [f32] {
        &mut self.0[self.1..self.1 + self.2]
    }
}

/// Least seconds of a call, over rounds of some milliseconds.
fn least(mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let end = seconds() + 0.15;
    let mut rounds = 0;
    let mut calls = 1;
    while rounds < 5 || seconds() < end {
        let start = seconds();
        for _ in 0..calls {
            call();
        }
        let took = seconds() - start;
        if took < 0.001 && calls < 1 << 20 {
            calls *= 2;
            continue;
        }
        best = best.min(took / calls as f64);
        rounds += 1;
    }
    best
}

enum Layer {
    MatMul(MatMul, usize),
    Conv(Conv, bool),
}

struct Line {
    model: &'static str,
    count: usize,
    name: String,
    layer: Layer,
}

fn parse(kernels: Kernels, line: &'static str) -> Line {
    let mut words = line.split_whitespace();
    let count = words.next().and_then(|word| word.parse().ok()).expect("a count");
    let (model, kind) = (words.next().expect("a model"), words.next().expect("a kind"));
    let n: Vec<usize> = words.map(|word| word.parse().expect("a number")).collect();
    let layer = match (kind, &n[..]) {
        ("matmul", [m, k, n]) => Layer::MatMul(kernels.matmul(*k, *n).expect("a product"), *m),
        ("conv", [h, w, inputs, outputs, kh, kw, sh, sw, ph, pw, groups]) => {
            let shape = ConvShape {
                stride: [*sh, *sw],
                padding: [*ph, *pw, *ph, *pw],
                groups: *groups,
                ..ConvShape::new([*h, *w], *inputs, *outputs, [*kh, *kw])
            };
            let planar = *inputs == 3;
            let conv = if planar { kernels.conv_planar(shape) } else { kernels.conv(shape) };
            Layer::Conv(conv.expect("a convolution"), planar)
        }
        _ => panic!("not a layer: {line}"),
    };
    Line { model, count, name: format!("{kind} {n:?}"), layer }
}

/// Prints a number for the bits of each layer's result: with deterministic kernels, the same on every machine.
fn bits(kernels: Kernels) {
    for line in LAYERS.lines() {
        let line = parse(kernels, line);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a
        run(
            &line.layer,
            |call, _| call(),
            |output| {
                for x in output {
                    hash = (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3);
                }
            },
        );
        print(&format!("{hash:016x} {} {}", line.model, line.name));
    }
}

/// Multiply-adds and the least seconds of a layer.
fn measure(layer: &Layer) -> (f64, f64) {
    let mut measured = (0.0, 0.0);
    run(layer, |call, madds| measured = (madds, least(call)), |_| ());
    measured
}

/// Makes a layer's data, hands the call and its multiply-adds to `with`, then the result to `then`.
fn run(layer: &Layer, with: impl FnOnce(&mut dyn FnMut(), f64), then: impl FnOnce(&[f32])) {
    match layer {
        Layer::MatMul(product, m) => {
            let (k, n) = (product.k(), product.n());
            let (a, b, mut packed) = (Aligned::new(m * k), Aligned::new(k * n), Aligned::new(product.packed_len()));
            let mut c = Aligned::new(m * n);
            product.pack(View::dense(b.get(), k, n).expect("B"), None, packed.get_mut()).expect("shapes fit");
            let a = View::dense(a.get(), *m, k).expect("A");
            let mut call = || {
                let c = ViewMut::dense(c.get_mut(), *m, n).expect("C");
                product.run(a, packed.get(), c, &[]).expect("shapes fit");
            };
            with(&mut call, (m * k * n) as f64);
            then(c.get());
        }
        Layer::Conv(conv, planar) => {
            let s = conv.shape();
            let (pixels, outs) = (s.in_pixels(), s.out_pixels());
            let weights = Aligned::new(s.kernel[0] * s.kernel[1] * s.in_channels / s.groups * s.out_channels);
            let (mut packed, mut scratch) = (Aligned::new(conv.packed_len()), Aligned::new(conv.scratch_len()));
            conv.pack(weights.get(), None, packed.get_mut()).expect("shapes fit");
            let input = Aligned::new(pixels * s.in_channels);
            let (rows, cols) = if *planar { (s.in_channels, pixels) } else { (pixels, s.in_channels) };
            let input = View::dense(input.get(), rows, cols).expect("an image");
            let mut output = Aligned::new(outs * s.out_channels);
            let steps = [Step::Activate(Activation::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 })];
            let madds = outs * s.kernel[0] * s.kernel[1] * s.in_channels / s.groups * s.out_channels;
            let mut call = || {
                let output = ViewMut::dense(output.get_mut(), outs, s.out_channels).expect("an image");
                conv.run(input, packed.get(), output, &steps, scratch.get_mut()).expect("shapes fit");
            };
            with(&mut call, madds as f64);
            then(output.get());
        }
    }
}

/// Billions of floating-point operations per second of multiply-adds in registers.
fn peak(isa: Isa) -> f64 {
    /// Twelve chains of `$madd` on vectors of `$lanes`.
    macro_rules! chains {
        ([$($attr:meta)?] $splat:expr, $madd:expr, $lanes:expr) => {{
            $(#[$attr])?
            #[inline(never)]
            unsafe fn run(steps: usize, x: f32, y: f32) {
                let (factor, summand) = ($splat(x), $splat(y));
                let mut sums = [$splat(1.0); 12];
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = $splat(i as f32 * y);
                }
                for _ in 0..steps {
                    for sum in &mut sums {
                        *sum = $madd(*sum, factor, summand);
                    }
                }
                // A copy, so that the sums themselves need not be in memory.
                let kept = sums;
                core::hint::black_box(&kept);
            }
            let steps = 10_000;
            let mut best = f64::INFINITY;
            for _ in 0..10 {
                // SAFETY: the instruction set is available.
                best = best.min(least(|| unsafe { run(core::hint::black_box(steps), 0.999, 0.001) }));
            }
            (steps * 12 * $lanes * 2) as f64 / best / 1e9
        }};
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            use std::arch::x86_64::*;
            chains!(
                [target_feature(enable = "avx512f")] _mm512_set1_ps,
                _mm512_fmadd_ps,
                16
            )
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2Fma => {
            use std::arch::x86_64::*;
            chains!(
                [target_feature(enable = "avx2,fma")] _mm256_set1_ps,
                _mm256_fmadd_ps,
                8
            )
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        Isa::WasmRelaxed => {
            use std::arch::wasm32::*;
            chains!([] f32x4_splat, f32x4_relaxed_madd, 4)
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
        Isa::WasmSimd128 => {
            use std::arch::wasm32::*;
            chains!([] f32x4_splat, |a: v128, b: v128, c: v128| f32x4_add(f32x4_mul(a, b), c), 4)
        }
        _ => chains!([] core::convert::identity, |a: f32, b: f32, c: f32| a * b + c, 1),
    }
}

fn main() {
    let (filter, wanted) = arguments();
    let isa = match wanted {
        Some(name) => Isa::available().find(|isa| format!("{isa:?}") == name).expect("an available instruction set"),
        None => Isa::best(),
    };
    if filter == "bits" {
        return bits(Kernels::for_isa(isa, true).expect("an available instruction set"));
    }
    let kernels = Kernels::for_isa(isa, false).expect("an available instruction set");
    let peak = peak(isa);
    print(&format!("{isa:?}: peak {peak:.1} GFLOP/s"));
    let mut totals: Vec<(&str, f64, f64)> = Vec::new();
    for line in LAYERS.lines().filter(|line| line.contains(&filter)) {
        let line = parse(kernels, line);
        let (madds, took) = measure(&line.layer);
        let rate = 2.0 * madds / took / 1e9;
        let share = 100.0 * rate / peak;
        print(&format!(
            "{:9} {:>2} x {:9.1} us {rate:7.1} GFLOP/s {share:5.1} %  {}",
            line.model,
            line.count,
            took * 1e6,
            line.name
        ));
        let count = line.count as f64;
        match totals.iter_mut().find(|total| total.0 == line.model) {
            Some(total) => *total = (total.0, total.1 + madds * count, total.2 + took * count),
            None => totals.push((line.model, madds * count, took * count)),
        }
    }
    for (model, madds, took) in totals {
        let rate = 2.0 * madds / took / 1e9;
        print(&format!("{model:9} {:9.3} ms {rate:7.1} GFLOP/s {:5.1} % of peak", took * 1e3, 100.0 * rate / peak));
    }
}
