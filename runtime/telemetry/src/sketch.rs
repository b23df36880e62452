//! A mergeable sketch of a distribution: the exponential histogram of OpenTelemetry.
//!
//! Bucket `i` of scale `s` counts values in `(base^i, base^(i + 1)]` with `base = 2^(2^-s)`, so a quantile read from it is
//! off by at most a factor of `base`. The scale sinks by itself when values spread, and never rises
//! (<https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>).

/// Most buckets on each side of zero: those of the OpenTelemetry SDKs.
pub const BUCKETS: usize = 160;
/// The scale before anything was recorded.
const SCALE_MAX: i32 = 20;
/// At this scale one bucket holds every number of a sign.
const SCALE_MIN: i32 = -10;

/// Counts of values, by their order of magnitude. Recording allocates nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    scale: i32,
    zero: u64,
    positive: Buckets,
    negative: Buckets,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

/// Neighbouring buckets of one sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    /// Index of the bucket that `counts[0]` is.
    first: i32,
    used: usize,
    counts: Box<[u64; BUCKETS]>,
}

impl Buckets {
    fn new() -> Buckets {
        Buckets { first: 0, used: 0, counts: Box::new([0; BUCKETS]) }
    }

    /// Index of the lowest bucket that is kept.
    pub fn offset(&self) -> i32 {
        self.first
    }

    /// The counts of the kept buckets, the one at [`Buckets::offset`] first.
    pub fn counts(&self) -> &[u64] {
        self.counts.get(..self.used).unwrap_or_default()
    }

    /// The lowest and highest index with `index` among them.
    fn span_with(&self, index: i32) -> (i32, i32) {
        match self.used {
            0 => (index, index),
            used => (self.first.min(index), (self.first + used as i32 - 1).max(index)),
        }
    }

    /// Adds to a bucket. The caller made sure that it fits.
    fn add(&mut self, index: i32, count: u64) {
        let (low, high) = self.span_with(index);
        if self.used > 0 && low < self.first {
            let shift = (self.first - low) as usize;
            self.counts.copy_within(..self.used, shift);
            self.counts[..shift].fill(0);
        }
        self.first = low;
        self.used = (high - low) as usize + 1;
        self.counts[(index - low) as usize] += count;
    }

    /// Merges pairs of neighbours.
    fn halve(&mut self) {
        let (old, used) = (self.first, self.used);
        self.first = old >> 1;
        let mut kept = 0;
        for index in 0..used {
            let to = (((old + index as i32) >> 1) - self.first) as usize;
            let count = std::mem::take(&mut self.counts[index]);
            self.counts[to] += count;
            kept = to + 1;
        }
        self.used = kept;
    }

    fn clear(&mut self) {
        self.counts.fill(0);
        self.used = 0;
        self.first = 0;
    }
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch::new()
    }
}

impl Sketch {
    /// An empty sketch.
    pub fn new() -> Sketch {
        Sketch {
            scale: SCALE_MAX,
            zero: 0,
            positive: Buckets::new(),
            negative: Buckets::new(),
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Counts a value. What is not finite is left out.
    pub fn record(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.add(value, 1);
    }

    /// Adds everything that another sketch counted.
    pub fn merge(&mut self, other: &Sketch) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zero += other.zero;
        while self.scale > other.scale {
            self.coarsen();
        }
        for (sign, buckets) in [(1.0, &other.positive), (-1.0, &other.negative)] {
            for (place, count) in buckets.counts().iter().enumerate().filter(|(_, count)| **count > 0) {
                let index = i64::from(buckets.first) + place as i64;
                let lower = i64::from(other.scale - self.scale);
                self.add_at(sign, (index >> lower) as i32, *count);
            }
        }
    }

    /// Forgets the counts. The scale stays: the next values are likely to spread as the last ones did.
    pub fn clear(&mut self) {
        (self.zero, self.count, self.sum) = (0, 0, 0.0);
        (self.min, self.max) = (f64::INFINITY, f64::NEG_INFINITY);
        self.positive.clear();
        self.negative.clear();
    }

    /// The smallest value that at least this share of the counted values does not exceed, up to a factor of the base.
    /// `None` if nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        if self.count == 0 {
            return None;
        }
        // The ends are known exactly.
        if rank <= 1 {
            return Some(self.min);
        }
        if rank >= self.count {
            return Some(self.max);
        }
        let mut passed = 0;
        let within = |value: f64| Some(value.clamp(self.min, self.max));
        for (place, count) in self.negative.counts().iter().enumerate().rev() {
            passed += count;
            if passed >= rank {
                return within(-self.middle(self.negative.first + place as i32));
            }
        }
        passed += self.zero;
        if passed >= rank {
            return within(0.0);
        }
        for (place, count) in self.positive.counts().iter().enumerate() {
            passed += count;
            if passed >= rank {
                return within(self.middle(self.positive.first + place as i32));
            }
        }
        Some(self.max)
    }

    /// Exponent of the width of a bucket: `base = 2^(2^-scale)`.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// Zeros.
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// Values above zero.
    pub fn positive(&self) -> &Buckets {
        &self.positive
    }

    /// Values below zero, by their magnitude.
    pub fn negative(&self) -> &Buckets {
        &self.negative
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The smallest of them, if there is one.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest of them, if there is one.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    fn add(&mut self, value: f64, count: u64) {
        // Subnormal numbers are nothing that a sketch need tell from zero.
        if value.abs() < f64::MIN_POSITIVE {
            self.zero += count;
            return;
        }
        let index = index(value.abs(), self.scale);
        self.add_at(value, index, count);
    }

    fn add_at(&mut self, sign: f64, mut index: i32, count: u64) {
        loop {
            let side = if sign < 0.0 { &mut self.negative } else { &mut self.positive };
            let (low, high) = side.span_with(index);
            if ((high - low) as usize) < BUCKETS {
                side.add(index, count);
                return;
            }
            self.coarsen();
            index >>= 1;
        }
    }

    fn coarsen(&mut self) {
        if self.scale > SCALE_MIN {
            self.scale -= 1;
            self.positive.halve();
            self.negative.halve();
        }
    }

    /// The value in the middle of a bucket, on the logarithmic scale.
    fn middle(&self, index: i32) -> f64 {
        ((f64::from(index) + 0.5) * f64::from(-self.scale).exp2()).exp2()
    }
}

/// The bucket of a positive normal number.
fn index(value: f64, scale: i32) -> i32 {
    if scale <= 0 {
        // Exact, from the bits: the exponent, less one where the value is the power of two itself.
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
        let whole = bits & ((1 << 52) - 1) == 0;
        return (exponent - i32::from(whole)) >> -scale;
    }
    // At most 2^20 times 1024: fits.
    (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_those_of_the_standard() {
        // (value, scale, index): `base^index < value <= base^(index + 1)`.
        for (value, scale, expected) in [
            (1.0, 0, -1),
            (1.5, 0, 0),
            (2.0, 0, 0),
            (2.1, 0, 1),
            (4.0, 0, 1),
            (4.1, -1, 1),
            (4.0, -1, 0),
            (1.0, 3, -1),
            (2.0, 3, 7),
            (1.05, 3, 0),
        ] {
            assert_eq!(index(value, scale), expected, "{value} at scale {scale}");
        }
    }

    #[test]
    fn everything_fits_whatever_its_magnitude() {
        let mut sketch = Sketch::new();
        for value in [f64::MIN_POSITIVE, f64::MAX, -f64::MAX, -1e-300, 0.0, 1e-310, f64::NAN, f64::INFINITY] {
            sketch.record(value);
        }
        assert_eq!((sketch.count(), sketch.zero()), (6, 2));
        assert_eq!(sketch.positive().counts().iter().sum::<u64>(), 2);
        assert_eq!((sketch.quantile(0.0), sketch.quantile(1.0)), (Some(-f64::MAX), Some(f64::MAX)));
        assert_eq!(Sketch::new().quantile(0.5), None);
    }

    #[test]
    fn clearing_forgets_the_counts_and_keeps_the_scale() {
        let mut sketch = Sketch::new();
        [1.0, 1e6].into_iter().for_each(|value| sketch.record(value));
        let scale = sketch.scale();
        sketch.clear();
        assert_eq!((sketch.count(), sketch.scale(), sketch.min()), (0, scale, None));
        assert!(sketch.positive().counts().is_empty());
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_bucket_of_the_true_ones(
            mut values in prop::collection::vec(-1e6..1e6_f64, 1..400),
            share in 0.0_f64..=1.0,
        ) {
            let mut sketch = Sketch::new();
            values.iter().for_each(|value| sketch.record(*value));
            values.sort_by(f64::total_cmp);
            let rank = (share * values.len() as f64).ceil().max(1.0) as usize;
            let (truth, found) = (values[rank - 1], sketch.quantile(share).unwrap());
            let base = f64::from(-sketch.scale()).exp2().exp2();
            let (low, high) = (truth.abs() / base, truth.abs() * base);
            prop_assert!((low - 1e-9..=high + 1e-9).contains(&found.abs()), "{truth} {found} base {base}");
            prop_assert_eq!(truth < 0.0, found < 0.0);
        }

        #[test]
        fn merged_is_the_same_as_recorded_together(
            first in prop::collection::vec(-1e9..1e9, 0..200),
            second in prop::collection::vec(-1e-3..1e-3, 0..200),
        ) {
            let sketch = |values: &[&[f64]]| {
                let mut sketch = Sketch::new();
                values.iter().for_each(|part| part.iter().for_each(|value| sketch.record(*value)));
                sketch
            };
            let mut merged = sketch(&[&first]);
            merged.merge(&sketch(&[&second]));
            let together = sketch(&[&first, &second]);
            prop_assert_eq!(merged.count(), together.count());
            prop_assert_eq!(merged.scale(), together.scale());
            prop_assert_eq!(merged.positive(), together.positive());
            prop_assert_eq!(merged.negative(), together.negative());
        }
    }
}
