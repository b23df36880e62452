//! What each layer costs when it alone is quantized.

use super::Search;
use super::allocate::Sensitivity;
use crate::error::Error;
use crate::quantize::{Activations, LayerScheme, Recipe, Stage};

/// Largest code of the measurement: coarse enough for noise far above what floating-point numbers make, fine enough that
/// noise is proportional to the square of the step.
const PROBE_LEVELS: u8 = 31;
/// More noise than this says that the layer does not work any more, and how finely it would have to be measured.
const LINEAR_UP_TO: f64 = 0.05;
/// Cases of a measurement.
pub(super) const PROBE_CASES: usize = 32;

/// What is known of every layer; `None` for one that is not to be quantized.
///
/// # Errors
/// Those of [`Search::noise_of`].
pub(super) fn measure(search: &mut Search<'_>) -> Result<Vec<Option<Sensitivity>>, Error> {
    let total = search.layers.len() as u64;
    let mut found = Vec::with_capacity(search.layers.len());
    for index in 0..search.layers.len() {
        (search.progress)(Stage::Sensitivity, index as u64, total);
        let sensitivity = if search.eligible[index] { Some(of_layer(search, index)?) } else { None };
        found.push(sensitivity);
    }
    (search.progress)(Stage::Sensitivity, total, total);
    Ok(found)
}

fn of_layer(search: &mut Search<'_>, index: usize) -> Result<Sensitivity, Error> {
    let elements = search.layers[index].elements;
    let mut unit_noise = 0.0;
    for levels in [PROBE_LEVELS, 127] {
        let scheme = LayerScheme::Int8 { activations: Activations::Float, levels, symmetric: true };
        let recipe = alone(search, index, scheme);
        let noise = search.noise_of(&recipe)?;
        unit_noise = noise * f64::from(levels) * f64::from(levels);
        if noise <= LINEAR_UP_TO {
            return Ok(Sensitivity { elements, unit_noise });
        }
    }
    // Not even the finest codes do. What binary16 makes of it decides between that and leaving it alone.
    let recipe = alone(search, index, LayerScheme::Fp16);
    let half = search.noise_of(&recipe)?;
    let unit_noise = if half <= LINEAR_UP_TO { unit_noise } else { f64::INFINITY };
    Ok(Sensitivity { elements, unit_noise })
}

/// What the activations of each layer cost when they alone are of 8 bits, weights aside: 0 for a layer that cannot compute
/// with integers.
///
/// # Errors
/// Those of [`Search::noise_of`].
pub(super) fn measure_activations(
    search: &mut Search<'_>,
    weights: &[Option<Sensitivity>],
    activations: Activations,
) -> Result<Vec<f64>, Error> {
    let total = search.layers.len() as u64;
    let mut found = vec![0.0; search.layers.len()];
    for index in 0..search.layers.len() {
        (search.progress)(Stage::Activations, index as u64, total);
        let (true, Some(weight)) = (search.layers[index].integer && search.eligible[index], weights[index]) else {
            continue;
        };
        let scheme = LayerScheme::Int8 { activations, levels: 127, symmetric: true };
        let recipe = alone(search, index, scheme);
        let noise = search.noise_of(&recipe)?;
        found[index] = (noise - weight.unit_noise / (127.0 * 127.0)).max(0.0);
    }
    (search.progress)(Stage::Activations, total, total);
    Ok(found)
}

/// Only one layer is quantized.
fn alone(search: &Search<'_>, index: usize, scheme: LayerScheme) -> Recipe {
    let mut recipe = Recipe::uniform(search.layers.len(), LayerScheme::Float);
    recipe.layers[index] = scheme;
    recipe
}
