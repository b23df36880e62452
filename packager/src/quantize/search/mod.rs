//! Finding the smallest or fastest recipe whose loss is within a budget.
//!
//! Only the tuning set is looked at here. The steps, each a file:
//!
//! 1. `sensitivity`: the noise that each layer makes at the outputs when it alone is quantized; where time counts, also its
//!    activations, and `latency`: which layers are faster with integers.
//! 2. `ladder`: what helps all layers (range estimators, adaptive rounding, bias correction, scaling channels between layers) is
//!    kept where it lowers the noise.
//! 3. `allocate`: for a given noise, how finely each layer is quantized; closed form.
//! 4. `auto`: halving finds the largest noise whose loss is well within the budget; a plain scheme that is smaller still is taken
//!    if its loss is within it, too. `fixed` keeps the scheme that was asked for and takes back the layers that cost most, as few
//!    as will do.
//!
//! Every recipe that was tried on all of the tuning set is a `Step`: together they are the front of size against accuracy
//! that the search saw.

pub(super) mod allocate;
mod auto;
mod fixed;
mod ladder;
mod latency;
mod sensitivity;
mod size;

use super::form::{Form, Forms};
use super::prove::{BudgetError, Judge, Outcome, Score, Trial, decibels};
use super::settings::{Scheme, Settings};
use super::{Applied, Layer, QuantizeError, Recipe, Stage, apply};
use crate::content::Case;
use crate::error::Error;
use allocate::Sensitivity;
pub use latency::KindTime;
use pannier_engine::Tensor;
use serde::{Deserialize, Serialize};

/// Part of the budget that the loss on the tuning set may take: the recipe is chosen there, and looks better than it is.
const SHARE_OF_BUDGET: f64 = 0.6;

/// A recipe that was tried on the whole tuning set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was tried, in a few words.
    pub what: String,
    /// About how many bytes the weights take in the file.
    pub weight_bytes: u64,
    /// Loss on the tuning set, in the metric.
    pub loss: f64,
    /// Ratio of signal to noise at the outputs, in decibels.
    pub sqnr_db: f32,
    /// Whether the loss is well within the budget.
    pub within: bool,
}

/// What the search has to work with.
pub struct Search<'a> {
    /// The original, and what was observed of it.
    pub(super) original: Form,
    /// What it was rewritten to.
    pub(super) forms: Forms,
    /// Its layers.
    pub layers: &'a [Layer],
    /// Which of them may be quantized.
    pub eligible: Vec<bool>,
    /// What the user wants.
    pub settings: &'a Settings,
    /// Runs candidates.
    pub trial: &'a Trial<'a>,
    /// The tuning set.
    pub cases: &'a [Case],
    /// Its inputs, in the graph's order.
    pub inputs: &'a [Vec<Tensor>],
    /// Compares answers to the tuning set with the original's.
    pub judge: &'a Judge<'a>,
    /// A few cases of the tuning set, for measuring layer by layer.
    pub probe_cases: Vec<Case>,
    /// Compares answers to those.
    pub probe: &'a Judge<'a>,
    /// What was tried.
    pub steps: Vec<Step>,
    /// Times that decided which layers compute with integers.
    pub times: Vec<KindTime>,
    /// Told how far each stage is.
    pub progress: &'a mut dyn FnMut(Stage, u64, u64),
}

/// What was found.
pub struct Found {
    /// The recipe.
    pub recipe: Recipe,
    /// What came of it.
    pub applied: Applied,
    /// What is known of each layer, if it was measured.
    pub sensitivities: Option<Vec<Option<Sensitivity>>>,
    /// What integers do to the layers that may compute with them.
    pub integers: Vec<Option<Integers>>,
    /// The noise that was aimed at in decibels, where one was.
    pub target_db: Option<f64>,
}

/// What computing with integers does to a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Integers {
    /// Noise of its 8-bit activations at the outputs, as a part of their energy.
    pub noise: f64,
    /// Time that it saves, as a part of a run of the original.
    pub gain: f64,
}

/// A recipe with what came of it on the tuning set.
struct Tried {
    recipe: Recipe,
    applied: Applied,
    score: Score,
}

impl<'a> Search<'a> {
    /// Cases of a set that layers are measured with one by one.
    pub fn probe_cases(cases: &[Case]) -> Vec<Case> {
        let step = cases.len().div_ceil(sensitivity::PROBE_CASES).max(1);
        cases.iter().step_by(step).cloned().collect()
    }

    /// Searches.
    ///
    /// # Errors
    /// [`BudgetError::Unreachable`]: nothing but the original keeps the budget. Those of applying and running;
    /// [`Error::Interrupted`].
    pub fn run(&mut self) -> Result<Found, Error> {
        match self.settings.scheme {
            Scheme::Auto => auto::search(self),
            _ => fixed::search(self),
        }
    }

    /// The same with less noise, after a gate that was missed by a little; `None` where there is nothing in between.
    ///
    /// # Errors
    /// Those of [`Search::run`].
    pub fn tighten(&mut self, found: &Found) -> Result<Option<Found>, Error> {
        match self.settings.scheme {
            Scheme::Auto => auto::tighten(self, found),
            _ => Ok(None),
        }
    }

    /// The layers that make most of a recipe's noise, each with its share.
    ///
    /// # Errors
    /// Those of measuring layers, where that was not done before.
    pub fn blame(&mut self, found: Option<&Found>) -> Result<Vec<String>, Error> {
        let known = found.and_then(|found| found.sensitivities.clone());
        let sensitivities = match known {
            Some(known) => known,
            None => sensitivity::measure(self)?,
        };
        let noise = |index: usize, sensitivity: &Option<Sensitivity>| {
            let scheme = found.and_then(|found| found.recipe.layers.get(index));
            let unit = sensitivity.map_or(0.0, |sensitivity| sensitivity.unit_noise);
            auto::grain(scheme.copied()).noise(unit).min(1e9)
        };
        let mut noises: Vec<(usize, f64)> =
            sensitivities.iter().enumerate().map(|(index, known)| (index, noise(index, known))).collect();
        let total: f64 = noises.iter().map(|(_, noise)| noise).sum();
        noises.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let most = noises.into_iter().take(3).filter(|(_, noise)| *noise > total * 0.05 && *noise > 0.0);
        Ok(most
            .map(|(index, noise)| format!("`{}` ({:.0} %)", self.layers[index].name, noise / total * 100.0))
            .collect())
    }

    /// Noise at the outputs with this recipe, over the few cases that layers are measured with.
    ///
    /// # Errors
    /// Those of applying and running.
    fn noise_of(&mut self, recipe: &Recipe) -> Result<f64, Error> {
        let applied = self.apply(recipe)?;
        let answers = self.trial.answers(&applied.program, &self.probe_cases)?;
        Ok(self.probe.score(&answers)?.noise)
    }

    /// Tries a recipe on the whole tuning set and remembers that.
    fn try_out(&mut self, what: String, recipe: Recipe) -> Result<Tried, Error> {
        let applied = self.apply(&recipe)?;
        let answers = self.trial.answers(&applied.program, self.cases)?;
        let score = self.judge.score(&answers)?;
        self.steps.push(Step {
            what,
            weight_bytes: size::stored_bytes(&applied.program),
            loss: score.outcome.loss(),
            sqnr_db: decibels(score.noise) as f32,
            within: self.is_within(&score),
        });
        Ok(Tried { recipe, applied, score })
    }

    fn apply(&mut self, recipe: &Recipe) -> Result<Applied, QuantizeError> {
        let form = self.form(recipe)?;
        let form = form.as_ref().unwrap_or(&self.original);
        apply(&form.program, self.layers, recipe, form.calibration.as_deref(), &mut |_, _| ())
    }

    /// What a recipe is applied to, if that is not the original.
    fn form(&mut self, recipe: &Recipe) -> Result<Option<Form>, QuantizeError> {
        let mut report = |done, total| (self.progress)(Stage::Calibrate, done, total);
        self.forms.of(&self.original, self.layers, recipe, self.inputs, &mut report)
    }

    /// Whether what is lost on the tuning set leaves room for what is lost elsewhere.
    fn is_within(&self, score: &Score) -> bool {
        self.settings.max_loss.is_none_or(|budget| steering_loss(score) <= budget * SHARE_OF_BUDGET)
    }

    fn unreachable(&mut self, found: Option<&Found>) -> Result<Error, Error> {
        let blame = self.blame(found)?;
        Ok(BudgetError::Unreachable {
            metric: self.judge.metric(),
            budget: self.settings.max_loss.unwrap_or(0.0),
            cases: self.judge.cases(),
            blame,
        }
        .into())
    }
}

/// What is lost on the tuning set. Where answers are counted, every change counts, though half of them be for the better:
/// how many of each there are is chance.
fn steering_loss(score: &Score) -> f64 {
    match &score.outcome {
        Outcome::Labels { cases, lost, gained, .. } => (lost + gained) as f64 / (*cases).max(1) as f64,
        outcome => outcome.loss(),
    }
}

#[cfg(test)]
mod tests;
