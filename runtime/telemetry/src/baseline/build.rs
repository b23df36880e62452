//! Making a baseline from calibration data.

use super::{Baseline, Role, TensorBaseline, bin};
use crate::drift;
use crate::ports::{self, Watched};
use crate::sample;
use pannier_bundle::manifest::Port;
use pannier_engine::TensorView;

/// Collects what the inputs and outputs of calibration runs look like, in the order of the runs.
#[derive(Debug)]
pub struct BaselineBuilder {
    tensors: Vec<(Watched, Values)>,
    runs: usize,
}

/// The values of one tensor that were looked at, run by run.
#[derive(Debug, Default)]
struct Values {
    runs: Vec<Vec<f64>>,
    min: f64,
    max: f64,
}

impl BaselineBuilder {
    /// Most runs that are looked at; those that follow are left out.
    pub const MAX_RUNS: usize = 4096;

    /// A builder for a model with these inputs and outputs.
    pub fn new(inputs: &[Port], outputs: &[Port]) -> BaselineBuilder {
        let empty = || Values { runs: Vec::new(), min: f64::INFINITY, max: f64::NEG_INFINITY };
        let tensors = ports::watched(inputs, outputs).map(|watched| (watched, empty())).collect();
        BaselineBuilder { tensors, runs: 0 }
    }

    /// Looks at one run: inputs and outputs in the manifest's order.
    pub fn add(&mut self, inputs: &[TensorView<'_>], outputs: &[TensorView<'_>]) {
        if self.runs >= Self::MAX_RUNS {
            return;
        }
        for (watched, values) in &mut self.tensors {
            let side = if watched.role == Role::Output { outputs } else { inputs };
            let Some(tensor) = side.get(watched.port) else { continue };
            let mut run = Vec::with_capacity(sample::cost(tensor.len()));
            sample::each(*tensor, watched.reading, self.runs as u64, |value| {
                run.extend(Some(value).filter(|value| value.is_finite()))
            });
            // The range is that of all elements: a window may look at any of them.
            sample::all(*tensor, watched.reading, |value| {
                if value.is_finite() {
                    values.min = values.min.min(value);
                    values.max = values.max.max(value);
                }
            });
            values.runs.push(run);
        }
        self.runs += 1;
    }

    /// The baseline. Tensors of which no finite value was seen are left out.
    pub fn finish(self) -> Baseline {
        let describe = |(watched, values): (Watched, Values)| {
            let port = u32::try_from(watched.port).ok()?;
            Some(TensorBaseline { role: watched.role, port, ..describe(values)? })
        };
        Baseline { tensors: self.tensors.into_iter().filter_map(describe).take(Baseline::MAX_TENSORS).collect() }
    }
}

fn describe(values: Values) -> Option<TensorBaseline> {
    let runs: Vec<&Vec<f64>> = values.runs.iter().filter(|run| !run.is_empty()).collect();
    let edges = edges(runs.iter().flat_map(|run| run.iter().copied()).collect(), runs.len())?;
    let shares: Vec<Vec<f64>> = runs.iter().map(|run| histogram(run, &edges)).collect();
    let counts: Vec<f64> = (0..=edges.len()).map(|bin| shares.iter().map(|run| run[bin]).sum()).collect();
    let total: f64 = counts.iter().sum();
    let sum: f64 = runs.iter().flat_map(|run| run.iter()).map(|value| value / total).sum();
    let Chance { scale, degrees } = chance(&shares, &counts);
    Some(TensorBaseline {
        runs: runs.len() as u64,
        counts: counts.iter().map(|count| *count as u64).collect(),
        edges,
        min: values.min,
        max: values.max,
        // Rounding may carry the mean of equal values past them.
        mean: sum.clamp(values.min, values.max),
        scale,
        degrees,
        ..TensorBaseline::default()
    })
}

/// Quantiles of the values as edges: as many bins as the root of the number of runs, 4 to 12. More bins than runs can
/// tell apart would follow the accidents of the calibration.
fn edges(mut values: Vec<f64>, runs: usize) -> Option<Vec<f64>> {
    values.sort_by(f64::total_cmp);
    let last = *values.last()?;
    let bins = ((runs as f64).sqrt().round() as usize).clamp(4, 12);
    let mut edges: Vec<f64> = (1..bins).filter_map(|edge| values.get(edge * values.len() / bins).copied()).collect();
    // A value that is many quantiles, such as the white of paper, has a bin of its own.
    let frequent = edges.iter().zip(edges.iter().skip(1)).filter(|(one, next)| one == next);
    let below: Vec<f64> = frequent.map(|(value, _)| value.next_down()).collect();
    edges.extend(below);
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    // Nothing lies above the largest value: its bin would be empty.
    edges.retain(|edge| *edge < last);
    if edges.last().is_none_or(|edge| *edge < values.first().copied().unwrap_or(last)) {
        // There is one value alone: what lies above it, and what below, are bins that others may fall into.
        edges.push(last);
    }
    edges.retain(|edge| edge.is_finite());
    Some(edges)
}

fn histogram(run: &[f64], edges: &[f64]) -> Vec<f64> {
    let mut counts = vec![0.0; edges.len() + 1];
    run.iter().for_each(|value| counts[bin(edges, *value)] += 1.0);
    counts
}

/// How windows differ from the baseline by chance: see [`crate::drift`].
struct Chance {
    scale: f64,
    degrees: f64,
}

/// The moments of the differences between runs, by Satterthwaite's approximation.
fn chance(runs: &[Vec<f64>], counts: &[f64]) -> Chance {
    let total: f64 = counts.iter().sum();
    let count = runs.len() as f64;
    let mean_size = total / count;
    // Residuals of the ratio estimator, each divided by the root of its bin's share.
    let residuals: Vec<Vec<f64>> = runs
        .iter()
        .map(|run| {
            let size: f64 = run.iter().sum();
            let residual = |(found, count): (&f64, &f64)| {
                let share = count / total;
                if share > 0.0 { (found - share * size) / (mean_size * share.sqrt()) } else { 0.0 }
            };
            run.iter().zip(counts).map(residual).collect()
        })
        .collect();
    let length = block_length(&residuals);
    let blocks = blocks(&residuals, length);
    let bins = counts.len();
    let covariance = |a: usize, b: usize| -> f64 {
        let sum: f64 = blocks.iter().map(|block| block[a] * block[b]).sum();
        // Of means of `length` runs; for one run it is that many times as much.
        sum / (blocks.len() as f64 - 1.0).max(1.0) * length as f64
    };
    let trace: f64 = (0..bins).map(|bin| covariance(bin, bin)).sum();
    let squares: f64 = (0..bins).map(|a| (0..bins).map(|b| covariance(a, b).powi(2)).sum::<f64>()).sum();
    if trace <= 0.0 || squares <= 0.0 {
        // All runs have the same shares: any difference is more than chance.
        return Chance { scale: 0.0, degrees: 1.0 };
    }
    let degrees = trace * trace / squares;
    Chance { scale: squares / trace * drift::inflation(degrees, runs.len(), blocks.len()), degrees }
}

/// Fewest blocks that a variance is estimated from.
const FEWEST_BLOCKS: usize = 4;

/// How many runs in a row count as one: 1 where runs are independent, and in a stream as many as it takes until their means are.
/// Blocks grow until the first autocorrelation of their means is not significant (Fishman 1978).
fn block_length(residuals: &[Vec<f64>]) -> usize {
    let is_stream = autocorrelation(residuals) > 2.0 / (residuals.len() as f64).sqrt();
    let mut length = 1;
    while is_stream && residuals.len() / (length + 1) >= FEWEST_BLOCKS {
        length = (length + 1).max(length * 5 / 4);
        let means = blocks(residuals, length);
        // Half of what is usual: to take dependent blocks for independent is the costlier mistake.
        if autocorrelation(&means) < 1.0 / (means.len() as f64).sqrt() {
            break;
        }
    }
    length
}

/// The first autocorrelation of vectors whose mean is zero.
fn autocorrelation(vectors: &[Vec<f64>]) -> f64 {
    let dot = |lag: usize| -> f64 {
        let pairs = vectors.iter().zip(vectors.iter().skip(lag));
        pairs.map(|(one, later)| one.iter().zip(later).map(|(a, b)| a * b).sum::<f64>()).sum()
    };
    dot(1) / dot(0)
}

/// Means of so many vectors in a row each; what is left over at the end is left out.
fn blocks(vectors: &[Vec<f64>], length: usize) -> Vec<Vec<f64>> {
    let mean = |block: &[Vec<f64>]| {
        let mut mean = vec![0.0; block.first().map_or(0, Vec::len)];
        for vector in block {
            mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value / length as f64);
        }
        mean
    };
    vectors.chunks_exact(length).map(mean).collect()
}
