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
    counts: Vec<(Words, usize)>,
}

/// How one change is told, and how several are: `#` stands for their number.
type Words = [&'static str; 2];

impl Tally {
    fn add(&mut self, words: Words, count: usize) {
        match self.counts.iter_mut().find(|(known, _)| *known == words) {
            Some((_, total)) => *total += count,
            None => self.counts.push((words, count)),
        }
    }

    fn total(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// One line for each kind of change, such as `folded 35 BatchNormalization`.
    pub(super) fn notes(&self) -> Vec<String> {
        let done = self.counts.iter().filter(|(_, count)| *count > 0);
        let told = |([one, several], count): &(Words, usize)| match count {
            1 => (*one).to_owned(),
            _ => several.replacen('#', &count.to_string(), 1),
        };
        done.map(told).collect()
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

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn one_change_is_told_in_the_singular() {
        let mut tally = Tally::default();
        for (words, count) in [(["a node", "# nodes"], 1), (["an edge", "# edges"], 0), (["a leaf", "# leaves"], 1)] {
            tally.add(words, count);
        }
        tally.add(["a leaf", "# leaves"], 2);
        assert_eq!(tally.notes(), ["a node", "3 leaves"]);
    }
}
