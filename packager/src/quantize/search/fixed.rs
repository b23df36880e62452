//! The scheme that was asked for, and as few layers without it as the budget allows.

use super::sensitivity;
use super::{Found, Search, Tried, ladder};
use crate::error::Error;
use crate::quantize::settings::Scheme;
use crate::quantize::{Activations, LayerScheme, Recipe, Stage};

/// Weights of a block with 4 bits.
const BLOCK: u32 = 32;

/// Applies the scheme to every layer that may be quantized. With a budget, layers are taken back, those that cost most first.
///
/// # Errors
/// As [`Search::run`].
pub(super) fn search(search: &mut Search<'_>) -> Result<Found, Error> {
    let scheme = search.settings.scheme;
    let whole = ladder::climb(search, recipe(search, scheme))?;
    let tried = search.try_out(format!("{scheme} in all layers"), whole.clone())?;
    if search.is_within(&tried.score) {
        return Ok(found(tried, None));
    }
    let sensitivities = sensitivity::measure(search)?;
    let mut order: Vec<usize> = (0..search.layers.len()).filter(|index| search.eligible[*index]).collect();
    let noise = |index: &usize| sensitivities[*index].map_or(0.0, |known| known.unit_noise);
    order.sort_by(|a, b| noise(b).total_cmp(&noise(a)).then(a.cmp(b)));
    // Of the counts of layers that are taken back, the least that keeps the budget: 0 does not, all of them do.
    let (mut too_few, mut enough, mut best) = (0, order.len(), None);
    let total = u64::from(usize::BITS - order.len().leading_zeros());
    let mut done = 0;
    while enough - too_few > 1 {
        (search.progress)(Stage::Search, done, total);
        done += 1;
        let middle = too_few + (enough - too_few) / 2;
        let mut recipe = whole.clone();
        order.iter().take(middle).for_each(|index| recipe.layers[*index] = LayerScheme::Float);
        let tried = search.try_out(format!("{scheme} without {middle} layers"), recipe)?;
        if search.is_within(&tried.score) {
            (enough, best) = (middle, Some(tried));
        } else {
            too_few = middle;
        }
    }
    (search.progress)(Stage::Search, total, total);
    match best {
        Some(tried) => Ok(found(tried, Some(sensitivities))),
        None => {
            let blamed = found(tried, Some(sensitivities));
            Err(search.unreachable(Some(&blamed))?)
        }
    }
}

fn found(tried: Tried, sensitivities: Option<Vec<Option<super::Sensitivity>>>) -> Found {
    Found { recipe: tried.recipe, applied: tried.applied, sensitivities, integers: Vec::new(), target_db: None }
}

/// The same scheme for every layer that may be quantized.
pub(super) fn recipe(search: &Search<'_>, scheme: Scheme) -> Recipe {
    let levels = search.settings.processor.map_or(127, |processor| processor.levels());
    let int8 = |activations| LayerScheme::Int8 { activations, levels, symmetric: true };
    let mut recipe = Recipe::uniform(search.layers.len(), LayerScheme::Float);
    recipe.prune = search.settings.prune;
    for (index, layer) in search.layers.iter().enumerate().filter(|(index, _)| search.eligible[*index]) {
        recipe.layers[index] = match scheme {
            Scheme::Fp16 => LayerScheme::Fp16,
            Scheme::Q4 => LayerScheme::Int4 { block: BLOCK, symmetric: true },
            Scheme::Q8Dynamic if layer.integer => int8(Activations::Dynamic),
            Scheme::Q8Static if layer.integer => int8(Activations::Static),
            Scheme::Auto | Scheme::Q8 | Scheme::Q8Dynamic | Scheme::Q8Static => LayerScheme::INT8,
        };
    }
    recipe
}
