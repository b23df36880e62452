//! Confidence bounds for shares of wrong answers and for means of losses.
//!
//! Only `+ - * /` and square roots of binary64, in a fixed order: a bound is the same bits on every machine.

use serde::{Deserialize, Serialize};

/// Quantile of the standard normal distribution at 95 %.
const Z_95: f64 = 1.644_853_626_951_472_2;
/// The same at 1 - 5 % / 3.
const Z_98_3: f64 = 2.128_045_234_184_984;
/// The same at 80 %.
const Z_80: f64 = 0.841_621_233_572_914_2;
/// Halvings of an interval: below 2^-50 nothing of a share is left to decide.
const HALVINGS: u32 = 50;

/// How often somebody may look at the same cases. A bound holds with 95 % whatever the number: looks share the 5 %
/// (Bonferroni).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looks {
    /// Once.
    One,
    /// Up to three times.
    Three,
}

impl Looks {
    /// How many.
    pub fn count(self) -> u32 {
        match self {
            Looks::One => 1,
            Looks::Three => 3,
        }
    }

    /// Probability with which the bound of one look may be wrong.
    fn alpha(self) -> f64 {
        0.05 / f64::from(self.count())
    }

    /// The quantile of the standard normal distribution that belongs to it.
    fn z(self) -> f64 {
        match self {
            Looks::One => Z_95,
            Looks::Three => Z_98_3,
        }
    }
}

/// One-sided exact upper bound of 95 % on a share of which `found` of `cases` were seen (Clopper and Pearson 1934): the
/// share at which seeing so few has a probability of 5 %. Between 0 and 1; 1 where there are no cases.
pub fn clopper_pearson_upper(found: u64, cases: u64, looks: Looks) -> f64 {
    if found >= cases {
        return 1.0;
    }
    let start = found as f64 / cases as f64;
    // The probability falls as the share grows: find where it passes alpha.
    halve(start, 1.0, |share| at_most(found, cases, share) > looks.alpha())
}

/// Probability that at most `found` of `cases` come true, each with probability `share` in (0, 1), `share` not below
/// `found / cases`.
///
/// Terms relative to that of `found`, each from its neighbour: no logarithm, no gamma function.
fn at_most(found: u64, cases: u64, share: f64) -> f64 {
    let odds = share / (1.0 - share);
    let (n, k) = (cases as f64, found as f64);
    let mut below = 1.0;
    let mut term = 1.0;
    let mut i = k;
    while i > 0.0 && term > below * f64::EPSILON {
        term *= i / ((n - i + 1.0) * odds);
        below += term;
        i -= 1.0;
    }
    let mut above = 0.0;
    term = 1.0;
    i = k;
    while i < n && (term > above * f64::EPSILON || above == 0.0) && above.is_finite() {
        term *= (n - i) / (i + 1.0) * odds;
        above += term;
        i += 1.0;
    }
    below / (below + above)
}

/// One-sided upper bound of 95 % on the difference of two paired shares: of `cases` cases, `lost` were right before and
/// wrong after, `gained` the reverse. The score bound of Tango (Statistics in Medicine 17, 1998): the difference at which
/// the score statistic is `-z`, nuisance share at its constrained maximum of likelihood.
pub fn tango_upper(lost: u64, gained: u64, cases: u64, looks: Looks) -> f64 {
    if cases == 0 {
        return 1.0;
    }
    let (b, c, n) = (lost as f64, gained as f64, cases as f64);
    let score = |difference: f64| {
        let linear = (2.0 * n - b + c) * difference - b - c;
        let root = (linear * linear + 8.0 * n * c * difference * (1.0 - difference)).max(0.0).sqrt();
        let gained_share = ((root - linear) / (4.0 * n)).max(0.0);
        let variance = n * (2.0 * gained_share + difference - difference * difference);
        (b - c - n * difference) / variance.max(f64::MIN_POSITIVE).sqrt()
    };
    halve((b - c) / n, 1.0, |difference| score(difference) > -looks.z())
}

/// The upper bound that the gate uses. Tango's bound is slightly liberal where nothing was gained (it would show "at
/// most 1 %" with 268 cases without a single difference); there the larger of it and the exact bound on the cases lost
/// counts.
pub fn paired_loss_upper(lost: u64, gained: u64, cases: u64, looks: Looks) -> f64 {
    let score = tango_upper(lost, gained, cases, looks);
    if gained == 0 { score.max(clopper_pearson_upper(lost, cases, looks)) } else { score }
}

/// Cases after which a bound of 95 % and one look shows a loss of at most `budget` with a probability of 80 %, where the true loss is
/// `loss` and the share of cases that differ either way `differing`: `(z_95 + z_80)^2 differing / (budget - loss)^2`, and
/// at least as many as it takes without any difference. `None` where the loss is not below the budget.
pub fn cases_to_show(budget: f64, loss: f64, differing: f64) -> Option<u64> {
    let room = budget - loss;
    if room <= 0.0 || budget >= 1.0 {
        return None;
    }
    let z = (Z_95 + Z_80) * (Z_95 + Z_80);
    let cases = (z * differing / (room * room)).ceil();
    Some((cases as u64).max(cases_without_difference(budget)))
}

/// Fewest cases without any difference that show a share of at most `budget`: `(1 - budget)^n <= 5 %`. 299 for 1 %.
pub fn cases_without_difference(budget: f64) -> u64 {
    let kept = 1.0 - budget.clamp(1e-9, 1.0);
    // Doubling, then halving the distance: the power is a product, not a logarithm.
    let mut high = 1u32;
    while power(kept, high) > Looks::One.alpha() && high < u32::MAX / 2 {
        high *= 2;
    }
    let mut low = 0;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if power(kept, middle) > Looks::One.alpha() { low = middle } else { high = middle }
    }
    u64::from(high)
}

/// `base` to a whole power, by squaring.
fn power(base: f64, mut exponent: u32) -> f64 {
    let (mut result, mut square) = (1.0, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= square;
        }
        square *= square;
        exponent >>= 1;
    }
    result
}

/// The point between `low` and `high` up to which `below` holds.
fn halve(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2.0;
        if below(middle) { low = middle } else { high = middle }
    }
    high
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 10_000;
/// Resamples in all of one bootstrap, at most: a large set needs fewer.
const DRAWS_MAX: usize = 200_000_000;

/// One-sided upper bound of 95 % on the mean of `losses`, one for each independent case: the percentile bootstrap (Efron
/// 1979) with 10 000 resamples and a quantile of integer rank. 0 where there are no losses. The numbers drawn depend on nothing but
/// how many losses there are.
pub fn bootstrap_upper(losses: &[f64], looks: Looks) -> f64 {
    let count = losses.len();
    if count == 0 {
        return 0.0;
    }
    let resamples = RESAMPLES.min(DRAWS_MAX / count).max(100);
    let mut means: Vec<f64> = (0..resamples as u64)
        .map(|resample| {
            let draw = |position: u64| {
                let random = mix(mix(resample).wrapping_add(position));
                // The high half of the product is uniform below `count`, up to 2^-32.
                losses.get((((random >> 32) * count as u64) >> 32) as usize).copied().unwrap_or(0.0)
            };
            (0..count as u64).map(draw).sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let outside = (resamples as f64 * looks.alpha()) as usize;
    means.get(resamples.saturating_sub(outside + 1)).copied().unwrap_or(0.0)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over a counter: a random number for every position.
fn mix(counter: u64) -> u64 {
    let mut bits = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::Looks::{One, Three};
    use super::*;

    #[test]
    fn bounds_are_those_of_the_literature() {
        let close = |found: f64, expected: f64| (found - expected).abs() < 5e-5;
        // Zero of n: 1 - 0.05^(1/n). Others: the quantile of the beta distribution.
        for (found, cases, expected) in [
            (0, 300, 0.009_936),
            (0, 1, 0.95),
            (1, 10, 0.394_16),
            (4, 1000, 0.009_130),
            (12, 2000, 0.009_705),
            (5, 5, 1.0),
        ] {
            let bound = clopper_pearson_upper(found, cases, One);
            assert!(close(bound, expected), "{found} of {cases}: {bound}");
        }
        for (lost, gained, cases, expected) in [
            (0, 0, 300, 0.0089),
            (5, 4, 1000, 0.0067),
            (10, 8, 1000, 0.0096),
            (20, 15, 1000, 0.0152),
            (75, 60, 5000, 0.0069),
        ] {
            let bound = tango_upper(lost, gained, cases, One);
            assert!((bound - expected).abs() < 5.1e-5, "{lost}, {gained} of {cases}: {bound}");
        }
        assert!(close(paired_loss_upper(0, 0, 300, One), 0.009_936), "the exact bound counts where nothing was gained");
        assert_eq!(tango_upper(0, 0, 0, One), 1.0);
    }

    #[test]
    fn looks_share_the_error() {
        // 1 - (0.05 / 3)^(1/100)
        assert!((clopper_pearson_upper(0, 100, Three) - 0.040_116).abs() < 5e-6);
        assert!(tango_upper(3, 1, 100, Three) > tango_upper(3, 1, 100, One));
        let losses: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(bootstrap_upper(&losses, Three) > bootstrap_upper(&losses, One));
    }

    #[test]
    fn a_claim_of_one_percent_wants_299_cases_without_a_difference() {
        assert_eq!(cases_without_difference(0.01), 299);
        assert!(paired_loss_upper(0, 0, 298, One) > 0.01);
        assert!(paired_loss_upper(0, 0, 299, One) <= 0.01);
        assert_eq!(cases_without_difference(1.0), 1);
        assert_eq!(cases_without_difference(0.05), 59);
    }

    #[test]
    fn sample_sizes_are_those_of_a_power_of_80_percent() {
        for (loss, differing, expected) in
            [(0.0, 0.01, 620), (0.0, 0.04, 2_470), (0.002, 0.02, 1_930), (0.005, 0.02, 4_940)]
        {
            let cases = cases_to_show(0.01, loss, differing).unwrap() as f64;
            assert!((cases / f64::from(expected) - 1.0).abs() < 0.005, "{loss} {differing}: {cases}");
        }
        assert_eq!(cases_to_show(0.01, 0.0, 0.0), Some(299));
        assert_eq!(cases_to_show(0.01, 0.01, 0.01), None);
        assert_eq!(cases_to_show(0.0, 0.0, 0.0), None);
    }

    #[test]
    fn a_bound_grows_with_what_was_lost_and_shrinks_with_cases() {
        for cases in [10, 100, 1000] {
            for lost in 0..9 {
                assert!(
                    paired_loss_upper(lost, 0, cases, One) < paired_loss_upper(lost + 1, 0, cases, One),
                    "{lost} {cases}"
                );
                assert!(
                    paired_loss_upper(lost, 1, cases, One) >= paired_loss_upper(lost, 1, cases * 2, One),
                    "{lost} {cases}"
                );
                assert!(clopper_pearson_upper(lost, cases, One) > lost as f64 / cases as f64);
            }
        }
    }

    /// A gate must not pass a true loss of the budget more often than in 5 of 100 cases, give or take what 10 000
    /// repetitions leave open (four standard errors: 0.9 %). Tango's bound is known to err by a few tenths more.
    #[test]
    fn gates_at_the_budget_pass_at_most_5_of_100() {
        const GATES: u64 = 10_000;
        for (case, (cases, budget, differing)) in
            [(300u64, 0.01, 0.01), (1000, 0.01, 0.012), (1000, 0.01, 0.03), (600, 0.02, 0.1), (2000, 0.005, 0.02)]
                .into_iter()
                .enumerate()
        {
            let lost_share = (differing + budget) / 2.0;
            let mut passed = 0;
            let mut seen = std::collections::BTreeMap::new();
            for gate in 0..GATES {
                let (mut lost, mut gained) = (0, 0);
                for index in 0..cases {
                    let random = mix(mix(gate).wrapping_add(index).wrapping_add((case as u64) << 56));
                    let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
                    lost += u64::from(uniform < lost_share);
                    gained += u64::from((lost_share..differing).contains(&uniform));
                }
                let pass = *seen
                    .entry((lost, gained))
                    .or_insert_with(|| paired_loss_upper(lost, gained, cases, One) <= budget);
                passed += u64::from(pass);
            }
            let share = passed as f64 / GATES as f64;
            assert!(share <= 0.059, "{cases} cases, {budget}, {differing}: {share}");
        }
    }

    #[test]
    fn the_bootstrap_bounds_a_mean() {
        assert_eq!(bootstrap_upper(&[], One), 0.0);
        assert_eq!(bootstrap_upper(&[0.25; 7], One), 0.25);
        // Mean 0.5, standard deviation 0.5: the bound is about 0.5 + 1.645 * 0.5 / 20.
        let losses: Vec<f64> = (0..400).map(|index| f64::from(index % 2)).collect();
        let bound = bootstrap_upper(&losses, One);
        assert!((bound - 0.5411).abs() < 0.003, "{bound}");
        assert_eq!(bootstrap_upper(&losses, One).to_bits(), bound.to_bits());
    }
}
