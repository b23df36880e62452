//! What is quantized: the original, or a rewrite of it in binary32, with what was observed of it.

use super::calibrate::{self, Calibration, Observe};
use super::channels;
use super::{Layer, Progress, Prune, QuantizeError, Recipe, layers, prepare};
use pannier_engine::{Program, Tensor};
use std::sync::Arc;

/// A program in binary32 and what was observed of it.
#[derive(Clone)]
pub(super) struct Form {
    pub(super) program: Program,
    /// `None`: nothing was, for want of cases.
    pub(super) calibration: Option<Arc<Calibration>>,
}

impl Form {
    /// The program as it is, seen on cases if there are any.
    pub(super) fn observed(
        program: &Program,
        layers: &[Layer],
        inputs: &[Vec<Tensor>],
        what: Observe,
        progress: Progress<'_>,
    ) -> Result<Form, QuantizeError> {
        let calibration = match inputs.is_empty() || what == Observe::NOTHING {
            true => None,
            false => Some(Arc::new(calibrate::collect(program, layers, inputs, what, progress)?)),
        };
        Ok(Form { program: program.clone(), calibration })
    }

    /// What a recipe has of this, with its channels scaled between layers; `None` where that changes nothing. Layers stay what
    /// they were.
    pub(super) fn rewritten(
        &self,
        layers: &[Layer],
        recipe: &Recipe,
        inputs: &[Vec<Tensor>],
        progress: Progress<'_>,
    ) -> Result<Option<Form>, QuantizeError> {
        let program = prepare(&self.program, layers, recipe, self.calibration.as_deref())?;
        if Arc::ptr_eq(&program.graph, &self.program.graph) {
            return Ok(None);
        }
        Form::observed(&program, layers, inputs, Observe::of(recipe), progress).map(Some)
    }

    /// Whether a recipe finds in it what it needs.
    pub(super) fn suffices(&self, recipe: &Recipe) -> bool {
        let found = self.calibration.as_ref().map_or(Observe::NOTHING, |calibration| calibration.observed());
        Observe::of(recipe).lacks(found).is_none()
    }
}

/// What a recipe asks for: whether channels are equalized, and how much of activations is smoothed.
type Rewrite = (bool, Option<f32>);

/// The rewrites of one form that recipes asked for; `None` where one changes nothing.
#[derive(Default)]
pub(super) struct Forms(Vec<(Rewrite, Option<Form>)>);

impl Forms {
    /// What a recipe is applied to; `None` where that is the original.
    pub(super) fn of(
        &mut self,
        original: &Form,
        layers: &[Layer],
        recipe: &Recipe,
        inputs: &[Vec<Tensor>],
        progress: Progress<'_>,
    ) -> Result<Option<Form>, QuantizeError> {
        let key: Rewrite = (recipe.equalize, recipe.smooth);
        if key == (false, None) {
            return Ok(None);
        }
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == key)
            && known.as_ref().is_none_or(|form| form.suffices(recipe))
        {
            return Ok(known.clone());
        }
        let form = original.rewritten(layers, recipe, inputs, progress)?;
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, form.clone()));
        Ok(form)
    }
}

/// The program without the channels that pruning takes out, and how many of how many went.
pub(super) fn reduced(
    program: &Program,
    prune: Option<Prune>,
    inputs: &[Vec<Tensor>],
    progress: Progress<'_>,
) -> Result<(Program, Option<[usize; 2]>), QuantizeError> {
    let Some(Prune::Channels(share)) = prune else { return Ok((program.clone(), None)) };
    let what = Observe { products: true, means: true, ..Observe::NOTHING };
    let seen = Form::observed(program, &layers(&program.graph), inputs, what, progress)?;
    let removed = channels::remove(program, share, seen.calibration.as_deref())?;
    Ok((removed.program, Some([removed.channels, removed.of])))
}
