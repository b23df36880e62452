//! The largest noise whose loss is well within the budget, and the fewest bytes for it.

use super::allocate::{Grain, Sensitivity, allocate};
use super::{
    Found, Integers, KindTime, SHARE_OF_BUDGET, Search, Tried, fixed, ladder, latency, sensitivity, size, steering_loss,
};
use crate::error::Error;
use crate::quantize::prove::BudgetError;
use crate::quantize::run::elements_min;
use crate::quantize::settings::{Objective, Scheme};
use crate::quantize::{Activations, Layer, LayerScheme, Recipe, Stage};

/// The noisiest that is tried, in decibels of signal to noise: below, answers have little to do with the original's.
const LEAST_DB: u32 = 6;
/// The finest that is tried: there all but constant layers are left alone.
const MOST_DB: u32 = 100;
/// The noise at which it is tried what helps.
const LADDER_DB: f64 = 25.0;
/// How much the noise is lowered after a gate that was missed.
const TIGHTEN_DB: f64 = 3.0;
/// Most that the noise is lowered for what is seldom and was not seen among few cases: the gate, which looks again after a
/// failure, does the rest.
const CAUTION_DB: f64 = 3.0;
/// What one might have asked for in place of a search for the smallest.
const PLAIN: [Scheme; 3] = [Scheme::Fp16, Scheme::Q8, Scheme::Q4];
/// Why nothing is quantized where only time counts.
const NOT_FASTER: &str = "no layer is faster with integers on this machine";

/// Searches.
///
/// # Errors
/// As [`Search::run`].
pub(super) fn search(search: &mut Search<'_>) -> Result<Found, Error> {
    let mut known = Known::measure(search)?;
    if search.settings.objective == Objective::Latency && !known.has_integers() {
        return Err(BudgetError::NoLayers { reason: NOT_FASTER }.into());
    }
    let start = recipe(search, &known, LADDER_DB, &Recipe::uniform(search.layers.len(), LayerScheme::Float));
    let base = ladder::climb(search, start)?;

    // Halving: what is coarser than `low` loses too much, `high` does not.
    let (mut low, mut high) = (LEAST_DB, MOST_DB);
    let mut best: Option<(u32, Tried)> = None;
    let mut worst: Option<(u32, f64)> = None;
    let total = u64::from((high - low).ilog2()) + 2;
    let mut done = 0;
    while high - low > 1 {
        (search.progress)(Stage::Search, done, total);
        done += 1;
        let middle = low + (high - low) / 2;
        let tried = attempt(search, &known, f64::from(middle), &base)?;
        if search.is_within(&tried.score) {
            (high, best) = (middle, Some((middle, tried)));
        } else {
            worst = Some((middle, steering_loss(&tried.score)));
            low = middle;
        }
    }
    let Some((decibels, tried)) = best.filter(|(_, tried)| is_quantized(&tried.recipe)) else {
        return Err(search.unreachable(None)?);
    };
    let mut found = found(tried, &known, f64::from(decibels));
    let mut cautious = caution(search, f64::from(decibels), worst);
    while let Some(decibels) = cautious {
        let tried = attempt(search, &known, decibels, &base)?;
        if search.is_within(&tried.score) && is_quantized(&tried.recipe) {
            found = self::found(tried, &known, decibels);
            break;
        }
        // With so few cases, one of them may change at this noise and at no coarser one.
        cautious = Some(decibels + TIGHTEN_DB).filter(|decibels| *decibels < f64::from(MOST_DB));
    }
    if search.settings.objective == Objective::Size {
        found = smallest(search, found, &base)?;
    }
    (search.progress)(Stage::Search, total, total);
    confirmed(search, &mut known, found)
}

/// The plain scheme that is smaller and loses little enough, if there is one: it may be luck on few cases, but the gate that it has to
/// pass is the same. Layers that are too small for it stay as they were found. Each scheme that is smaller costs a run of the tuning set.
fn smallest(search: &mut Search<'_>, mut found: Found, base: &Recipe) -> Result<Found, Error> {
    let mut least = size::stored_bytes(&found.applied.program);
    // Behind a gate that it missed, what was found first is next.
    let target_db = found.target_db.map(|decibels| decibels - TIGHTEN_DB);
    let first = found.recipe.layers.clone();
    for scheme in PLAIN {
        let mut recipe = Recipe { layers: fixed::recipe(search, scheme).layers, ..base.clone() };
        for ((chosen, first), layer) in recipe.layers.iter_mut().zip(&first).zip(search.layers) {
            if layer.elements < elements_min(scheme) {
                *chosen = *first;
            }
        }
        let bytes = size::stored_bytes(&search.apply(&recipe)?.program);
        if bytes >= least {
            continue;
        }
        let tried = search.try_out(format!("{scheme} in all layers"), recipe)?;
        if search.is_within(&tried.score) {
            least = bytes;
            let (recipe, applied) = (tried.recipe, tried.applied);
            found = Found { recipe, applied, target_db, ..found };
        }
    }
    Ok(found)
}

/// The recipe if it is faster as a whole than the original, where time counts. If not, the half of the integer layers with the
/// smallest gain goes, until it is.
fn confirmed(search: &mut Search<'_>, known: &mut Known, mut found: Found) -> Result<Found, Error> {
    let decibels = found.target_db.unwrap_or(f64::from(MOST_DB));
    while search.settings.objective != Objective::Size {
        let integers = integers_of(&found.recipe);
        if !integers.contains(&true) {
            break;
        }
        let time = latency::of_recipe(search, &found, &integers)?;
        let is_faster = time.is_faster();
        search.times.push(time);
        if is_faster {
            return Ok(found);
        }
        known.forget_half();
        found = self::found(attempt(search, known, decibels, &found.recipe)?, known, decibels);
        if !is_quantized(&found.recipe) {
            return Err(BudgetError::NoLayers { reason: NOT_FASTER }.into());
        }
    }
    Ok(found)
}

/// Which layers of a recipe compute with integers.
fn integers_of(recipe: &Recipe) -> Vec<bool> {
    let integer = |scheme: &LayerScheme| match scheme {
        LayerScheme::Int8 { activations, .. } => *activations != Activations::Float,
        _ => false,
    };
    recipe.layers.iter().map(integer).collect()
}

/// Less noise than what just sufficed, where few cases were counted: none of 60 may differ, and still one of 100 would.
/// Decisions flip in proportion to the amplitude of the noise, where they are about evenly far from flipping; so the finest noise
/// at which some did flip says how far one has to go for what is allowed.
fn caution(search: &Search<'_>, sufficed: f64, flipped: Option<(u32, f64)>) -> Option<f64> {
    let (decibels, share) = flipped.filter(|_| search.judge.metric().counts())?;
    let allowed = search.settings.max_loss? * SHARE_OF_BUDGET;
    if allowed <= 0.0 {
        return None;
    }
    let wanted = f64::from(decibels) + 20.0 * (share / allowed).log10();
    let wanted = wanted.min(sufficed + CAUTION_DB);
    (wanted > sufficed + 0.5).then_some(wanted)
}

/// The same with less noise.
///
/// # Errors
/// As [`Search::run`].
pub(super) fn tighten(search: &mut Search<'_>, missed: &Found) -> Result<Option<Found>, Error> {
    let (Some(sensitivities), Some(decibels)) = (&missed.sensitivities, missed.target_db) else { return Ok(None) };
    let known = Known { sensitivities: sensitivities.clone(), integers: missed.integers.clone() };
    let decibels = decibels + TIGHTEN_DB;
    let tried = attempt(search, &known, decibels, &missed.recipe)?;
    Ok(is_quantized(&tried.recipe).then(|| found(tried, &known, decibels)))
}

/// What was measured of the layers.
struct Known {
    /// Noise of weights; `None` for a layer that is not to be quantized.
    sensitivities: Vec<Option<Sensitivity>>,
    /// `None` for a layer that is no faster with integers.
    integers: Vec<Option<Integers>>,
}

impl Known {
    fn measure(search: &mut Search<'_>) -> Result<Known, Error> {
        let sensitivities = sensitivity::measure(search)?;
        let mut integers = vec![None; search.layers.len()];
        if search.settings.objective != Objective::Size {
            let (times, faster) = latency::measure(search)?;
            let noises = sensitivity::measure_activations(search, &sensitivities, Activations::Static)?;
            for (index, layer) in search.layers.iter().enumerate().filter(|(index, _)| faster[*index]) {
                integers[index] = Some(Integers { noise: noises[index], gain: gain(&times, layer) });
            }
            search.times = times;
        }
        Ok(Known { sensitivities, integers })
    }

    fn has_integers(&self) -> bool {
        self.integers.iter().any(Option::is_some)
    }

    /// Leaves the half of the layers with integers in binary32 that gained least by them, rounded up.
    fn forget_half(&mut self) {
        let gain = |index: &usize| self.integers[*index].map_or(0.0, |integers| integers.gain);
        let mut order: Vec<usize> = (0..self.integers.len()).filter(|index| self.integers[*index].is_some()).collect();
        order.sort_by(|a, b| gain(a).total_cmp(&gain(b)).then(a.cmp(b)));
        let count = order.len().div_ceil(2);
        order.into_iter().take(count).for_each(|index| self.integers[index] = None);
    }
}

/// The layers that compute with integers where activations may make so much noise in all, and what they make: those first that
/// make the least noise for the time that they save.
fn integers_within(integers: &[Option<Integers>], noise: f64) -> (Vec<bool>, f64) {
    let mut order: Vec<(usize, Integers)> =
        integers.iter().enumerate().filter_map(|(index, integers)| Some((index, (*integers)?))).collect();
    let price = |integers: &Integers| integers.noise / integers.gain;
    order.sort_by(|a, b| price(&a.1).total_cmp(&price(&b.1)).then(a.0.cmp(&b.0)));
    let (mut chosen, mut sum) = (vec![false; integers.len()], 0.0);
    for (index, own) in order {
        if sum + own.noise <= noise {
            sum += own.noise;
            chosen[index] = true;
        }
    }
    (chosen, sum)
}

/// What each layer of a kind gained by integers, as a part of a run.
fn gain(times: &[KindTime], layer: &Layer) -> f64 {
    let Some(time) = times.iter().find(|time| time.op == layer.op && time.elements == layer.elements) else {
        return 0.0;
    };
    (1.0 - time.integer_ns as f64 / time.float_ns.max(1) as f64) / time.layers.max(1) as f64
}

fn attempt(search: &mut Search<'_>, known: &Known, decibels: f64, base: &Recipe) -> Result<Tried, Error> {
    let recipe = recipe(search, known, decibels, base);
    search.try_out(format!("noise of {decibels:.1} dB"), recipe)
}

/// The fewest bytes for this noise, everything else as in `base`. Where time counts, activations may make half of it.
fn recipe(search: &Search<'_>, known: &Known, decibels: f64, base: &Recipe) -> Recipe {
    let noise = 10f64.powf(-decibels / 10.0);
    let (integers, made) = integers_within(&known.integers, noise / 2.0);
    let of_weights: Vec<Sensitivity> = known.sensitivities.iter().flatten().copied().collect();
    let mut grains = allocate(&of_weights, noise - made).into_iter();
    let most = search.settings.processor.map_or(127, |processor| processor.levels());
    let mut recipe = Recipe { prune: search.settings.prune, ..base.clone() };
    for (index, layer) in recipe.layers.iter_mut().enumerate() {
        let grain = known.sensitivities[index].and_then(|_| grains.next());
        let integer = |levels: u8| LayerScheme::Int8 {
            activations: Activations::Static,
            levels: levels.min(most),
            symmetric: true,
        };
        *layer = match (search.settings.objective, grain) {
            (Objective::Latency, Some(Grain::Levels(_))) if integers[index] => integer(127),
            (Objective::Latency, _) | (_, Some(Grain::Float) | None) => LayerScheme::Float,
            (_, Some(Grain::Levels(levels))) if integers[index] => integer(levels),
            (_, Some(Grain::Levels(levels))) => {
                LayerScheme::Int8 { activations: Activations::Float, levels, symmetric: true }
            }
            (_, Some(Grain::Half)) => LayerScheme::Fp16,
        };
    }
    recipe
}

/// How fine a scheme is.
pub(super) fn grain(scheme: Option<LayerScheme>) -> Grain {
    match scheme {
        Some(LayerScheme::Int8 { levels, .. }) => Grain::Levels(levels.max(1)),
        // About as fine as 15 codes of a whole channel.
        Some(LayerScheme::Int4 { .. }) => Grain::Levels(7),
        Some(LayerScheme::Fp16) => Grain::Half,
        Some(LayerScheme::Float) => Grain::Float,
        None => Grain::Levels(127),
    }
}

fn is_quantized(recipe: &Recipe) -> bool {
    recipe.layers.iter().any(|scheme| *scheme != LayerScheme::Float)
}

fn found(tried: Tried, known: &Known, decibels: f64) -> Found {
    Found {
        recipe: tried.recipe,
        applied: tried.applied,
        sensitivities: Some(known.sensitivities.clone()),
        integers: known.integers.clone(),
        target_db: Some(decibels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_goes_where_it_saves_most_time() {
        let layer = |noise, gain| Some(Integers { noise, gain });
        let layers = [layer(1.0, 0.01), layer(6.0, 0.3), None, layer(4.0, 0.1), layer(0.0, 0.02)];
        let chosen = |noise| integers_within(&layers, noise);
        assert_eq!(chosen(0.0), (vec![false, false, false, false, true], 0.0));
        assert_eq!(chosen(5.0), (vec![true, false, false, true, true], 5.0));
        assert_eq!(chosen(6.5), (vec![false, true, false, false, true], 6.0));
        assert_eq!(chosen(11.0), (vec![true, true, false, true, true], 11.0));
    }

    #[test]
    fn what_a_kind_gains_is_shared_by_its_layers() {
        let time = KindTime { op: "Conv".into(), elements: 9, layers: 4, float_ns: 1000, integer_ns: 800 };
        let layer = |elements| Layer {
            node: 0,
            name: String::new(),
            op: "Conv".into(),
            input: None,
            weights: Vec::new(),
            axis: 0,
            elements,
            integer: true,
        };
        assert!((gain(std::slice::from_ref(&time), &layer(9)) - 0.05).abs() < 1e-12);
        assert_eq!(gain(&[time], &layer(8)), 0.0);
    }
}
