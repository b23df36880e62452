//! Doing a recorded quantization again.

use super::form::{self, Form};
use super::prove::{BudgetError, Judge, SetRecord, Sets, Trial, decibels, judge};
use super::record::{Proof, Record};
use super::run::Model;
use super::{Observe, Prune, apply, layers};
use crate::error::Error;
use crate::units::hex;
use pannier_bundle::Code;
use pannier_engine::Program;

/// What came out of doing it again.
pub struct Repeated {
    /// The program.
    pub program: Program,
    /// The record, with everything in it that was made again.
    pub record: Record,
    /// What came out otherwise, one sentence each.
    pub differences: Vec<String>,
}

/// Applies the recorded recipe to the original, calibrated on the same cases. Where the held-out cases are given, what was
/// measured on them is measured again.
///
/// What was tried on the way to the recipe is taken from the record: a search depends on nothing that the result does.
///
/// # Errors
/// [`BudgetError::Data`]: the recipe needs the cases that it was calibrated with. [`Error::Mismatch`]: they are others. Those
/// of applying and running.
pub fn repeat(program: &Program, model: Model<'_>, recorded: &Record, sets: &Sets) -> Result<Repeated, Error> {
    let original = program;
    let trial = Trial::new(model.inputs, model.outputs, model.limits);
    let recipe = &recorded.recipe;
    // Ranges say how much of them moves into weights.
    let before = Observe { ranges: recipe.smooth.is_some(), ..Observe::NOTHING };
    let mut inputs = Vec::new();
    let prunes = matches!(recipe.prune, Some(Prune::Channels(_))) && recorded.tuning.is_some();
    if Observe::of(recipe) != Observe::NOTHING || before != Observe::NOTHING || prunes {
        if sets.is_empty() {
            let flag =
                if recorded.tuning.as_ref().is_some_and(|set| set.is_half) { "--evaluate" } else { "--calibrate" };
            return Err(BudgetError::Data { what: "--rebuild of a model that was calibrated", flag }.into());
        }
        check("tuning", recorded.tuning.as_ref(), &sets.record(&sets.tuning))?;
        inputs = trial.runs(program, &sets.tuning.cases)?.0;
    }
    let (program, _) = form::reduced(program, recipe.prune, &inputs, &mut |_, _| ())?;
    let (program, layers) = (&program, layers(&program.graph));
    let form = Form::observed(program, &layers, &inputs, before, &mut |_, _| ())?;
    let form = match form.rewritten(&layers, recipe, &inputs, &mut |_, _| ())? {
        Some(rewritten) => rewritten,
        None => Form::observed(program, &layers, &inputs, Observe::of(recipe), &mut |_, _| ())?,
    };
    let applied = apply(&form.program, &layers, recipe, form.calibration.as_deref(), &mut |_, _| ())?;
    let mut record = Record { tensors: applied.tensors, ..recorded.clone() };
    let mut differences = Vec::new();
    if let Some(proof) = recorded.proof.as_ref().filter(|_| !sets.held_out.cases.is_empty()) {
        check("held-out", recorded.held_out.as_ref(), &sets.record(&sets.held_out))?;
        let cases = &sets.held_out.cases;
        let original = trial.answers(original, cases)?;
        let compared = Judge::new(Some(proof.metric), model.outputs, model.labels, cases, original)?;
        let score = compared.score(&trial.answers(&applied.program, cases)?)?;
        let verdict = judge(&score.outcome, proof.verdict.budget, proof.verdict.mode);
        let again = Proof::new(proof.metric, &score.outcome, verdict, decibels(score.noise));
        if again != *proof {
            differences.push(format!("the held-out cases give {}, the bundle says {}", again.text(), proof.text()));
        }
        record.proof = Some(again);
    }
    Ok(Repeated { program: applied.program, record, differences })
}

/// First of all: with other cases everything would differ, and nobody would know why.
fn check(which: &str, recorded: Option<&SetRecord>, found: &SetRecord) -> Result<(), Error> {
    if recorded == Some(found) {
        return Ok(());
    }
    let text = |set: &SetRecord| {
        let half = if set.is_half { ", half of one file" } else { "" };
        format!("{} cases{half}, SHA-256 {}", set.cases, hex(&set.sha256))
    };
    Err(Error::Mismatch {
        code: Code::Failed,
        what: format!("the {which} cases are not those that the bundle was made with"),
        expected: recorded.map_or("none".to_owned(), text),
        found: text(found),
        hint: Some("give the same files as --calibrate and --evaluate as when it was built"),
    })
}
