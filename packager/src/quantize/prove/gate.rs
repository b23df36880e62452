//! Whether a loss is within its budget, and what so many cases prove.

use super::statistics::{Looks, bootstrap_upper, cases_to_show, clopper_pearson_upper, paired_loss_upper};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What has to be within the budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateMode {
    /// The loss that was measured
    #[default]
    Point,
    /// The upper bound of the loss with a confidence of 95 %
    Bound,
}

impl GateMode {
    /// A bound is asked once. What was measured may be asked again after a failure, and its bound pays for that.
    pub fn looks(self) -> Looks {
        match self {
            GateMode::Point => Looks::Three,
            GateMode::Bound => Looks::One,
        }
    }
}

/// What came out on some cases, the changed model beside the original.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Cases with a label: right answers before and after.
    Labels {
        /// Cases.
        cases: u64,
        /// Right answers of the original.
        before: u64,
        /// Right before, wrong after.
        lost: u64,
        /// Wrong before, right after.
        gained: u64,
    },
    /// Decisions, compared with the original's: no label is needed, since no more answers can become wrong than differ.
    Decisions {
        /// Cases.
        cases: u64,
        /// Cases in which the decision is another one.
        differing: u64,
    },
    /// A loss for each case, 0 for none.
    Losses(Vec<f64>),
}

impl Outcome {
    /// How many cases there are.
    pub fn cases(&self) -> u64 {
        match self {
            Outcome::Labels { cases, .. } | Outcome::Decisions { cases, .. } => *cases,
            Outcome::Losses(losses) => losses.len() as u64,
        }
    }

    /// The loss that was measured: a share of the cases, or a mean. Below 0 where more was gained than lost.
    pub fn loss(&self) -> f64 {
        let share = |part: f64, cases: u64| if cases == 0 { 0.0 } else { part / cases as f64 };
        match self {
            Outcome::Labels { cases, lost, gained, .. } => share(*lost as f64 - *gained as f64, *cases),
            Outcome::Decisions { cases, differing } => share(*differing as f64, *cases),
            Outcome::Losses(losses) => share(losses.iter().sum(), losses.len() as u64),
        }
    }

    /// The upper bound of the loss, with a confidence of 95 % after so many looks.
    pub fn bound(&self, looks: Looks) -> f64 {
        match self {
            Outcome::Labels { cases, lost, gained, .. } => paired_loss_upper(*lost, *gained, *cases, looks),
            Outcome::Decisions { cases, differing } => clopper_pearson_upper(*differing, *cases, looks),
            Outcome::Losses(losses) => bootstrap_upper(losses, looks),
        }
    }

    /// Cases that would show a loss of at most `budget` if it is what was measured; `None` where none would, or where
    /// nobody can say.
    fn needed(&self, budget: f64) -> Option<u64> {
        let differing = match self {
            Outcome::Labels { lost, gained, .. } => lost + gained,
            Outcome::Decisions { differing, .. } => *differing,
            Outcome::Losses(_) => return None,
        };
        let share = differing as f64 / self.cases().max(1) as f64;
        cases_to_show(budget, self.loss().max(0.0), share)
    }
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether what the gate asks for is within the budget.
    pub passed: bool,
    /// What may be lost, as a share or a mean; `None`: whatever is lost is said, and passes.
    pub budget: Option<f64>,
    /// What was to be within it.
    pub mode: GateMode,
    /// Among how many looks the 5 % are shared.
    pub looks: Looks,
    /// The loss that was measured.
    pub loss: f64,
    /// Its upper bound, with a confidence of 95 %.
    pub bound: f64,
    /// Cases.
    pub cases: u64,
    /// Cases that would show the budget with a probability of 80 %, if the loss is what was measured.
    pub needed_cases: Option<u64>,
}

/// Judges an outcome.
pub fn judge(outcome: &Outcome, budget: Option<f64>, mode: GateMode) -> Verdict {
    let looks = mode.looks();
    let (loss, bound) = (outcome.loss(), outcome.bound(looks));
    let decisive = match mode {
        GateMode::Point => loss,
        GateMode::Bound => bound,
    };
    Verdict {
        // Not a number is no proof. Without a case there is none either.
        passed: budget.is_none_or(|budget| decisive <= budget && outcome.cases() > 0),
        budget,
        mode,
        looks,
        loss,
        bound,
        cases: outcome.cases(),
        needed_cases: budget.and_then(|budget| outcome.needed(budget)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(cases: u64, lost: u64, gained: u64) -> Outcome {
        Outcome::Labels { cases, before: cases / 2, lost, gained }
    }

    #[test]
    fn the_gates_differ_where_cases_are_few() {
        let outcomes = [
            (labels(300, 0, 0), true, true),
            (labels(298, 0, 0), true, false),
            (labels(114, 1, 0), true, false),
            (labels(114, 2, 0), false, false),
            (labels(1000, 5, 4), true, true),
            (labels(1000, 20, 15), true, false),
            (labels(0, 0, 0), false, false),
            (Outcome::Decisions { cases: 1000, differing: 4 }, true, true),
            (Outcome::Decisions { cases: 1000, differing: 5 }, true, false),
            (Outcome::Losses(vec![0.009; 50]), true, true),
            (Outcome::Losses(vec![f64::NAN; 50]), false, false),
            (Outcome::Losses(Vec::new()), false, false),
        ];
        for (outcome, point, bound) in outcomes {
            assert_eq!(judge(&outcome, Some(0.01), GateMode::Point).passed, point, "{outcome:?}");
            assert_eq!(judge(&outcome, Some(0.01), GateMode::Bound).passed, bound, "{outcome:?}");
        }
    }

    #[test]
    fn it_says_how_many_cases_are_wanted() {
        assert_eq!(judge(&labels(32, 0, 0), Some(0.01), GateMode::Point).needed_cases, Some(299));
        assert_eq!(judge(&labels(100, 1, 0), Some(0.01), GateMode::Point).needed_cases, None, "the loss is the budget");
        let few = judge(&labels(1000, 5, 5), Some(0.01), GateMode::Bound).needed_cases;
        assert_eq!(few, Some(619), "1 % differ, nothing is lost");
    }

    #[test]
    fn a_gain_is_a_negative_loss() {
        let verdict = judge(&labels(100, 0, 3), Some(0.01), GateMode::Point);
        assert_eq!((verdict.loss, verdict.passed), (-0.03, true));
        assert!(verdict.bound > verdict.loss);
    }
}
