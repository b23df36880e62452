//! Ranges: what part of the numbers gets codes of its own. Everything else is cut off at its ends.
//!
//! Activations, from what a calibration has seen:
//! - min-max: nothing is cut off;
//! - mean min-max: the mean over cases, as NNCF does by default;
//! - moving average: each case moves the range a little (Jacob et al. 2018, arXiv:1712.05877);
//! - percentile: the same share of numbers is cut off on both sides (Wu et al. 2020, arXiv:2004.09602, who find that no
//!   estimator wins everywhere);
//! - entropy: least divergence of the distribution before and after (Migacz, "8-bit inference with TensorRT", 2017), over 4096
//!   bins: with the 128 bins of other tools there is one candidate, and it is min-max;
//! - mean squared error, on the same histogram.
//!
//! Whatever was estimated, it holds zero, and what the operator that made the value cannot exceed is not exceeded.
//!
//! Weights keep their whole range: with 6 bits and more, cutting off gains nothing. Blocks of 4 bits take the best of 36 ranges
//! by squared error, weighted with how strongly each weight's input speaks, where that is known (as importance matrices do).

use super::RangeEstimator;
use super::calibrate::{BINS, ValueStats};
use super::codes::Grid;

/// Codes of an activation: 0 to 255.
const CODES: i32 = 255;

/// The grid of an activation. `bounds` are what the value cannot exceed.
pub(super) fn activation(stats: &ValueStats, estimator: RangeEstimator, bounds: [f32; 2]) -> Grid {
    let [low, high] = estimate(stats, estimator);
    // A known lower end needs no estimate, wherever there is something below zero.
    let low = if bounds[0].is_finite() && low < 0.0 { bounds[0] } else { low };
    Grid::over(low, high.min(bounds[1]), 0, CODES)
}

/// Signal to noise in decibels that a grid leaves of the numbers that were seen; `None` where there are none but zeros.
pub(super) fn activation_sqnr_db(stats: &ValueStats, grid: &Grid) -> Option<f32> {
    let range = stats.range();
    let square = |bin: usize| ((edge(range, bin) + edge(range, bin + 1)) / 2.0).powi(2);
    let signal: f64 = stats.counts.iter().enumerate().map(|(bin, count)| *count as f64 * square(bin)).sum();
    let noise = error_of(&stats.counts, range, grid);
    (signal > 0.0 && noise > 0.0).then(|| (10.0 * (signal / noise).log10()) as f32)
}

/// The range by an estimator.
fn estimate(stats: &ValueStats, estimator: RangeEstimator) -> [f32; 2] {
    let range = stats.range();
    match estimator {
        RangeEstimator::MinMax => range,
        RangeEstimator::MeanMinMax => mean(stats),
        RangeEstimator::MovingAverage(share) => moving_average(stats, f64::from(share)),
        RangeEstimator::Percentile(percent) => percentile(&stats.counts, range, f64::from(percent)),
        RangeEstimator::Entropy => shrunk(range, |candidate| divergence(&stats.counts, range, candidate)),
        RangeEstimator::Mse => shrunk(range, |candidate| squared_error(&stats.counts, range, candidate)),
    }
}

/// Sums are in the order of the numbers, not in that of cases.
fn mean(stats: &ValueStats) -> [f32; 2] {
    let mean = |end: usize| {
        let mut ends: Vec<f32> = stats.cases.iter().filter_map(|case| case.get(end).copied()).collect();
        ends.retain(|end| end.is_finite());
        ends.sort_by(f32::total_cmp);
        let sum: f64 = ends.iter().map(|end| f64::from(*end)).sum();
        (sum / ends.len().max(1) as f64) as f32
    };
    [mean(0), mean(1)]
}

fn moving_average(stats: &ValueStats, share: f64) -> [f32; 2] {
    let mut seen = stats.cases.iter().filter(|[low, high]| low <= high).map(|case| case.map(f64::from));
    let Some(first) = seen.next() else { return [0.0, 0.0] };
    let step = |old: f64, new: f64| old + share * (new - old);
    let [low, high] = seen.fold(first, |[low, high], [min, max]| [step(low, min), step(high, max)]);
    [low as f32, high as f32]
}

/// Where a bin begins; bin `BINS` begins where the last one ends.
fn edge([low, high]: [f32; 2], bin: usize) -> f64 {
    let (low, high) = (f64::from(low), f64::from(high));
    low + (high - low) * bin as f64 / BINS as f64
}

fn percentile(counts: &[u64], range: [f32; 2], percent: f64) -> [f32; 2] {
    let total: u64 = counts.iter().sum();
    let cut = total as f64 * (1.0 - percent / 100.0) / 2.0;
    // The first bin behind which more lies than is cut off.
    let first = |counts: &mut dyn Iterator<Item = &u64>| {
        let mut sum = 0.0;
        counts
            .take_while(|count| {
                sum += **count as f64;
                sum <= cut
            })
            .count()
    };
    let (low, high) = (first(&mut counts.iter()), BINS.saturating_sub(first(&mut counts.iter().rev())));
    if low >= high { range } else { [edge(range, low) as f32, edge(range, high) as f32] }
}

/// Parts of the range that are tried, each for both ends.
const CANDIDATES: usize = 128;

/// The best range among smaller ones: first both ends together, then each of them by itself. Ties go to the larger.
fn shrunk([low, high]: [f32; 2], cost: impl Fn([f32; 2]) -> f64) -> [f32; 2] {
    let part = |candidate: usize| 1.0 - candidate as f32 / (CANDIDATES + CANDIDATES / 16) as f32;
    let mut best = (cost([low, high]), [low, high]);
    let mut attempt = |range: [f32; 2]| {
        let cost = cost(range);
        if cost < best.0 {
            best = (cost, range);
        }
        best.1
    };
    let mut found = [low, high];
    for candidate in 1..CANDIDATES {
        found = attempt([low * part(candidate), high * part(candidate)]);
    }
    let both = found;
    for candidate in 0..CANDIDATES {
        found = attempt([both[0], high * part(candidate)]);
    }
    let upper = found[1];
    for candidate in 0..CANDIDATES {
        found = attempt([low * part(candidate), upper]);
    }
    found
}

/// Mean squared error of numbers in the middle of their bins.
fn squared_error(counts: &[u64], range: [f32; 2], candidate: [f32; 2]) -> f64 {
    error_of(counts, range, &Grid::over(candidate[0], candidate[1], 0, CODES))
}

fn error_of(counts: &[u64], range: [f32; 2], grid: &Grid) -> f64 {
    let within_bin = (edge(range, 1) - edge(range, 0)).powi(2) / 12.0;
    let within_code = f64::from(grid.scale).powi(2) / 12.0;
    let error = |(bin, count): (usize, &u64)| {
        let middle = (edge(range, bin) + edge(range, bin + 1)) / 2.0;
        let [low, high] = [grid.decode(0), grid.decode(CODES)].map(f64::from);
        // Numbers inside are spread over the width of a code; the ends are where they are cut off.
        let beyond = (middle - high).max(low - middle).max(0.0);
        *count as f64 * if beyond > 0.0 { beyond * beyond + within_bin } else { within_code }
    };
    counts.iter().enumerate().filter(|(_, count)| **count > 0).map(error).sum()
}

/// What stands for no number where a logarithm is taken.
const UNTOLD: f64 = 1e-4;

/// Kullback-Leibler divergence of the numbers, those outside counted at the ends, from what their codes can tell apart.
fn divergence(counts: &[u64], range: [f32; 2], candidate: [f32; 2]) -> f64 {
    let grid = Grid::over(candidate[0], candidate[1], 0, CODES);
    let code = |bin: usize| grid.encode(((edge(range, bin) + edge(range, bin + 1)) / 2.0) as f32);
    let [low, high] = [grid.decode(0), grid.decode(CODES)].map(f64::from);
    let inside = |bin: usize| {
        let middle = (edge(range, bin) + edge(range, bin + 1)) / 2.0;
        middle >= low && middle <= high
    };
    let first = (0..BINS).find(|bin| inside(*bin)).unwrap_or(0);
    let last = (0..BINS).rev().find(|bin| inside(*bin)).unwrap_or(BINS - 1);
    let count = |bin: usize| counts.get(bin).copied().unwrap_or(0) as f64;
    let outside = |bins: std::ops::Range<usize>| bins.map(count).sum::<f64>();
    // What a code tells: its numbers, spread evenly over those of its bins that hold any.
    let (mut sums, mut used) = (vec![0.0; CODES as usize + 1], vec![0.0; CODES as usize + 1]);
    for bin in (first..=last).filter(|bin| count(*bin) > 0.0) {
        let index = usize::try_from(code(bin)).unwrap_or(0);
        if let (Some(sum), Some(used)) = (sums.get_mut(index), used.get_mut(index)) {
            *sum += count(bin);
            *used += 1.0;
        }
    }
    let total: f64 = (0..BINS).map(count).sum();
    let kept: f64 = sums.iter().sum();
    if kept <= 0.0 {
        return f64::INFINITY;
    }
    let mut divergence = 0.0;
    for bin in first..=last {
        let mut numbers = count(bin);
        if bin == first {
            numbers += outside(0..first);
        }
        if bin == last {
            numbers += outside(last + 1..BINS);
        }
        let index = usize::try_from(code(bin)).unwrap_or(0);
        let told = match (sums.get(index), used.get(index)) {
            (Some(sum), Some(used)) if *used > 0.0 && count(bin) > 0.0 => sum / used,
            // Only numbers from outside are here, and no code says so: next to nothing.
            _ => UNTOLD,
        };
        if numbers > 0.0 {
            divergence += numbers / total * ((numbers / total) / (told / kept)).ln();
        }
    }
    divergence
}

/// Ranges of 4-bit blocks that are tried: 0.3 to 1 of the whole one.
const CLIPS: u32 = 36;

/// The grid of some weights: all of their range, or the best part of it.
pub(super) fn weights(numbers: &[f32], importance: &[f64], levels: i32, symmetric: bool, clip: bool) -> Grid {
    let (min, max) = numbers.iter().fold((0.0f32, 0.0f32), |(min, max), number| (min.min(*number), max.max(*number)));
    let grid = |part: f32| {
        let (min, max) = (min * part, max * part);
        if symmetric { Grid::symmetric(max.max(-min), levels) } else { Grid::over(min, max, -levels - 1, levels) }
    };
    let whole = grid(1.0);
    if !clip {
        return whole;
    }
    let cost = |grid: &Grid| {
        let error = |(index, number): (usize, &f32)| {
            let lost = f64::from(*number) - f64::from(grid.decode(grid.encode(*number)));
            lost * lost * importance.get(index).copied().unwrap_or(1.0)
        };
        numbers.iter().enumerate().map(error).sum::<f64>()
    };
    let mut best = (cost(&whole), whole);
    for clip in 1..CLIPS {
        let grid = grid(1.0 - 0.7 * clip as f32 / (CLIPS - 1) as f32);
        let cost = cost(&grid);
        if cost < best.0 {
            best = (cost, grid);
        }
    }
    best.1
}
