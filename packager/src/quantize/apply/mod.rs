//! From a program and a recipe to the quantized program.

mod integers;
mod record;
mod store;

pub use record::{Role, Scales, TensorRecord};

use super::codes::sqnr_db;
use super::edit::Editor;
use super::error::QuantizeError;
use super::weights::Numbers;
use super::{Activations, Calibration, Layer, LayerScheme, Progress, Recipe, Rounding, is_quantized};
use integers::Activated;
use pannier_engine::{EngineError, Interrupt, Program};
use store::Stored;

/// A quantized program.
#[derive(Clone)]
pub struct Applied {
    /// The program.
    pub program: Program,
    /// Every tensor that was changed, in the order of layers.
    pub tensors: Vec<TensorRecord>,
}

/// Quantizes a program. `layers` are those of [`layers`](super::layers()), and `recipe` has a scheme for each of them.
/// `progress` is told how many layers are done.
///
/// A layer whose scheme wants 8-bit activations and that cannot compute with them ([`Layer::integer`]) gets weights of
/// 8 bits and nothing else.
///
/// # Errors
/// [`QuantizeError::AlreadyQuantized`]; [`QuantizeError::Recipe`]: the recipe is for other layers, or a number in it is out of
/// its range; [`QuantizeError::Weight`]: a weight holds a NaN or an infinity; [`QuantizeError::Calibration`]: the recipe
/// needs what was not observed; [`QuantizeError::Engine`] with [`Interrupt::Cancelled`] after Ctrl-C. Never panics.
pub fn apply(
    program: &Program,
    layers: &[Layer],
    recipe: &Recipe,
    calibration: Option<&Calibration>,
    progress: Progress<'_>,
) -> Result<Applied, QuantizeError> {
    check(program, layers, recipe, calibration)?;
    let mut editor = Editor::new(program);
    let (mut tensors, mut activated) = (Vec::new(), Activated::default());
    for (index, (layer, scheme)) in layers.iter().zip(&recipe.layers).enumerate() {
        progress(index as u64, layers.len() as u64);
        interrupted(&layer.name)?;
        if *scheme == LayerScheme::Float {
            continue;
        }
        let as_operand = activations(layer, *scheme) != Activations::Float;
        for value in &layer.weights {
            let numbers = Numbers::read(program, *value)?;
            let stored = Stored::of(&numbers, layer.axis, *scheme);
            tensors.push(TensorRecord {
                layer: index,
                tensor: program.graph.value_name(*value).to_owned(),
                role: Role::Weight,
                scheme: store::describe(*scheme),
                scales: Scales::of(&stored.scales),
                range: range(&numbers.data),
                estimator: None,
                rounding: Rounding::Nearest,
                zeros: zeros(&stored.decoded),
                sqnr_db: sqnr_db(&numbers.data, &stored.decoded),
                bytes_before: numbers.data.len() as u64 * 4,
                bytes_after: stored.size_bytes(),
            });
            stored.write(&mut editor, layer, *value, &numbers.shape, as_operand);
        }
        if as_operand {
            activated.read(&mut editor, layer, None);
        }
    }
    progress(layers.len() as u64, layers.len() as u64);
    Ok(Applied { program: editor.finish()?, tensors })
}

fn check(
    program: &Program,
    layers: &[Layer],
    recipe: &Recipe,
    calibration: Option<&Calibration>,
) -> Result<(), QuantizeError> {
    let refuse = |reason: String| Err(QuantizeError::Recipe { reason });
    if let Some(place) = is_quantized(&program.graph) {
        return Err(QuantizeError::AlreadyQuantized { place });
    }
    if layers.len() != recipe.layers.len() {
        return refuse(format!("it has {} layers, the program {}", recipe.layers.len(), layers.len()));
    }
    for (layer, scheme) in layers.iter().zip(&recipe.layers) {
        match scheme {
            LayerScheme::Int8 { activations: Activations::Static, .. } => {
                return refuse("static activations".to_owned());
            }
            LayerScheme::Int8 { levels, .. } if !(1..=127).contains(levels) => {
                return refuse(format!("layer `{}` has codes to {levels}, 1 to 127 are possible", layer.name));
            }
            LayerScheme::Int4 { block, .. } if ![16, 32, 64, 128].contains(block) => {
                return refuse(format!("layer `{}` has blocks of {block}, not of 16, 32, 64 or 128", layer.name));
            }
            _ => {}
        }
    }
    let needed = super::Observe::of(recipe);
    let found = calibration.map_or(super::Observe::NOTHING, Calibration::observed);
    match needed.lacks(found) {
        Some(what) => Err(QuantizeError::Calibration { why: super::CalibrationWhy::Missing { what } }),
        None => Ok(()),
    }
}

pub(super) fn interrupted(node: &str) -> Result<(), QuantizeError> {
    match crate::interrupt::requested() {
        true => Err(EngineError::Interrupted { node: node.to_owned(), why: Interrupt::Cancelled }.into()),
        false => Ok(()),
    }
}

fn range(numbers: &[f32]) -> Option<[f32; 2]> {
    let smallest = numbers.iter().copied().reduce(f32::min)?;
    Some([smallest, numbers.iter().copied().reduce(f32::max)?])
}

fn zeros(numbers: &[f32]) -> f32 {
    let zeros = numbers.iter().filter(|number| **number == 0.0).count();
    if numbers.is_empty() { 0.0 } else { zeros as f32 / numbers.len() as f32 }
}

/// Whether a layer is to compute with 8-bit activations.
pub(super) fn activations(layer: &Layer, scheme: LayerScheme) -> Activations {
    match scheme {
        LayerScheme::Int8 { activations, .. } if layer.integer => activations,
        _ => Activations::Float,
    }
}
