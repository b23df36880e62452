//! One weight: prune, choose grids, round.

use super::store::{Coded, Stored};
use crate::quantize::calibrate::Moments;
use crate::quantize::codes::Grid;
use crate::quantize::rounding::{Choice, Metric};
use crate::quantize::weights::Rows;
use crate::quantize::{LayerScheme, Recipe, Rounding, prune, range};

/// A weight after rounding.
pub(super) struct Rounded {
    pub(super) stored: Stored,
    /// What engines make of it, row after row.
    pub(super) decoded: Vec<f32>,
    /// Adaptive where that was better than nearest in at least one row.
    pub(super) rounding: Rounding,
}

/// Rounds the rows of a weight. `moments` are of what these rows are multiplied with.
pub(super) fn round(
    rows: &Rows,
    scheme: LayerScheme,
    recipe: &Recipe,
    moments: Option<&Moments>,
    as_operand: bool,
) -> Rounded {
    let (width, count) = (rows.width().max(1), rows.count());
    let moments = moments.filter(|moments| {
        moments.width == rows.width() && moments.groups() > 0 && count.is_multiple_of(moments.groups())
    });
    let adaptive = recipe.rounding == Rounding::Adaptive;
    let per_group = count.checked_div(moments.map_or(1, Moments::groups)).unwrap_or(1).max(1);
    // One for each group.
    let metrics: Vec<Option<Metric>> = (0..moments.map_or(0, Moments::groups))
        .map(|group| Metric::new(moments.filter(|_| adaptive)?.products(group)?, width))
        .collect();
    let importance: Vec<Vec<f64>> =
        metrics.iter().map(|metric| metric.as_ref().map(Metric::diagonal).unwrap_or_default()).collect();
    let importance = |row: usize| importance.get(row / per_group).map(Vec::as_slice).unwrap_or_default();
    let zero = recipe.prune.and_then(|prune| {
        let of = |index: usize| importance(index / width).get(index % width).copied().unwrap_or(1.0);
        prune::mask(rows, prune, of)
    });
    let grids = Grids::of(rows, scheme, importance, as_operand);
    let (mut decoded, mut better) = (Vec::with_capacity(rows.data.len()), false);
    for (index, row) in rows.data.chunks(width).enumerate() {
        let choice = |column: usize| match &zero {
            Some(zero) if zero.get(index * width + column) == Some(&true) => Choice::Zero,
            _ => grids.at(index, column).map_or(Choice::Any, Choice::Code),
        };
        match metrics.get(index / per_group).and_then(Option::as_ref) {
            // Binary16 rounds finely enough; only what is pruned is made up for.
            Some(metric) if zero.is_some() || !grids.grids.is_empty() => {
                let (rounded, adapted) = metric.round(row, choice);
                decoded.extend(rounded.iter().map(|number| *number as f32));
                better |= adapted;
            }
            _ => decoded.extend(
                row.iter().enumerate().map(|(column, number)| choice(column).nearest(f64::from(*number)) as f32),
            ),
        }
    }
    let stored = grids.store(&mut decoded, scheme);
    Rounded { stored, decoded, rounding: if better { Rounding::Adaptive } else { Rounding::Nearest } }
}

/// The grid of each weight.
struct Grids {
    /// None for binary16.
    grids: Vec<Grid>,
    width: usize,
    block: usize,
}

impl Grids {
    fn of<'a>(rows: &Rows, scheme: LayerScheme, importance: impl Fn(usize) -> &'a [f64], as_operand: bool) -> Grids {
        let width = rows.width().max(1);
        let (block, levels, symmetric, clip) = match scheme {
            LayerScheme::Float | LayerScheme::Fp16 => return Grids { grids: Vec::new(), width, block: width },
            LayerScheme::Int8 { levels, symmetric, .. } => (width, i32::from(levels), symmetric || as_operand, false),
            LayerScheme::Int4 { block, symmetric } => (block as usize, 7, symmetric, true),
        };
        let mut grids = Vec::new();
        for (index, row) in rows.data.chunks(width).enumerate() {
            let mut weights = importance(index);
            for numbers in row.chunks(block) {
                let (own, rest) = weights.split_at_checked(numbers.len()).unwrap_or_default();
                grids.push(range::weights(numbers, own, levels, symmetric, clip));
                weights = rest;
            }
        }
        Grids { grids, width, block }
    }

    fn at(&self, row: usize, column: usize) -> Option<&Grid> {
        self.grids.get(row * self.width.div_ceil(self.block) + column / self.block)
    }

    /// The form in which rounded numbers are stored; makes them what engines will read.
    fn store(self, decoded: &mut [f32], scheme: LayerScheme) -> Stored {
        if self.grids.is_empty() {
            // Numbers beyond the range of binary16 become its largest.
            let most = half::f16::MAX.to_f32();
            let halves: Vec<half::f16> =
                decoded.iter().map(|number| half::f16::from_f32(number.clamp(-most, most))).collect();
            decoded.iter_mut().zip(&halves).for_each(|(number, half)| *number = half.to_f32());
            return Stored::Halves(halves);
        }
        let code = |(index, number): (usize, &f32)| {
            let grid = self.at(index / self.width, index % self.width);
            grid.map_or(0, |grid| grid.encode(*number)) as i8
        };
        let codes = decoded.iter().enumerate().map(code).collect();
        let coded = Coded { codes, grids: self.grids, block: self.block };
        match scheme {
            LayerScheme::Int4 { .. } => Stored::Nibbles(coded),
            _ => Stored::Bytes(coded),
        }
    }
}
