//! What it costs to multiply with weights as they are stored: `cargo run --release -p pannier-kernels --example stored [rounds]`.
//!
//! Prints, for each matrix, nanoseconds to pack a weight, and for each number of rows, microseconds with floats (the least of all rounds)
//! and the ratio of each storage to that. Floats and storages take turns; with `--cold` each round multiplies with another copy of the
//! weights, so that large ones come from memory.

use pannier_kernels::{Blocks, Kernels, MatMul, Numbers, Order, PackedWeights, Storage, StoredPacking, View, ViewMut};
use std::time::Instant;

/// Bytes of weights that no cache holds.
const COLD_BYTES: usize = 64 << 20;

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(200);
    let kernels = Kernels::best();
    println!("{kernels:?}");
    for (k, n) in [(64, 64), (128, 512), (256, 256), (512, 512), (384, 1536), (1024, 1024), (2048, 2048)] {
        pack(&kernels.matmul(k, n).expect("a small product"));
        for m in [1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 512] {
            let product = kernels.matmul(k, n).expect("a small product");
            measure(&product, m, rounds.min(2_000_000_000 / (m * k * n)).max(5));
        }
    }
}

fn storages(k: usize) -> [(&'static str, Storage); 5] {
    let blocks = |rows, zeros| Blocks { rows, zeros };
    [
        ("f16", Storage::Half),
        ("int8", Storage::Int8(blocks(k, false))),
        ("int8 zeros", Storage::Int8(blocks(k, true))),
        ("int4/32", Storage::Int4(blocks(32, false))),
        ("int4/32 zeros", Storage::Int4(blocks(32, true))),
    ]
}

/// A matrix `[n, k]`.
struct Stored {
    codes: Vec<u8>,
    order: Order,
    scales: Vec<f32>,
}

impl Stored {
    fn new(product: &MatMul, storage: Storage) -> Stored {
        let (k, n) = (product.k(), product.n());
        let (units, scales) = match storage {
            Storage::Half => (4, 0),
            Storage::Int8(blocks) => (2, n * k.div_ceil(blocks.rows)),
            Storage::Int4(blocks) => (1, n * k.div_ceil(blocks.rows)),
        };
        let column = (units * k).next_multiple_of(2);
        let codes = (0..n * column / 2).map(|at| (at * 37 % 113) as u8).collect();
        Stored { codes, order: Order { column, row: units, unsigned: false }, scales: vec![0.01; scales] }
    }

    fn pack(&self, packing: StoredPacking, bytes: &mut [u8]) {
        let zeros = vec![3; self.scales.len()];
        let numbers = Numbers { codes: &self.codes, order: self.order, scales: &self.scales, zeros: &zeros };
        packing.pack(&numbers, None, bytes).expect("as large");
    }
}

fn pack(product: &MatMul) {
    let packing = product.packing(true);
    let weights = vec![0.01; product.k() * product.n()];
    let least = |work: &mut dyn FnMut()| {
        let times = (0..20).map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min) * 1e9 / weights.len() as f64
    };
    let mut packed = vec![0.0; product.packed_len()];
    let floats = least(&mut || packing.pack(&weights, None, &mut packed).expect("as large"));
    print!("pack [{}, {}], ns each: f32 {floats:.2}", product.k(), product.n());
    for (name, storage) in storages(product.k()) {
        let (matrix, packing) = (Stored::new(product, storage), packing.stored(storage).expect("a matrix"));
        let mut bytes = vec![0; packing.packed_bytes()];
        print!("  {name} {:.2}", least(&mut || matrix.pack(packing, &mut bytes)));
    }
    println!();
}

fn measure(product: &MatMul, m: usize, rounds: usize) {
    let (k, n) = (product.k(), product.n());
    let a: Vec<f32> = (0..m * k).map(|at| (at % 17) as f32 / 17.0).collect();
    let a = View::dense(&a, m, k).expect("as large");
    let mut c = vec![0.0; m * n];
    let cold = std::env::args().any(|argument| argument == "--cold");
    let copies = |bytes: usize| if cold { (COLD_BYTES / bytes.max(1)).max(1) } else { 1 };
    let packed = vec![0.01_f32; product.packed_len()];
    let floats: Vec<Vec<f32>> = (0..copies(packed.len() * 4)).map(|_| packed.clone()).collect();
    let storages = storages(k);
    let stored: Vec<Vec<Vec<u8>>> = storages
        .iter()
        .map(|(_, storage)| {
            let packing = product.packing(true).stored(*storage).expect("a matrix");
            let mut bytes = vec![0; packing.packed_bytes()];
            Stored::new(product, *storage).pack(packing, &mut bytes);
            (0..copies(bytes.len())).map(|_| bytes.clone()).collect()
        })
        .collect();
    let mut scratch = vec![0.0; product.scratch_len(m.max(2), Some(Storage::Half))];
    let mut least = [f64::INFINITY; 6];
    for round in 0..rounds {
        let started = Instant::now();
        let c_view = ViewMut::dense(&mut c, m, n).expect("as large");
        product.run(a, &floats[round % floats.len()], c_view, &[]).expect("shapes fit");
        least[0] = least[0].min(started.elapsed().as_secs_f64());
        for (index, (copies, (_, storage))) in stored.iter().zip(storages).enumerate() {
            let started = Instant::now();
            let bytes = &copies[round % copies.len()];
            let c_view = ViewMut::dense(&mut c, m, n).expect("as large");
            let weights = PackedWeights::Stored(storage, bytes);
            product.run_part(0..m, 0..product.panels(), a, weights, c_view, &[], &mut scratch).expect("shapes fit");
            least[index + 1] = least[index + 1].min(started.elapsed().as_secs_f64());
        }
    }
    print!("[{m}, {k}] x [{k}, {n}]: f32 {:.1} us", least[0] * 1e6);
    for ((name, _), time) in storages.iter().zip(&least[1..]) {
        print!("  {name} {:.2}", time / least[0]);
    }
    println!();
}
