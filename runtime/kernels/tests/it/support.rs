//! What every test needs: numbers, all kernels, comparison.

use pannier_kernels::{Isa, Kernels};

/// Reproducible numbers in -1..1 (xorshift, Marsaglia 2003).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn float(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn vec(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }
}

/// Fast and deterministic kernels of every instruction set here.
pub fn every_kernels() -> Vec<Kernels> {
    Isa::available()
        .flat_map(|isa| [Kernels::for_isa(isa, false), Kernels::for_isa(isa, true)])
        .map(|kernels| kernels.expect("an available instruction set has kernels"))
        .collect()
}

/// Runs `compute` with all kernels: each result has to be within `tolerance` (absolute and relative) of `expected`, and those of
/// deterministic kernels have to have the same bits.
pub fn compare(what: &str, tolerance: f64, expected: &[f64], compute: impl Fn(Kernels) -> Vec<f32>) {
    let mut bits: Option<Vec<u32>> = None;
    for kernels in every_kernels() {
        let found = compute(kernels);
        assert_eq!(found.len(), expected.len(), "{what}: {kernels:?}");
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let close = (f64::from(*found) - expected).abs() <= tolerance * expected.abs().max(1.0);
            let same = f64::from(*found) == *expected || (found.is_nan() && expected.is_nan());
            assert!(close || same, "{what}: element {i} is {found}, not {expected}, with {kernels:?}");
        }
        if kernels.is_deterministic() {
            let found: Vec<u32> = found.iter().map(|x| x.to_bits()).collect();
            let first = bits.get_or_insert_with(|| found.clone());
            assert_eq!(*first, found, "{what}: other bits with {kernels:?}");
        }
    }
}
