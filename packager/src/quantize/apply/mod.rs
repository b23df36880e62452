//! From a program and a recipe to the quantized program.

mod integers;
mod record;
mod store;
mod weight;

pub use record::{Role, Scales, TensorRecord};

use super::bias::Bias;
use super::calibrate::Moments;
use super::codes::sqnr_db;
use super::edit::Editor;
use super::error::{CalibrationWhy, QuantizeError};
use super::weights::{Numbers, Rows};
use super::{
    Activations, Calibration, Layer, LayerScheme, Observe, Progress, Prune, RangeEstimator, Recipe, Rounding, bounds,
    is_quantized, range,
};
use integers::Activated;
use pannier_engine::{EngineError, Interrupt, Program};
use pannier_graph::ValueId;
use store::{Order, Target};
use weight::Rounded;

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
/// What [`Recipe::equalize`] and [`Recipe::smooth`] ask for is done by [`prepare`](super::prepare()): `program` is its result, and
/// `calibration` is of that.
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
    let mut work = Work {
        program,
        recipe,
        calibration,
        editor: Editor::new(program),
        activated: Activated::default(),
        tensors: Vec::new(),
    };
    for (index, (layer, scheme)) in layers.iter().zip(&recipe.layers).enumerate() {
        progress(index as u64, layers.len() as u64);
        interrupted(&layer.name)?;
        if *scheme != LayerScheme::Float {
            work.layer(index, layer, *scheme)?;
        }
    }
    progress(layers.len() as u64, layers.len() as u64);
    Ok(Applied { program: work.editor.finish()?, tensors: work.tensors })
}

/// A program that is being quantized.
struct Work<'a> {
    program: &'a Program,
    recipe: &'a Recipe,
    calibration: Option<&'a Calibration>,
    editor: Editor,
    activated: Activated,
    tensors: Vec<TensorRecord>,
}

impl Work<'_> {
    fn layer(&mut self, index: usize, layer: &Layer, scheme: LayerScheme) -> Result<(), QuantizeError> {
        let activations = activations(layer, scheme);
        for value in &layer.weights {
            self.weight(index, layer, *value, scheme, activations != Activations::Float)?;
        }
        match (activations, layer.input) {
            (Activations::Float, _) | (_, None) => {}
            (Activations::Dynamic, Some(_)) => {
                self.activated.read(&mut self.editor, layer, None);
            }
            (Activations::Static, Some(input)) => self.fixed(index, layer, input)?,
        }
        Ok(())
    }

    fn weight(
        &mut self,
        index: usize,
        layer: &Layer,
        value: ValueId,
        scheme: LayerScheme,
        as_operand: bool,
    ) -> Result<(), QuantizeError> {
        let numbers = Numbers::read(self.program, value)?;
        let order = Order::of(layer, numbers.shape.len(), scheme);
        let rows = order.rows(&numbers, layer.axis);
        let moments = self.calibration.and_then(|calibration| calibration.moments(value));
        let Rounded { stored, decoded, rounding } = weight::round(&rows, scheme, self.recipe, moments, as_operand);
        self.tensors.push(TensorRecord {
            layer: index,
            tensor: self.program.graph.value_name(value).to_owned(),
            role: Role::Weight,
            scheme: store::describe(scheme),
            scales: Scales::of(&stored.scales()),
            range: range_of(&rows.data),
            estimator: None,
            rounding,
            zeros: zeros(&decoded),
            sqnr_db: sqnr_db(&rows.data, &decoded),
            bytes_before: rows.data.len() as u64 * 4,
            bytes_after: stored.size_bytes(rows.width()),
        });
        if self.recipe.bias_correction {
            self.correct_bias(layer, &rows, &decoded, moments);
        }
        let target = Target { value, shape: &numbers.shape, rows: &rows, order, as_operand };
        stored.write(&mut self.editor, layer, &target);
        Ok(())
    }

    /// Takes the mean error of each channel off the bias.
    fn correct_bias(&mut self, layer: &Layer, rows: &Rows, decoded: &[f32], moments: Option<&Moments>) {
        let Some(moments) = moments.filter(|moments| moments.width == rows.width()) else { return };
        let Some(bias) = Bias::of(self.program, layer, rows.count()) else { return };
        let per_group = (rows.count() / moments.groups().max(1)).max(1);
        let pairs = rows.data.chunks(rows.width().max(1)).zip(decoded.chunks(rows.width().max(1)));
        let errors: Option<Vec<f64>> = pairs
            .enumerate()
            .map(|(row, (exact, rounded))| {
                let mean = moments.mean(row / per_group)?;
                let lost = exact.iter().zip(rounded).map(|(exact, rounded)| f64::from(*exact) - f64::from(*rounded));
                Some(lost.zip(&mean).map(|(lost, mean)| lost * mean).sum())
            })
            .collect();
        if let Some(errors) = errors {
            bias.shift(self.program, &mut self.editor, layer, &errors);
        }
    }

    /// Makes a layer read its input in a calibrated range.
    fn fixed(&mut self, index: usize, layer: &Layer, input: ValueId) -> Result<(), QuantizeError> {
        let stats = self.calibration.and_then(|calibration| calibration.value(input));
        let stats = stats.ok_or_else(|| missing("ranges of activations"))?;
        let grid = range::activation(stats, self.recipe.range, bounds::of(self.program, input));
        let is_new = self.activated.read(&mut self.editor, layer, Some(grid));
        if is_new {
            self.tensors.push(TensorRecord {
                layer: index,
                tensor: self.program.graph.value_name(input).to_owned(),
                role: Role::Activation,
                scheme: "uint8 with a zero point".to_owned(),
                scales: Scales::of(&[grid.scale]),
                range: Some(grid.range()),
                estimator: Some(self.recipe.range),
                rounding: Rounding::Nearest,
                zeros: 0.0,
                sqnr_db: range::activation_sqnr_db(stats, &grid),
                bytes_before: 0,
                bytes_after: 0,
            });
        }
        Ok(())
    }
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
            LayerScheme::Int8 { levels, .. } if !(1..=127).contains(levels) => {
                return refuse(format!("layer `{}` has codes to {levels}, 1 to 127 are possible", layer.name));
            }
            LayerScheme::Int4 { block, .. } if ![16, 32, 64, 128].contains(block) => {
                return refuse(format!("layer `{}` has blocks of {block}, not of 16, 32, 64 or 128", layer.name));
            }
            _ => {}
        }
    }
    let share = |share: f32, what: &str| match (0.0..=1.0).contains(&share) {
        true => Ok(()),
        false => Err(QuantizeError::Recipe { reason: format!("{what} is {share}, 0 to 1 is possible") }),
    };
    match recipe.prune {
        Some(Prune::Magnitude(part) | Prune::Channels(part)) => share(part, "the pruned part")?,
        Some(Prune::Groups { kept, group }) if group == 0 || kept > group => {
            return refuse(format!("{kept} of {group} weights cannot be kept"));
        }
        _ => {}
    }
    match recipe.range {
        RangeEstimator::MovingAverage(part) => share(part, "the moving average's weight")?,
        RangeEstimator::Percentile(percent) => share(percent / 100.0, "the percentile, divided by 100,")?,
        _ => {}
    }
    if let Some(part) = recipe.smooth {
        share(part, "smoothing")?;
    }
    let needed = Observe::of(recipe);
    let found = calibration.map_or(Observe::NOTHING, Calibration::observed);
    match needed.lacks(found) {
        Some(what) => Err(missing(what)),
        None => Ok(()),
    }
}

pub(super) fn missing(what: &'static str) -> QuantizeError {
    QuantizeError::Calibration { why: CalibrationWhy::Missing { what } }
}

pub(super) fn interrupted(node: &str) -> Result<(), QuantizeError> {
    match crate::interrupt::requested() {
        true => Err(EngineError::Interrupted { node: node.to_owned(), why: Interrupt::Cancelled }.into()),
        false => Ok(()),
    }
}

fn range_of(numbers: &[f32]) -> Option<[f32; 2]> {
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
