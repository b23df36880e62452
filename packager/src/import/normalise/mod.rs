//! What makes a graph small and plain for engines. Every step is one function, and keeps every answer.

mod batch_norm;
mod branches;
mod dead;
mod dedup;
mod fold;
mod identity;
mod targets;
mod uses;

use super::error::{ImportError, Place, Problem, Why};
use super::infer;
use super::model::Model;
use pannier_engine::Engine;

/// Rounds after which the steps end even if they still find something to do.
const MOST_ROUNDS: usize = 50;

/// What was done, by the words that a note says it with.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Vec<(&'static str, usize)>,
}

impl Tally {
    fn add(&mut self, what: &'static str, count: usize) {
        match self.counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, total)) => *total += count,
            None => self.counts.push((what, count)),
        }
    }

    fn total(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// One line for each kind of change, such as `folded 35 BatchNormalization`.
    pub(super) fn notes(&self) -> Vec<String> {
        let done = self.counts.iter().filter(|(_, count)| *count > 0);
        done.map(|(what, count)| what.replacen('#', &count.to_string(), 1)).collect()
    }
}

/// Applies all steps until none finds anything to do.
///
/// # Errors
/// [`ImportError::Invalid`] if shapes contradict each other once more of them are known.
pub(super) fn normalise(model: &mut Model, engine: &dyn Engine) -> Result<Tally, ImportError> {
    let mut tally = Tally::default();
    let mut failed = fold::Failed::new();
    for _ in 0..MOST_ROUNDS {
        let before = tally.total();
        infer::all(model).map_err(contradiction)?;
        fold::constants(model, engine, &mut failed, &mut tally);
        targets::constant(model, &mut tally);
        branches::inline(model, &mut tally);
        identity::remove(model, &mut tally);
        batch_norm::fold(model, &mut tally);
        dead::remove(model, &mut tally);
        if tally.total() == before {
            break;
        }
    }
    dedup::constants(model, &mut tally);
    infer::all(model).map_err(contradiction)?;
    Ok(tally)
}

fn contradiction(why: Why) -> ImportError {
    ImportError::Invalid(vec![Problem { place: Place::Model, why }])
}
