//! Rounding: which code each weight of a row gets.
//!
//! *Nearest* looks at each weight by itself. *Adaptive* looks at what the row is for: with `H` the mean of `x x^T` over
//! calibration inputs, a row `w` rounded to `v` changes the layer's result by `(w - v)^T H (w - v)` on average. It is made small
//! - by GPTQ (Frantar et al. 2023, arXiv:2210.17323): one weight after the other, each error made up for by those that follow.
//!   Here in the equivalent form of Babai's nearest plane (arXiv:2507.18553), which takes one Cholesky factor of `H` and no
//!   inverse; weights with strong inputs come first;
//! - by coordinate descent from there (COMQ, arXiv:2403.07134), which never makes it worse;
//! - for rows of up to nine weights, as in depthwise convolutions of 3 x 3, by trying both neighbours of every weight.
//!
//! The best of these and of nearest is kept. `H` has no mean taken off, so the mean error is made small, too.
//!
//! Weights that are pruned stay zero; the others make up for them in the same way (SparseGPT, arXiv:2301.00774).

use super::codes::Grid;

/// Part of the mean diagonal of `H` that is added to it, as in GPTQ.
const DAMPING: f64 = 0.01;
/// Rounds of coordinate descent.
const SWEEPS: usize = 3;
/// Longest row of which all neighbours are tried: 512 combinations.
const MOST_ENUMERATED: usize = 9;

/// Longest row from whose nearest codes coordinate descent starts as well: longer ones gain nothing by it.
const MOST_FROM_NEAREST: usize = 64;

/// What one weight of a row may become.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice<'a> {
    /// Any number.
    Any,
    /// Zero.
    Zero,
    /// A code of a grid.
    Code(&'a Grid),
}

impl Choice<'_> {
    /// The nearest that it may become.
    pub(super) fn nearest(&self, number: f64) -> f64 {
        match self {
            Choice::Any => number,
            Choice::Zero => 0.0,
            Choice::Code(grid) => f64::from(grid.decode(grid.encode(number as f32))),
        }
    }

    /// The neighbours below and above.
    fn neighbours(&self, number: f64) -> [f64; 2] {
        let nearest = self.nearest(number);
        let Choice::Code(grid) = self else { return [nearest, nearest] };
        let other = self.nearest(nearest + f64::from(grid.scale) * if number < nearest { -1.0 } else { 1.0 });
        [nearest, other]
    }
}

/// `H`, ready to round with.
pub(super) struct Metric {
    width: usize,
    /// `H` with damping, row-major.
    products: Vec<f64>,
    /// Indices in the order in which weights are rounded.
    order: Vec<usize>,
    /// Upper Cholesky factor of `H` in the reverse of that order.
    factor: Vec<f64>,
}

impl Metric {
    /// Of a square matrix; `None` where it says nothing: all of it is zero, or it is no number.
    pub(super) fn new(mut products: Vec<f64>, width: usize) -> Option<Metric> {
        let trace: f64 = (0..width).filter_map(|index| products.get(index * width + index)).sum();
        if !(trace.is_finite() && trace > 0.0) || products.len() != width * width {
            return None;
        }
        for index in 0..width {
            products[index * width + index] += DAMPING * trace / width as f64;
        }
        let mut order: Vec<usize> = (0..width).collect();
        let diagonal = |index: usize| products[index * width + index];
        order.sort_by(|a, b| diagonal(*b).total_cmp(&diagonal(*a)).then(a.cmp(b)));
        let factor = cholesky(&products, &order, width)?;
        Some(Metric { width, products, order, factor })
    }

    /// How strongly each weight's input speaks.
    pub(super) fn diagonal(&self) -> Vec<f64> {
        self.products.iter().step_by(self.width + 1).copied().collect()
    }

    /// What a row becomes, and whether that is better than the nearest.
    pub(super) fn round<'a>(&self, row: &[f32], choice: impl Fn(usize) -> Choice<'a>) -> (Vec<f64>, bool) {
        let wide: Vec<f64> = row.iter().map(|number| f64::from(*number)).collect();
        let nearest: Vec<f64> = wide.iter().enumerate().map(|(index, number)| choice(index).nearest(*number)).collect();
        let mut best = (self.error(&wide, &nearest), nearest.clone(), false);
        let mut attempt = |rounded: Vec<f64>| {
            let error = self.error(&wide, &rounded);
            if error < best.0 {
                best = (error, rounded, true);
            }
        };
        if wide.len() <= MOST_ENUMERATED {
            attempt(self.enumerated(&wide, &choice));
        }
        let planes = self.nearest_plane(&wide, &choice);
        attempt(self.descended(&wide, planes, &choice));
        if wide.len() <= MOST_FROM_NEAREST {
            attempt(self.descended(&wide, nearest, &choice));
        }
        (best.1, best.2)
    }

    /// `(w - v)^T H (w - v)`
    fn error(&self, exact: &[f64], rounded: &[f64]) -> f64 {
        let lost: Vec<f64> = exact.iter().zip(rounded).map(|(exact, rounded)| exact - rounded).collect();
        let gradient = self.gradient(&lost);
        lost.iter().zip(&gradient).map(|(lost, gradient)| lost * gradient).sum()
    }

    /// `H e`
    fn gradient(&self, lost: &[f64]) -> Vec<f64> {
        let rows = self.products.chunks(self.width);
        rows.map(|row| row.iter().zip(lost).map(|(entry, lost)| entry * lost).sum()).collect()
    }

    /// One weight after the other, each rounded where those before it would have it.
    fn nearest_plane<'a>(&self, exact: &[f64], choice: &impl Fn(usize) -> Choice<'a>) -> Vec<f64> {
        let mut rounded = vec![0.0; exact.len()];
        // Errors of the weights that were rounded, by their place in the order.
        let mut lost = vec![0.0; exact.len()];
        for (place, index) in self.order.iter().enumerate() {
            // The factor's rows are in reverse order: what follows its diagonal are the weights that were rounded.
            let reverse = self.width - 1 - place;
            let row = &self.factor[reverse * self.width..(reverse + 1) * self.width];
            let pull: f64 = row[reverse + 1..].iter().zip(lost[..place].iter().rev()).map(|(r, lost)| r * lost).sum();
            let wanted = exact[*index] + pull / row[reverse];
            rounded[*index] = choice(*index).nearest(wanted);
            lost[place] = exact[*index] - rounded[*index];
        }
        rounded
    }

    /// Each weight in turn takes the best code while the others stay.
    fn descended<'a>(&self, exact: &[f64], mut rounded: Vec<f64>, choice: &impl Fn(usize) -> Choice<'a>) -> Vec<f64> {
        let lost: Vec<f64> = exact.iter().zip(&rounded).map(|(exact, rounded)| exact - rounded).collect();
        let mut gradient = self.gradient(&lost);
        for _ in 0..SWEEPS {
            let mut changed = false;
            for index in 0..exact.len() {
                let row = &self.products[index * self.width..(index + 1) * self.width];
                let best = choice(index).nearest(rounded[index] + gradient[index] / row[index]);
                let step = best - rounded[index];
                if step != 0.0 && step.abs() > f64::EPSILON * best.abs() {
                    rounded[index] = best;
                    gradient.iter_mut().zip(row).for_each(|(gradient, entry)| *gradient -= entry * step);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        rounded
    }

    /// The best of all choices between two neighbours.
    fn enumerated<'a>(&self, exact: &[f64], choice: &impl Fn(usize) -> Choice<'a>) -> Vec<f64> {
        let neighbours: Vec<[f64; 2]> =
            exact.iter().enumerate().map(|(index, number)| choice(index).neighbours(*number)).collect();
        let mut rounded: Vec<f64> = neighbours.iter().map(|[nearest, _]| *nearest).collect();
        let lost: Vec<f64> = exact.iter().zip(&rounded).map(|(exact, rounded)| exact - rounded).collect();
        let mut gradient = self.gradient(&lost);
        let mut error = 0.0;
        let (mut best, mut found) = (0.0, rounded.clone());
        // Gray code: each combination differs from the one before in one weight.
        for combination in 1_u32..1 << exact.len() {
            let index = combination.trailing_zeros() as usize;
            let [first, second] = neighbours[index];
            let next = if rounded[index] == first { second } else { first };
            let step = next - rounded[index];
            let row = &self.products[index * self.width..(index + 1) * self.width];
            error += step * (step * row[index] - 2.0 * gradient[index]);
            gradient.iter_mut().zip(row).for_each(|(gradient, entry)| *gradient -= entry * step);
            rounded[index] = next;
            if error < best {
                (best, found) = (error, rounded.clone());
            }
        }
        found
    }
}

/// `R` with `R^T R = H`, `H` taken in the reverse of an order; `None` where it is not positive definite.
pub(super) fn cholesky(products: &[f64], order: &[usize], width: usize) -> Option<Vec<f64>> {
    let reversed: Vec<usize> = order.iter().rev().copied().collect();
    let mut factor: Vec<f64> =
        reversed.iter().flat_map(|row| reversed.iter().map(move |column| products[row * width + column])).collect();
    for pivot in 0..width {
        let (done, rest) = factor.split_at_mut((pivot + 1) * width);
        let row = &mut done[pivot * width..];
        let root = row[pivot].sqrt();
        if !(root.is_finite() && root > 0.0) {
            return None;
        }
        row[pivot..].iter_mut().for_each(|entry| *entry /= root);
        for (below, other) in rest.chunks_mut(width).enumerate() {
            let column = pivot + 1 + below;
            let by = row[column];
            if by != 0.0 {
                other[column..].iter_mut().zip(&row[column..]).for_each(|(entry, above)| *entry -= by * above);
            }
        }
    }
    Some(factor)
}
