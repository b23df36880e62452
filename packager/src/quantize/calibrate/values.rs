//! What is kept of a value: ranges and a histogram.

use pannier_engine::Tensor;

/// Bins of a histogram. Entropy means something from 2048 bins on (TensorRT, "8-bit inference", 2017).
pub(in crate::quantize) const BINS: usize = 4096;

/// What was seen of a value over all cases.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::quantize) struct ValueStats {
    /// Smallest and largest number in each case, in the order of cases.
    pub(in crate::quantize) cases: Vec<[f32; 2]>,
    /// Largest magnitude at each index of the last axis.
    pub(in crate::quantize) features: Vec<f32>,
    /// Numbers in each of [`BINS`] parts of the range of all cases.
    pub(in crate::quantize) counts: Vec<u64>,
}

impl ValueStats {
    /// Smallest and largest number of all cases.
    pub(in crate::quantize) fn range(&self) -> [f32; 2] {
        let join = |[low, high]: [f32; 2], [min, max]: &[f32; 2]| [low.min(*min), high.max(*max)];
        let [low, high] = self.cases.iter().fold([f32::INFINITY, f32::NEG_INFINITY], join);
        if low <= high { [low, high] } else { [0.0, 0.0] }
    }

    /// The first pass, over one case.
    pub(super) fn add_range(&mut self, case: usize, tensor: &Tensor) {
        let numbers = tensor.as_slice::<f32>().unwrap_or_default();
        let mut range = [f32::INFINITY, f32::NEG_INFINITY];
        for number in numbers {
            range = [range[0].min(*number), range[1].max(*number)];
        }
        if let Some(slot) = self.cases.get_mut(case) {
            *slot = range;
        }
        let width = tensor.shape().last().copied().unwrap_or(1).max(1);
        if self.features.is_empty() {
            self.features.resize(width, 0.0);
        }
        // A last axis of another length in another case is no axis of features.
        self.features.truncate(width);
        for row in numbers.chunks(width) {
            for (largest, number) in self.features.iter_mut().zip(row) {
                *largest = largest.max(number.abs());
            }
        }
    }

    /// The second pass. Counts add up to the same in every order of cases.
    pub(super) fn add_counts(&mut self, tensor: &Tensor) {
        let [low, high] = self.range();
        self.counts.resize(BINS, 0);
        let per_number = BINS as f64 / (f64::from(high) - f64::from(low)).max(f64::MIN_POSITIVE);
        for number in tensor.as_slice::<f32>().unwrap_or_default() {
            let bin = (f64::from(*number) - f64::from(low)) * per_number;
            // Never negative; the largest number belongs to the last bin.
            if let Some(count) = self.counts.get_mut((bin as usize).min(BINS - 1)) {
                *count += 1;
            }
        }
    }
}
