//! The loop that measures, and what is made of its times.

use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};

// As in xtask/python/peer.py.
const WARM_UP_RUNS: usize = 3;
const MIN_RUNS: usize = 5;
const MAX_RUNS: usize = 2000;

/// Milliseconds of each of the runs that fit into so many seconds, after some that are not counted.
///
/// # Errors
/// That of the first run that fails.
pub fn latencies_ms(seconds: f64, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..WARM_UP_RUNS {
        run()?;
    }
    let (stop, mut latencies) = (Instant::now() + Duration::from_secs_f64(seconds), Vec::new());
    while latencies.len() < MIN_RUNS || (Instant::now() < stop && latencies.len() < MAX_RUNS) {
        let started = Instant::now();
        run()?;
        latencies.push(milliseconds(started.elapsed()));
    }
    Ok(latencies)
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The value that so many percent of the values do not exceed (nearest rank). 50: the median, of an even number the lower.
///
/// # Errors
/// There are no values.
pub fn percentile(values: &[f64], percent: usize) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().context("nothing was measured")
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (values, percent, expected) in [
            (&hundred[..], 50, Some(50.0)),
            (&hundred, 99, Some(99.0)),
            (&hundred, 100, Some(100.0)),
            (&hundred, 0, Some(1.0)),
            (&hundred[..1], 99, Some(100.0)),
            (&[], 50, None),
        ] {
            assert_eq!(percentile(values, percent).ok(), expected, "{percent} % of {} values", values.len());
        }
    }
}
