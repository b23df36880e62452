//! What helps all layers alike. Each is tried, and kept where it lowers the noise.

use super::Search;
use crate::error::Error;
use crate::quantize::{Activations, LayerScheme, RangeEstimator, Recipe, Rounding, Stage};

/// A change must lower the noise by so much (0.1 dB) to be kept: it makes the recipe longer and the build slower.
const WORTH: f64 = 0.977;

type Change = fn(&mut Recipe);

/// For all recipes.
const OF_WEIGHTS: &[Change] = &[|recipe| recipe.rounding = Rounding::Adaptive, |recipe| recipe.bias_correction = true];

/// For activations of 8 bits. The first are the estimators; no single one is best (Wu et al. 2020, arXiv:2004.09602).
const OF_ACTIVATIONS: &[Change] = &[
    |recipe| recipe.range = RangeEstimator::MeanMinMax,
    |recipe| recipe.range = RangeEstimator::Percentile(99.99),
    |recipe| recipe.range = RangeEstimator::Mse,
];

/// Rewrites in binary32 before anything is quantized. Each takes a calibration of its own, and most programs have no place for
/// them: so they come last, and are tried where they change something.
const OF_PROGRAMS: &[Change] = &[
    |recipe| recipe.equalize = true,
    |recipe| recipe.smooth = Some(0.5),
    |recipe| recipe.smooth = Some(0.75),
    |recipe| recipe.smooth = Some(0.25),
];

/// The recipe with everything that lowers its noise.
///
/// # Errors
/// Those of applying and running.
pub(super) fn climb(search: &mut Search<'_>, mut best: Recipe) -> Result<Recipe, Error> {
    if search.original.calibration.is_none() {
        return Ok(best);
    }
    let is_static = |scheme: &LayerScheme| matches!(scheme, LayerScheme::Int8 { activations: Activations::Static, .. });
    let of_activations = if best.layers.iter().any(is_static) { OF_ACTIVATIONS } else { &[] };
    let changes: Vec<&Change> = of_activations.iter().chain(OF_WEIGHTS).chain(OF_PROGRAMS).collect();
    let total = changes.len() as u64 + 1;
    (search.progress)(Stage::Ladder, 0, total);
    let mut least = search.noise_of(&best)?;
    for (index, change) in changes.into_iter().enumerate() {
        (search.progress)(Stage::Ladder, index as u64 + 1, total);
        let mut changed = best.clone();
        change(&mut changed);
        let rewrites = (changed.equalize, changed.smooth) != (best.equalize, best.smooth);
        if rewrites && search.form(&changed)?.is_none() {
            continue;
        }
        let noise = search.noise_of(&changed)?;
        if noise < least * WORTH {
            (least, best) = (noise, changed);
        }
    }
    (search.progress)(Stage::Ladder, total, total);
    Ok(best)
}
