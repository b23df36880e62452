//! Products with matrices that stay as they are stored: the same bits as with numbers that were widened before.

use crate::support::{Numbers as Random, every_kernels};
use pannier_kernels::{
    Activation, Blocks, KernelError, Kernels, Numbers, Operand, Order, PackedWeights, Step, Storage, View, ViewMut,
};
use proptest::prelude::*;

/// A matrix `[n, k]`, or `[k, n]`.
struct Matrix {
    k: usize,
    n: usize,
    by_channel: bool,
    storage: Storage,
    codes: Vec<u16>,
    /// `[n, blocks]`
    scales: Vec<f32>,
    zeros: Vec<i8>,
}

/// A binary16 number, by its definition.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff) / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    (if bits >> 15 == 1 { -magnitude } else { magnitude }) as f32
}

impl Matrix {
    fn new(random: &mut Random, [k, n]: [usize; 2], storage: Storage, by_channel: bool) -> Matrix {
        let blocks = match storage {
            Storage::Half => 0,
            Storage::Int8(blocks) | Storage::Int4(blocks) => k.div_ceil(blocks.rows),
        };
        let codes = (0..k * n).map(|_| random.next_u64() as u16);
        // No infinities: what is multiplied by them says nothing.
        let codes = codes.map(|code| if storage == Storage::Half { code & 0xbfff } else { code }).collect();
        let zeros = (0..n * blocks).map(|_| random.next_u64() as i8 >> 2).collect();
        Matrix { k, n, by_channel, storage, codes, scales: random.vec(n * blocks), zeros }
    }

    fn blocks(&self) -> Option<(Blocks, usize)> {
        match self.storage {
            Storage::Half => None,
            Storage::Int8(blocks) | Storage::Int4(blocks) => Some((blocks, self.k.div_ceil(blocks.rows))),
        }
    }

    fn number(&self, at: usize) -> f32 {
        let (k, n) = if self.by_channel { (at % self.k, at / self.k) } else { (at / self.n, at % self.n) };
        let Some((blocks, count)) = self.blocks() else { return half(self.codes[at]) };
        let q = match self.storage {
            Storage::Int4(_) => i32::from(self.codes[at] & 15) - if self.codes[at] & 8 == 8 { 16 } else { 0 },
            _ => i32::from(self.codes[at] as u8 as i8),
        };
        let block = n * count + k / blocks.rows;
        let zero = if blocks.zeros { i32::from(self.zeros[block]) } else { 0 };
        (q - zero) as f32 * self.scales[block]
    }

    fn numbers(&self) -> Vec<f32> {
        (0..self.k * self.n).map(|at| self.number(at)).collect()
    }

    /// Where the codes are, `gap` bytes between those of two columns, or rows, and their bytes.
    fn stored(&self, gap: usize, unsigned: bool) -> (Order, Vec<u8>) {
        let (bits, flip) = match self.storage {
            Storage::Half => (16, 0),
            Storage::Int8(_) => (8, 0x80),
            Storage::Int4(_) => (4, 8),
        };
        let (lines, len) = if self.by_channel { (self.n, self.k) } else { (self.k, self.n) };
        let line_bytes = (len * bits).div_ceil(8) + gap;
        let mut bytes = vec![0; lines * line_bytes];
        for (at, code) in self.codes.iter().enumerate() {
            let (line, bit) = (at / len, at % len * bits);
            let code = (if unsigned { code ^ flip } else { *code }).to_le_bytes();
            for (slot, byte) in bytes[line * line_bytes + bit / 8..].iter_mut().zip(&code[..bits.div_ceil(8)]) {
                *slot |= if bits == 4 { (byte & 15) << (bit % 8) } else { *byte };
            }
        }
        let (line, code) = (2 * line_bytes, bits / 4);
        let (column, row) = if self.by_channel { (line, code) } else { (code, line) };
        (Order { column, row, unsigned }, bytes)
    }
}

/// Rows of C by both matrices, whole and in parts.
fn check(m: usize, matrix: &Matrix, kernels: Kernels, random: &mut Random) -> Result<(), KernelError> {
    let (k, n) = (matrix.k, matrix.n);
    let (a, bias, full) = (random.vec(m * k), random.vec(n), random.vec(m * n));
    let product = kernels.matmul(k, n)?;
    let a = View::dense(&a, m, k)?;
    let steps = [Step::Add(Operand::Full(View::dense(&full, m, n)?)), Step::Activate(Activation::Relu)];
    let packing = product.packing(matrix.by_channel);
    let mut packed = vec![f32::NAN; packing.packed_len()];
    packing.pack(&matrix.numbers(), Some(&bias), &mut packed)?;
    let mut expected = vec![f32::NAN; m * n];
    product.run(a, &packed, ViewMut::dense(&mut expected, m, n)?, &steps)?;

    let packing = packing.stored(matrix.storage).unwrap();
    let mut bytes = vec![0xaa; packing.packed_bytes()];
    let (order, codes) = matrix.stored(m % 3, m % 2 == 1);
    let numbers = Numbers { codes: &codes, order, scales: &matrix.scales, zeros: &matrix.zeros };
    packing.pack(&numbers, Some(&bias), &mut bytes)?;
    let stored = PackedWeights::Stored(matrix.storage, &bytes);
    let scratch = || vec![f32::NAN; product.scratch_len(m, Some(matrix.storage))];
    let mut found = vec![f32::NAN; m * n];
    let c = ViewMut::dense(&mut found, m, n)?;
    product.run_part(0..m, 0..product.panels(), a, stored, c, &steps, &mut scratch())?;
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found), bits(&expected), "[{m}, {k}] x [{k}, {n}] of {:?} with {kernels:?}", matrix.storage);

    let mut parts = vec![f32::NAN; m * n];
    let middle = product.panels() / 2;
    let (left, right) = ViewMut::dense(&mut parts, m, n)?.split_cols(product.columns(0..middle).end);
    for (panels, c) in [(0..middle, left), (middle..product.panels(), right)] {
        let (upper, lower) = c.split_rows(m / 3);
        product.run_part(0..m / 3, panels.clone(), a, stored, upper, &steps, &mut scratch())?;
        product.run_part(m / 3..m, panels, a, stored, lower, &steps, &mut scratch())?;
    }
    assert_eq!(bits(&parts), bits(&expected), "parts of [{m}, {k}] x [{k}, {n}] with {kernels:?}");

    let mut unpacked = vec![0; codes.len()];
    packing.unpack(&bytes, order, &mut unpacked)?;
    assert_eq!(unpacked, codes, "{:?} is not had back", matrix.storage);
    Ok(())
}

fn check_all([m, k, n]: [usize; 3], rows: usize, seed: u64) {
    let mut random = Random::new(seed);
    let blocks = |zeros| Blocks { rows, zeros };
    let storages = [
        Storage::Half,
        Storage::Int8(blocks(false)),
        Storage::Int8(blocks(true)),
        Storage::Int4(blocks(false)),
        Storage::Int4(blocks(true)),
    ];
    for kernels in every_kernels() {
        for storage in storages {
            let matrix = Matrix::new(&mut random, [k, n], storage, seed.is_multiple_of(2));
            check(m, &matrix, kernels, &mut random).unwrap();
        }
    }
}

#[test]
fn numbers_as_stored_give_the_bits_of_widened_ones() {
    for (seed, m) in [0, 1, 2, 3, 7, 9, 70].into_iter().enumerate() {
        for (k, n, rows) in [(1, 1, 1), (5, 3, 2), (33, 67, 7), (64, 200, 32), (31, 130, 31), (40, 500, 64), (0, 4, 1)]
        {
            check_all([m, k, n], rows, (seed + m) as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn numbers_as_stored_give_the_bits_of_widened_ones_for_random_sizes(m in 1_usize..20, k in 1_usize..90, n in 1_usize..260, rows in 1_usize..100, seed: u64) {
        check_all([m, k, n], rows, seed);
    }
}

#[test]
fn every_binary16_is_widened_exactly() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    let n = halves.len();
    let matrix =
        Matrix { k: 1, n, by_channel: true, storage: Storage::Half, codes: halves, scales: vec![], zeros: vec![] };
    for kernels in every_kernels() {
        let product = kernels.matmul(1, n).unwrap();
        let packing = product.packing(true).stored(Storage::Half).unwrap();
        let mut bytes = vec![0; packing.packed_bytes()];
        let (order, codes) = matrix.stored(0, false);
        packing.pack(&Numbers { codes: &codes, order, scales: &[], zeros: &[] }, None, &mut bytes).unwrap();
        let stored = PackedWeights::Stored(Storage::Half, &bytes);
        // One row is widened on the way, two are not.
        for m in [1, 2] {
            let mut scratch = vec![0.0; product.scratch_len(m, Some(Storage::Half))];
            let (ones, mut found) = (vec![1.0; m], vec![0.0; m * n]);
            let (a, c) = (View::dense(&ones, m, 1).unwrap(), ViewMut::dense(&mut found, m, n).unwrap());
            product.run_part(0..m, 0..product.panels(), a, stored, c, &[], &mut scratch).unwrap();
            for (at, found) in found.iter().enumerate() {
                let expected = half((at % n) as u16);
                assert!(*found == expected || found.is_nan() && expected.is_nan(), "{at:#x}: {found} with {kernels:?}");
            }
        }
    }
}

#[test]
fn calls_that_do_not_fit_are_errors() {
    let product = Kernels::best().matmul(8, 20).unwrap();
    let storage = Storage::Int8(Blocks { rows: 8, zeros: true });
    let packing = product.packing(true).stored(storage).unwrap();
    let bytes = vec![0; packing.packed_bytes()];
    let (a, mut c) = (vec![0.0; 16], vec![0.0; 40]);
    let mut run = |bytes: &[u8], storage, scratch_len: usize, columns: usize| {
        let (a, c) = (View::dense(&a, 2, 8).unwrap(), ViewMut::dense(&mut c[..2 * columns], 2, columns).unwrap());
        let stored = PackedWeights::Stored(storage, bytes);
        product.run_part(0..2, 0..product.panels(), a, stored, c, &[], &mut vec![0.0; scratch_len])
    };
    let scratch_len = product.scratch_len(2, Some(storage));
    assert_eq!(run(&bytes, storage, scratch_len, 20), Ok(()));
    assert!(run(&bytes, storage, scratch_len - 1, 20).is_err());
    assert!(run(&bytes, storage, scratch_len, 19).is_err());
    assert!(run(&bytes[1..], storage, scratch_len, 20).is_err());
    assert!(run(&bytes, Storage::Half, scratch_len, 20).is_err());
    let order = Order { column: 16, row: 2, unsigned: false };
    let mut codes = vec![0; 160];
    assert_eq!(packing.unpack(&bytes, order, &mut codes), Ok(()));
    assert!(packing.unpack(&bytes[1..], order, &mut codes).is_err());
    assert!(packing.unpack(&bytes, order, &mut codes[1..]).is_err());
    let pack = |codes: &[u8], order: Order, numbers: usize| {
        let (scales, zeros) = (vec![1.0; numbers], vec![0; numbers]);
        packing.pack(&Numbers { codes, order, scales: &scales, zeros: &zeros }, None, &mut bytes.clone())
    };
    assert_eq!(pack(&codes, order, 20), Ok(()));
    assert_eq!(pack(&codes, order, 1), Ok(()), "one scale and one zero point for all");
    assert!(pack(&codes[1..], order, 20).is_err());
    assert!(pack(&codes, order, 19).is_err());
    assert!(pack(&codes, Order { column: 17, ..order }, 20).is_err());
    assert!(pack(&codes, Order { column: usize::MAX, ..order }, 20).is_err());
}

#[test]
fn only_plain_panels_stay_as_they_are_stored() {
    use pannier_kernels::ConvShape;
    let shape = |channels: usize, kernel: usize, groups: usize| ConvShape {
        batch: 1,
        input: [9, 9],
        in_channels: channels,
        out_channels: channels,
        kernel: [kernel; 2],
        stride: [1; 2],
        dilation: [1; 2],
        padding: [0; 4],
        groups,
    };
    let kernels = Kernels::best();
    let whole = |k| Storage::Int8(Blocks { rows: k, zeros: false });
    let packing = |shape| kernels.conv_direct(shape).unwrap().packing();
    assert!(packing(shape(16, 1, 1)).stored(whole(8)).is_some());
    assert!(packing(shape(16, 3, 1)).stored(whole(144)).is_some());
    assert!(packing(shape(16, 3, 1)).stored(whole(8)).is_none());
    assert!(packing(shape(16, 3, 16)).stored(Storage::Half).is_none());
}
