//! Sums over what a weight is multiplied with, and over products of pairs of it.

use super::patches::Patches;
use pannier_engine::Tensor;

/// Most vectors that are looked at.
const MOST_ROWS: usize = 20_000;
/// Multiplications for which vectors are given up, as long as there are twice as many of them as they are long.
const MOST_PRODUCTS: usize = 1 << 29;
/// Vectors longer than this have no products: a matrix of them would take 128 MiB.
const MOST_WIDTH: usize = 4096;

/// First and second moments, about zero, of each group. Sums are binary64 in the order of cases.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::quantize) struct Moments {
    /// Numbers of a vector.
    pub(in crate::quantize) width: usize,
    /// Vectors that were seen.
    rows: u64,
    /// Sum of the vectors of each group.
    sums: Vec<f64>,
    /// Sum of `x x^T` of each group, of which the upper half is filled; empty if they were not asked for.
    products: Vec<f64>,
    /// Vectors of one case.
    rows_per_case: usize,
}

impl Moments {
    pub(super) fn new(patches: &Patches, cases: usize, products: bool) -> Moments {
        let (groups, width) = (patches.groups(), patches.width());
        let area = groups.saturating_mul(width).saturating_mul(width);
        let rows = (2 * width).max(MOST_PRODUCTS / area.max(1)).clamp(1, MOST_ROWS);
        let products = products && width <= MOST_WIDTH && area <= MOST_WIDTH * MOST_WIDTH;
        Moments {
            width,
            rows: 0,
            sums: vec![0.0; groups * width],
            products: if products { vec![0.0; area] } else { Vec::new() },
            rows_per_case: rows.div_ceil(cases.max(1)),
        }
    }

    pub(super) fn add(&mut self, patches: &Patches, tensor: &Tensor) {
        let width = self.width;
        let mut wide = vec![0.0; width];
        let (sums, products, rows) = (&mut self.sums, &mut self.products, &mut self.rows);
        patches.each(tensor, self.rows_per_case, &mut |group, patch| {
            *rows += u64::from(group == 0);
            for (wide, number) in wide.iter_mut().zip(patch) {
                *wide = f64::from(*number);
            }
            for (sum, number) in sums.iter_mut().skip(group * width).zip(&wide) {
                *sum += number;
            }
            let Some(matrix) = products.get_mut(group * width * width..(group + 1) * width * width) else { return };
            for (first, row) in matrix.chunks_mut(width).enumerate() {
                let (Some(by), Some(others), Some(row)) = (wide.get(first), wide.get(first..), row.get_mut(first..))
                else {
                    continue;
                };
                // Behind a ReLU most numbers are zero.
                if *by != 0.0 {
                    row.iter_mut().zip(others).for_each(|(sum, number)| *sum += by * number);
                }
            }
        });
    }

    /// Groups of weights that see different inputs.
    pub(in crate::quantize) fn groups(&self) -> usize {
        self.sums.len().checked_div(self.width).unwrap_or(0)
    }

    /// The mean vector of a group; `None` where nothing was seen.
    pub(in crate::quantize) fn mean(&self, group: usize) -> Option<Vec<f64>> {
        let sums = self.sums.get(group * self.width..(group + 1) * self.width)?;
        (self.rows > 0).then(|| sums.iter().map(|sum| sum / self.rows as f64).collect())
    }

    /// The mean of `x x^T` of a group, both halves; `None` where it was not asked for, or nothing was seen.
    ///
    /// Off the diagonal it is shrunk by `rows / (rows + width)` (as Ledoit and Wolf 2004 shrink covariances): a few inputs look
    /// correlated by chance, and weights rounded for those inputs would be wrong for all others.
    pub(in crate::quantize) fn products(&self, group: usize) -> Option<Vec<f64>> {
        let rows = self.rows as f64;
        self.scaled_products(group, rows / (rows + self.width as f64))
    }

    /// The same as it was seen, and how many times fewer vectors there were than they are long.
    pub(in crate::quantize) fn seen_products(&self, group: usize) -> Option<(Vec<f64>, f64)> {
        Some((self.scaled_products(group, 1.0)?, self.width as f64 / self.rows as f64))
    }

    fn scaled_products(&self, group: usize, kept: f64) -> Option<Vec<f64>> {
        let area = self.width * self.width;
        let upper = self.products.get(group * area..(group + 1) * area).filter(|_| self.rows > 0 && area > 0)?;
        let at = |row: usize, column: usize| upper.get(row.min(column) * self.width + row.max(column));
        let entry = |index: usize| {
            let (row, column) = (index / self.width, index % self.width);
            let mean = at(row, column).copied().unwrap_or_default() / self.rows as f64;
            if row == column { mean } else { mean * kept }
        };
        Some((0..area).map(entry).collect())
    }
}
