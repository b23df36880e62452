//! Times of many runs in three numbers.

use serde::Serialize;
use std::time::Duration;

/// Times of many runs, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The fastest: what the machine can do when nothing disturbs it.
    pub min: f64,
    /// Half of the runs are faster.
    pub median: f64,
    /// 99 of 100 runs are faster.
    pub p99: f64,
}

impl Latency {
    /// Summarises the times of some runs; `None` if there are none. Nearest-rank percentiles.
    pub fn of(times: &[Duration]) -> Option<Latency> {
        let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let position = (share * sorted.len() as f64).ceil().max(1.0) as usize - 1;
            sorted.get(position).copied()
        };
        Some(Latency { min: rank(0.0)?, median: rank(0.5)?, p99: rank(0.99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        let latency = Latency::of(&times).unwrap();
        assert_eq!((latency.min, latency.median, latency.p99), (1.0, 50.0, 99.0));
        let one = Latency::of(&times[..1]).unwrap();
        assert_eq!((one.min, one.median, one.p99), (100.0, 100.0, 100.0));
        assert_eq!(Latency::of(&[]), None);
    }
}
