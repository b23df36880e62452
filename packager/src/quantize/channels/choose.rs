//! Which channels go, and what the weights that read the others become.
//!
//! With `H` the mean of `x x^T` over what a layer reads, taking channel `q` out costs about `|w_q|^2 / [H^-1]_qq` if the weights of the
//! others are then chosen anew (Optimal Brain Surgeon, Hassibi and Stork 1993, for whole columns). So a channel that others can
//! stand in for goes first: one that is a copy, or always zero. One goes after the other, since of two copies only one can.
//!
//! What is left is fitted to what the layer made of all channels, by least squares.

use crate::quantize::calibrate::Moments;
use crate::quantize::rounding::cholesky;
use crate::quantize::weights::{Numbers, Rows};

/// Part of the mean diagonal of `H` that is added to it: enough for channels that are copies.
const DAMPING: f64 = 1e-4;
/// So much more for each time that vectors are longer than there are of them: what few inputs have in common is chance.
const DAMPING_OF_FEW: f64 = 1e-3;
/// Most numbers that are fitted at once; more take minutes.
const MOST_FITTED: usize = 4096;

/// A weight that reads channels.
pub(super) struct Reader {
    numbers: Numbers,
    /// A row for each output.
    rows: Rows,
    channels: usize,
    seen: Option<Seen>,
}

/// What was seen of what a row is multiplied with.
struct Seen {
    /// Mean of `x x^T`, damped.
    products: Vec<f64>,
    /// Numbers that were always zero.
    silent: Vec<bool>,
}

impl Reader {
    /// Of a matrix, or a kernel whose channels are on the second axis.
    pub(super) fn new(numbers: Numbers, axis: usize, channels: usize, moments: Option<&Moments>) -> Reader {
        let rows = numbers.rows(1 - axis.min(1));
        let fits = |moments: &&Moments| moments.width == rows.width() && moments.width <= MOST_FITTED;
        let seen = moments.filter(fits).and_then(Seen::of);
        Reader { numbers, rows, channels, seen }
    }

    /// Weights of a channel in a row.
    fn taps(&self) -> usize {
        self.rows.width().checked_div(self.channels).unwrap_or(0).max(1)
    }

    /// The weight, where these channels stay in it but say nothing, and the others stand in for them.
    pub(super) fn without(mut self, gone: &[usize]) -> Numbers {
        let (width, taps) = (self.rows.width(), self.taps());
        let is_gone = |index: &usize| gone.contains(&(index / taps));
        let (lost, kept): (Vec<usize>, Vec<usize>) = (0..width).partition(is_gone);
        let stand_ins = self.seen.as_ref().and_then(|seen| fitted(&seen.products, width, &kept, &lost));
        if let Some(stand_ins) = stand_ins {
            for row in self.rows.data.chunks_mut(width.max(1)) {
                let from: Vec<f64> = lost.iter().map(|index| f64::from(row[*index])).collect();
                for (index, shares) in kept.iter().zip(stand_ins.chunks(lost.len().max(1))) {
                    let more: f64 = from.iter().zip(shares).map(|(weight, share)| weight * share).sum();
                    let sum = (f64::from(row[*index]) + more) as f32;
                    row[*index] = if sum.is_finite() { sum } else { row[*index] };
                }
            }
        }
        Numbers { data: self.rows.restore(&self.rows.data), shape: self.numbers.shape }
    }
}

impl Seen {
    /// `None` where it says nothing.
    fn of(moments: &Moments) -> Option<Seen> {
        let (mut products, scarcity) = moments.seen_products(0)?;
        let width = moments.width;
        let energy: Vec<f64> = (0..width).map(|index| products[index * width + index]).collect();
        let more = (DAMPING + DAMPING_OF_FEW * scarcity) * energy.iter().sum::<f64>() / width as f64;
        (more.is_finite() && more > 0.0).then(|| {
            (0..width).for_each(|index| products[index * width + index] += more);
            Seen { products, silent: energy.iter().map(|energy| *energy == 0.0).collect() }
        })
    }
}

/// How much of each lost number each kept one stands in for, by least squares: a row for each kept one.
fn fitted(products: &[f64], width: usize, kept: &[usize], lost: &[usize]) -> Option<Vec<f64>> {
    let size = kept.len();
    let matrix: Vec<f64> =
        kept.iter().flat_map(|row| kept.iter().map(move |column| products[row * width + column])).collect();
    let inverse = Inverse::of(&matrix, size)?;
    let columns: Vec<Vec<f64>> = lost
        .iter()
        .map(|lost| inverse.times(&kept.iter().map(|kept| products[kept * width + lost]).collect::<Vec<_>>()))
        .collect();
    Some((0..size).flat_map(|row| columns.iter().map(move |column| column[row])).collect())
}

/// The inverse of a symmetric matrix, as its Cholesky factor `R`, `R^T R`.
struct Inverse {
    factor: Vec<f64>,
    size: usize,
}

impl Inverse {
    fn of(matrix: &[f64], size: usize) -> Option<Inverse> {
        let order: Vec<usize> = (0..size).rev().collect();
        Some(Inverse { factor: cholesky(matrix, &order, size)?, size })
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        let (factor, size) = (&self.factor, self.size);
        let mut solved = vector.to_vec();
        for row in 0..size {
            solved[row] /= factor[row * size + row];
            let found = solved[row];
            let above = &factor[row * size + row + 1..(row + 1) * size];
            solved[row + 1..].iter_mut().zip(above).for_each(|(rest, entry)| *rest -= entry * found);
        }
        for row in (0..size).rev() {
            let above = &factor[row * size + row + 1..(row + 1) * size];
            let sum: f64 = above.iter().zip(&solved[row + 1..]).map(|(entry, found)| entry * found).sum();
            solved[row] = (solved[row] - sum) / factor[row * size + row];
        }
        solved
    }
}

/// The channels that cost least, so many of them, in ascending order. `makers` are the squares of the weights that make each; they
/// count where it is not known what a reader reads. Ties go to the lower index.
pub(super) fn least(readers: &[Reader], makers: &[f64], count: usize) -> Vec<usize> {
    let mut costs: Option<Vec<Costs>> = readers.iter().map(Costs::of).collect();
    let mut gone = Vec::new();
    for _ in 0..count {
        let cost = |channel: usize| match &costs {
            Some(costs) => costs.iter().map(|costs| costs.of_channel(channel)).sum(),
            None => makers[channel] * readers.iter().map(|reader| reader.energy(channel)).sum::<f64>(),
        };
        let left = (0..makers.len()).filter(|channel| !gone.contains(channel));
        let Some(next) = left.min_by(|a, b| cost(*a).total_cmp(&cost(*b)).then(a.cmp(b))) else { break };
        costs.iter_mut().flatten().for_each(|costs| costs.take(next));
        gone.push(next);
    }
    gone.sort_unstable();
    gone
}

impl Reader {
    /// Squares of the weights that read a channel.
    fn energy(&self, channel: usize) -> f64 {
        let taps = self.taps();
        let rows = self.rows.data.chunks(self.rows.width().max(1));
        let read = rows.flat_map(|row| row.iter().skip(channel * taps).take(taps));
        read.map(|weight| f64::from(*weight) * f64::from(*weight)).sum()
    }
}

/// What it costs a reader to lose each channel that is left.
struct Costs {
    /// For each channel the weights that read it, by row and tap.
    weights: Vec<Vec<f64>>,
    /// Inverse of `H` of channels, taps added up.
    inverse: Vec<f64>,
    /// Channels that were always zero: they cost nothing, however large the weights are that read them.
    silent: Vec<bool>,
}

impl Costs {
    fn of(reader: &Reader) -> Option<Costs> {
        let Seen { products, silent } = reader.seen.as_ref()?;
        let (width, taps, size) = (reader.rows.width(), reader.taps(), reader.channels);
        let mut matrix = vec![0.0; size * size];
        for (index, entry) in matrix.iter_mut().enumerate() {
            let (row, column) = (index / size * taps, index % size * taps);
            *entry = (0..taps).map(|tap| products[(row + tap) * width + column + tap]).sum();
        }
        let inverse = Inverse::of(&matrix, size)?;
        let unit = |index: usize| (0..size).map(|other| f64::from(u8::from(other == index))).collect::<Vec<_>>();
        let weights = |channel: usize| {
            let rows = reader.rows.data.chunks(width.max(1));
            rows.flat_map(|row| row.iter().skip(channel * taps).take(taps)).map(|weight| f64::from(*weight)).collect()
        };
        Some(Costs {
            weights: (0..size).map(weights).collect(),
            inverse: (0..size).flat_map(|index| inverse.times(&unit(index))).collect(),
            silent: silent.chunks(taps).map(|taps| taps.iter().all(|silent| *silent)).collect(),
        })
    }

    fn size(&self) -> usize {
        self.weights.len()
    }

    fn of_channel(&self, channel: usize) -> f64 {
        if self.silent[channel] {
            return 0.0;
        }
        let energy: f64 = self.weights[channel].iter().map(|weight| weight * weight).sum();
        energy / self.inverse[channel * self.size() + channel]
    }

    /// Takes a channel out: the others stand in for it.
    fn take(&mut self, gone: usize) {
        let size = self.size();
        let row = self.inverse[gone * size..(gone + 1) * size].to_vec();
        let pivot = row[gone];
        let lost = std::mem::take(&mut self.weights[gone]);
        for (channel, weights) in self.weights.iter_mut().enumerate().filter(|(channel, _)| *channel != gone) {
            let share = -row[channel] / pivot;
            weights.iter_mut().zip(&lost).for_each(|(weight, lost)| *weight += share * lost);
            let others = &mut self.inverse[channel * size..(channel + 1) * size];
            let by = row[channel] / pivot;
            others.iter_mut().zip(&row).for_each(|(entry, other)| *entry -= by * other);
        }
    }
}
