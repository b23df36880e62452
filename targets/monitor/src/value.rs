//! What a point holds, and the three things that are done with it: the growth between two readings, the sum of growths, and
//! the one reading that stands for several.

/// The value of a series at one time, as reported, or the growth of it over some time.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A sum. Reported ones count from the session's start.
    Sum(f64),
    /// Readings that stand for themselves.
    Gauge(Gauge),
    /// Counts between fixed bounds, which belong to the series.
    Histogram(Histogram),
    /// Counts between powers of a base.
    Exponential(Exponential),
    /// Nothing but that the series is there: all that can be said of it is in its key.
    Present,
}

/// Readings of a gauge, merged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// How many there were, at least 1.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least of them.
    pub min: f64,
    /// The largest of them.
    pub max: f64,
    /// The newest of them.
    pub last: f64,
}

/// A histogram with explicit bounds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Sum of the values that were counted.
    pub sum: f64,
    /// One count per bucket, one more than there are bounds.
    pub counts: Vec<u64>,
}

/// An exponential histogram. Bucket `i` holds values in `(base^i, base^(i+1)]`, `base = 2^(2^-scale)`.
///
/// Source: OpenTelemetry, Metrics Data Model, ExponentialHistogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exponential {
    /// Resolution, from -10 to 20.
    pub scale: i32,
    /// Sum of the values that were counted.
    pub sum: f64,
    /// Values that are zero or near it.
    pub zero_count: u64,
    /// Values above zero.
    pub positive: Buckets,
    /// Absolutes of values below zero.
    pub negative: Buckets,
}

/// Counts of consecutive buckets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    /// Index of the first of them.
    pub offset: i32,
    /// Their counts.
    pub counts: Vec<u64>,
}

/// The coarsest resolution of an exponential histogram that the data model names.
pub const MIN_SCALE: i32 = -10;
/// The finest.
pub const MAX_SCALE: i32 = 20;
/// Most buckets on one side. Merging lowers the resolution until there are no more than these.
pub const MAX_BUCKETS: usize = 320;

impl Value {
    /// The growth from `earlier` to `self`, two readings of one session. A reading that went back is taken for a count that
    /// began anew, so that growth is never negative.
    #[must_use]
    pub fn since(&self, earlier: &Value) -> Value {
        match (self, earlier) {
            (Value::Sum(now), Value::Sum(before)) if now >= before => Value::Sum(now - before),
            (Value::Histogram(now), Value::Histogram(before)) => {
                now.since(before).map_or_else(|| self.clone(), Value::Histogram)
            }
            (Value::Exponential(now), Value::Exponential(before)) => {
                now.since(before).map_or_else(|| self.clone(), Value::Exponential)
            }
            _ => self.clone(),
        }
    }

    /// Adds the growth `other`. Values of different kinds are left alone: the kind is part of a series' key.
    pub fn add(&mut self, other: &Value) {
        match (self, other) {
            (Value::Sum(all), Value::Sum(more)) => *all += more,
            (Value::Gauge(all), Value::Gauge(more)) => all.merge(more),
            (Value::Histogram(all), Value::Histogram(more)) => all.add(more),
            (Value::Exponential(all), Value::Exponential(more)) => all.add(more),
            _ => {}
        }
    }

    /// Makes `self` stand for itself and for `later`, a reading of the same session: a count is what it was last, gauges
    /// are merged.
    pub fn follow(&mut self, later: &Value) {
        match (self, later) {
            (Value::Gauge(all), Value::Gauge(more)) => all.merge(more),
            (this, later) => *this = later.clone(),
        }
    }

    /// How many values a histogram has counted. Zero for other kinds.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Value::Histogram(histogram) => total(&histogram.counts),
            Value::Exponential(histogram) => histogram.count(),
            _ => 0,
        }
    }
}

impl Gauge {
    /// One reading.
    #[must_use]
    pub fn new(value: f64) -> Gauge {
        Gauge { count: 1, sum: value, min: value, max: value, last: value }
    }

    /// The mean of the readings.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// Takes in later readings.
    pub fn merge(&mut self, other: &Gauge) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.last = other.last;
    }
}

impl Histogram {
    fn since(&self, earlier: &Histogram) -> Option<Histogram> {
        if self.counts.len() != earlier.counts.len() {
            return None;
        }
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, before)| now.checked_sub(*before));
        Some(Histogram { sum: self.sum - earlier.sum, counts: counts.collect::<Option<_>>()? })
    }

    fn add(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.sum += other.sum;
        for (all, more) in self.counts.iter_mut().zip(&other.counts) {
            *all = all.saturating_add(*more);
        }
    }
}

impl Exponential {
    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        [total(&self.positive.counts), total(&self.negative.counts)]
            .into_iter()
            .fold(self.zero_count, u64::saturating_add)
    }

    /// The value below which a share `quantile` (0 to 1) of the counted values lies, to within the width of a bucket; `None`
    /// when nothing was counted.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (quantile.clamp(0.0, 1.0) * count as f64).max(f64::MIN_POSITIVE);
        let mut below = 0.0;
        for (index, count) in self.negative.iter().rev() {
            below += count as f64;
            if below >= rank {
                return Some(-self.middle(index));
            }
        }
        below += self.zero_count as f64;
        if below >= rank {
            return Some(0.0);
        }
        let mut last = 0.0;
        for (index, count) in self.positive.iter().filter(|(_, count)| *count > 0) {
            last = self.middle(index);
            below += count as f64;
            if below >= rank {
                break;
            }
        }
        Some(last)
    }

    /// The geometric middle of a bucket.
    fn middle(&self, index: i64) -> f64 {
        ((index as f64 + 0.5) * (-f64::from(self.scale)).exp2()).exp2()
    }

    fn since(&self, earlier: &Exponential) -> Option<Exponential> {
        let mut earlier = earlier.clone();
        if earlier.scale < self.scale {
            // A resolution is only ever lowered within a session.
            return None;
        }
        earlier.lower(self.scale);
        Some(Exponential {
            scale: self.scale,
            sum: self.sum - earlier.sum,
            zero_count: self.zero_count.checked_sub(earlier.zero_count)?,
            positive: self.positive.since(&earlier.positive)?,
            negative: self.negative.since(&earlier.negative)?,
        })
    }

    fn add(&mut self, other: &Exponential) {
        let mut other = other.clone();
        let mut scale = self.scale.min(other.scale);
        self.lower(scale);
        other.lower(scale);
        while scale > MIN_SCALE
            && (self.positive.width_with(&other.positive) > MAX_BUCKETS as i64
                || self.negative.width_with(&other.negative) > MAX_BUCKETS as i64)
        {
            scale -= 1;
            self.lower(scale);
            other.lower(scale);
        }
        self.sum += other.sum;
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
    }

    fn lower(&mut self, scale: i32) {
        let by = self.scale.saturating_sub(scale).clamp(0, 31);
        if by > 0 {
            self.positive.halve(by);
            self.negative.halve(by);
            self.scale = scale;
        }
    }
}

impl Buckets {
    fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, u64)> + '_ {
        self.counts.iter().enumerate().map(|(at, count)| (i64::from(self.offset) + at as i64, *count))
    }

    /// First index and one past the last; nothing when there are no counts.
    fn span(&self) -> Option<(i64, i64)> {
        let start = i64::from(self.offset);
        (!self.counts.is_empty()).then(|| (start, start + self.counts.len() as i64))
    }

    fn width_with(&self, other: &Buckets) -> i64 {
        match (self.span(), other.span()) {
            (Some(a), Some(b)) => a.1.max(b.1) - a.0.min(b.0),
            (Some(a), None) | (None, Some(a)) => a.1 - a.0,
            (None, None) => 0,
        }
    }

    fn since(&self, earlier: &Buckets) -> Option<Buckets> {
        let mut counts = self.counts.clone();
        for (index, before) in earlier.iter().filter(|(_, count)| *count > 0) {
            let at = usize::try_from(index - i64::from(self.offset)).ok()?;
            let now = counts.get_mut(at)?;
            *now = now.checked_sub(before)?;
        }
        Some(Buckets { offset: self.offset, counts })
    }

    fn add(&mut self, other: &Buckets) {
        let Some(theirs) = other.span() else { return };
        let ours = self.span().unwrap_or(theirs);
        let (start, end) = (ours.0.min(theirs.0), ours.1.max(theirs.1));
        // `Exponential::add` has lowered the resolution so far that this is small; what is wider at the lowest is not merged.
        let (Ok(width), Ok(offset)) = (usize::try_from(end - start), i32::try_from(start)) else { return };
        if width > MAX_BUCKETS * 8 {
            return;
        }
        let mut counts = vec![0_u64; width];
        for (index, count) in self.iter().chain(other.iter()) {
            if let Some(all) = usize::try_from(index - start).ok().and_then(|at| counts.get_mut(at)) {
                *all = all.saturating_add(count);
            }
        }
        *self = Buckets { offset, counts };
    }

    /// Merges each 2^`by` neighbours.
    fn halve(&mut self, by: i32) {
        let Some((start, end)) = self.span() else { return };
        let (first, last) = (start >> by, (end - 1) >> by);
        let mut counts = vec![0_u64; usize::try_from(last - first + 1).unwrap_or(0)];
        for (index, count) in self.iter() {
            if let Some(all) = usize::try_from((index >> by) - first).ok().and_then(|at| counts.get_mut(at)) {
                *all = all.saturating_add(count);
            }
        }
        *self = Buckets { offset: i32::try_from(first).unwrap_or(0), counts };
    }
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
        Exponential { scale, positive: Buckets { offset, counts: counts.to_vec() }, ..Exponential::default() }
    }

    #[test]
    fn growth_is_what_came_between_two_readings() {
        let cases = [
            (Value::Sum(7.0), Value::Sum(3.0), Value::Sum(4.0)),
            // Began anew.
            (Value::Sum(2.0), Value::Sum(3.0), Value::Sum(2.0)),
            (
                Value::Histogram(Histogram { sum: 9.0, counts: vec![4, 5] }),
                Value::Histogram(Histogram { sum: 4.0, counts: vec![4, 1] }),
                Value::Histogram(Histogram { sum: 5.0, counts: vec![0, 4] }),
            ),
            (
                Value::Exponential(exponential(2, 3, &[5, 6])),
                Value::Exponential(exponential(2, 4, &[2])),
                Value::Exponential(exponential(2, 3, &[5, 4])),
            ),
            // The resolution was halved between the readings: old buckets 4 and 5 are new bucket 2.
            (
                Value::Exponential(exponential(1, 2, &[9, 1])),
                Value::Exponential(exponential(2, 4, &[3, 4])),
                Value::Exponential(exponential(1, 2, &[2, 1])),
            ),
        ];
        for (now, before, expected) in cases {
            assert_eq!(now.since(&before), expected, "{now:?} since {before:?}");
        }
    }

    #[test]
    fn quantiles_lie_in_the_bucket_of_their_rank() {
        // Scale 0: buckets (1,2], (2,4], (4,8].
        let histogram = exponential(0, 0, &[50, 40, 10]);
        for (quantile, low, high) in
            [(0.0, 1.0, 2.0), (0.5, 1.0, 2.0), (0.51, 2.0, 4.0), (0.9, 2.0, 4.0), (0.99, 4.0, 8.0), (1.0, 4.0, 8.0)]
        {
            let value = histogram.quantile(quantile).expect("not empty");
            assert!(low < value && value <= high, "quantile {quantile} is {value}");
        }
        assert_eq!(Exponential::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn adding_growth_gives_the_later_reading(
            scale in -4_i32..8, lower in 0_i32..3, offset in -40_i32..40,
            before in prop::collection::vec(0_u64..1000, 1..30), more in prop::collection::vec(0_u64..1000, 1..30), shift in -20_i32..20,
        ) {
            let before = exponential(scale, offset, &before);
            let mut now = before.clone();
            now.add(&exponential(scale - lower, offset + shift, &more));
            let growth = Value::Exponential(now.clone()).since(&Value::Exponential(before.clone()));
            prop_assert_eq!(growth.count(), now.count() - before.count());
            let mut sum = Value::Exponential(before);
            sum.add(&growth);
            let Value::Exponential(sum) = sum else { unreachable!() };
            prop_assert_eq!(sum.count(), now.count());
            prop_assert_eq!(sum.scale, now.scale);
            for quantile in [0.1, 0.5, 0.99] {
                prop_assert_eq!(sum.quantile(quantile), now.quantile(quantile));
            }
        }
    }
}
