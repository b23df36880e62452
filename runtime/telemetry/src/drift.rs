//! How far a window's values are from those of the calibration, and whether that is more than chance.
//!
//! # Scores
//!
//! With the shares `p` of the baseline's bins and `q` of the window's:
//!
//! - `psi`, the population stability index: `sum (q - p) ln(q / p)`;
//! - `js`, the Jensen-Shannon distance: the root of the divergence to base 2, from 0 to 1;
//! - `ks`, the Kolmogorov-Smirnov distance: the largest difference of the two distribution functions at the bins' edges.
//!
//! # Decision
//!
//! What industry uses, "PSI above 0.2", alarms at random when samples are few: for independent samples PSI follows a
//! multiple of a chi-squared distribution that shrinks with their number (Yurdakul 2018). And the elements of a tensor
//! are far from independent: the pixels of one picture have one background. So the unit that is counted is the run, as
//! surveys count households and not their members (Rao and Scott 1981): the build measures how much the shares differ
//! from run to run, `S = cov(share of bin a, share of bin b)`. For windows that come from where the calibration came from,
//!
//! `X = sum (q - p)^2 / p`, to which PSI is equal to second order, is distributed like
//! `scale * chi2(degrees) * (1 / runs + 1 / baseline runs)`
//!
//! where `scale` and `degrees` follow from the first two moments, `tr(D S)` and `tr((D S)^2)` with `D = diag(1 / p)`
//! (Satterthwaite 1946). As `S` is itself an estimate, from the runs of the baseline, Fisher's F takes the place of
//! `chi2 / degrees`.
//!
//! Runs of a stream follow each other and resemble each other: they are fewer than they look. The build finds out how many in
//! a row count as one, takes `S` from the means of such blocks (batch means: Conway 1963, Fishman 1978, Schmeiser 1982), and
//! widens `scale` by how much less certain an estimate from few blocks is than one from all runs (`inflation`).
//!
//! Drift is *detected* if `X` is above the [`FALSE_ALARM`] quantile of that, and `psi` is at least [`PSI`], and the window has
//! at least [`RUNS`] runs, and the baseline, too.

use crate::baseline::TensorBaseline;

/// Share of the windows of unchanged data that a tensor may be reported in, by chance.
pub const FALSE_ALARM: f64 = 1e-4;

/// The standard normal quantile of `1 - FALSE_ALARM`.
const NORMAL_QUANTILE: f64 = 3.719_016_485_455_709;

/// Differences below this are no drift, however certain: the customary line between none and a moderate one.
pub const PSI: f64 = 0.1;

/// Fewest runs that have to be looked at, in the window and in the calibration.
pub const RUNS: u64 = 20;

/// How a window compares with the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Population stability index, from 0.
    pub psi: f64,
    /// Jensen-Shannon distance, 0 to 1.
    pub js: f64,
    /// Kolmogorov-Smirnov distance, 0 to 1.
    pub ks: f64,
    /// Whether it is more than chance; `None`: there are too few runs to tell.
    pub detected: Option<bool>,
}

/// Compares the counts of a window with a baseline. `None` if there is nothing to compare.
pub fn compare(baseline: &TensorBaseline, counts: &[u64], runs: u64) -> Option<Drift> {
    let (total, expected) = (counts.iter().sum::<u64>() as f64, baseline.counts.iter().sum::<u64>() as f64);
    if total == 0.0 || expected == 0.0 || counts.len() != baseline.counts.len() {
        return None;
    }
    // Half a count more in each bin: an empty one would make PSI infinite.
    let bins = counts.len() as f64;
    let (mut psi, mut js, mut ks, mut statistic, mut ahead) = (0.0, 0.0, 0.0_f64, 0.0, 0.0);
    for (count, reference) in counts.iter().zip(&baseline.counts) {
        let (count, reference) = (*count as f64, *reference as f64);
        let q = (count + 0.5) / (total + 0.5 * bins);
        let p = (reference + 0.5) / (expected + 0.5 * bins);
        psi += (q - p) * (q / p).ln();
        let middle = 0.5 * (p + q);
        js += 0.5 * (p * (p / middle).log2() + q * (q / middle).log2());
        ahead += count / total - reference / expected;
        ks = ks.max(ahead.abs());
        statistic += (q - p) * (q - p) / p;
    }
    let enough = runs >= RUNS && baseline.runs >= RUNS;
    let detected = enough.then(|| psi >= PSI && statistic > threshold(baseline, runs));
    Some(Drift { psi, js: js.max(0.0).sqrt(), ks, detected })
}

/// What the statistic stays below by chance in a window of so many runs.
pub fn threshold(baseline: &TensorBaseline, runs: u64) -> f64 {
    let share = 1.0 / runs.max(1) as f64 + 1.0 / baseline.runs.max(1) as f64;
    let quantile = f_quantile(baseline.degrees, baseline.runs.saturating_sub(1) as f64);
    baseline.scale * baseline.degrees * quantile * share
}

/// By how much a scale has to be larger for [`threshold`], which takes it for an estimate from `runs` independent runs, if it is
/// one from so many blocks of them. Where blocks are too few to tell anything, so large that nothing is ever detected.
#[cfg(feature = "write")]
pub(crate) fn inflation(degrees: f64, runs: usize, blocks: usize) -> f64 {
    /// Beyond every difference that there can be.
    const NEVER: f64 = 1e12;
    let quantile = |count: usize| f_quantile(degrees, count.saturating_sub(1) as f64);
    match (quantile(runs), quantile(blocks)) {
        (of_runs, of_blocks) if of_runs.is_finite() => (of_blocks / of_runs).min(NEVER),
        // So few runs are no baseline at all.
        _ => 1.0,
    }
}

/// The `1 - FALSE_ALARM` quantile of Fisher's F (Paulson 1942, on cube roots as Wilson and Hilferty 1931): what a
/// chi-squared variable over its degrees becomes when the variance that it is measured by was itself estimated, from
/// `estimated + 1` runs. Infinite where these are too few.
fn f_quantile(degrees: f64, estimated: f64) -> f64 {
    let (a, b) = (2.0 / (9.0 * degrees.max(0.5)), 2.0 / (9.0 * estimated.max(0.5)));
    let (above, below, z2) = (1.0 - a, 1.0 - b, NORMAL_QUANTILE * NORMAL_QUANTILE);
    let denominator = below * below - z2 * b;
    if denominator <= 0.0 {
        return f64::INFINITY;
    }
    let spread = (a * below * below + b * above * above - z2 * a * b).max(0.0).sqrt();
    ((above * below + NORMAL_QUANTILE * spread) / denominator).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(counts: &[u64], runs: u64) -> TensorBaseline {
        let edges = (1..counts.len()).map(|edge| edge as f64).collect();
        TensorBaseline {
            edges,
            counts: counts.to_vec(),
            runs,
            min: 0.0,
            max: 9.0,
            mean: 1.0,
            scale: 0.5,
            degrees: 3.0,
            ..TensorBaseline::default()
        }
    }

    #[test]
    fn quantiles_agree_with_tables() {
        // scipy.stats.f.ppf(0.9999, degrees, estimated)
        for (degrees, estimated, expected) in [
            (1.0, 19.0, 23.9851),
            (3.0, 25.0, 10.7609),
            (9.0, 25.0, 6.4677),
            (9.0, 95.0, 4.3160),
            (10.0, 1000.0, 3.6058),
        ] {
            let found = f_quantile(degrees, estimated);
            assert!((1.0..1.06).contains(&(found / expected)), "{degrees} {estimated}: {found}, {expected}");
        }
        assert_eq!(f_quantile(3.0, 1.0), f64::INFINITY);
    }

    #[test]
    fn scores_are_those_of_their_definitions() {
        let baseline = baseline(&[100_000, 300_000, 600_000], 1000);
        let drift = compare(&baseline, &[300_000, 300_000, 400_000], 1000).unwrap();
        // By hand: 0.2 ln 3 - 0.2 ln(2 / 3).
        assert!((drift.psi - 0.300_815).abs() < 1e-4, "{drift:?}");
        assert!((drift.ks - 0.2).abs() < 1e-9);
        // By hand: the root of half of 0.3 lb 1.5 + 0.4 lb 0.8 + 0.1 lb 0.5 + 0.6 lb 1.2.
        assert!((drift.js - 0.228_62).abs() < 1e-4, "{drift:?}");
        assert_eq!(drift.detected, Some(true));
        let same = compare(&baseline, &[1000, 3000, 6000], 1000).unwrap();
        assert!(same.psi < 1e-6 && same.ks < 1e-9 && same.js < 1e-3 && same.detected == Some(false), "{same:?}");
    }

    #[test]
    fn few_runs_give_scores_and_no_verdict() {
        let moved = [0, 0, 1000];
        let verdict =
            |runs, baseline_runs| compare(&baseline(&[500, 300, 200], baseline_runs), &moved, runs).unwrap().detected;
        assert_eq!(verdict(RUNS - 1, 1000), None);
        assert_eq!(verdict(1000, RUNS - 1), None);
        assert_eq!(verdict(1000, 1000), Some(true));
    }

    #[test]
    fn a_small_difference_is_no_drift_however_certain() {
        let baseline = baseline(&[500_000, 500_000], 1_000_000);
        let drift = compare(&baseline, &[520_000, 480_000], 1_000_000).unwrap();
        assert!(drift.psi < PSI && drift.detected == Some(false), "{drift:?}");
    }

    #[test]
    fn nothing_compares_with_nothing() {
        assert_eq!(compare(&baseline(&[1, 2], 50), &[0, 0], 50), None);
        assert_eq!(compare(&baseline(&[0, 0], 50), &[1, 0], 50), None);
        assert_eq!(compare(&baseline(&[1, 2], 50), &[1, 2, 3], 50), None);
    }
}
