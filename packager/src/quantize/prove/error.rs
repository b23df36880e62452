//! Why a loss cannot be measured, or is larger than its budget.

use super::gate::{GateMode, Verdict};
use super::metric::Metric;
use super::statistics::cases_without_difference;
use crate::content::ContentError;
use pannier_bundle::Code;

/// Errors of measuring what a quantization costs, and of keeping it within a budget.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// An input holds something that is no finite number.
    #[error("case `{case}`: input `{input}` holds {found}")]
    Input {
        /// Name of the case.
        case: String,
        /// Name of the input.
        input: String,
        /// `NaN` or `an infinity`.
        found: &'static str,
    },
    /// The original answers with something that is no finite number: nothing can be compared with that.
    #[error("case `{case}`: output `{output}` of the original is not finite")]
    Answers {
        /// Name of the case.
        case: String,
        /// Name of the output.
        output: String,
    },
    /// The metric cannot be measured on these cases.
    #[error("{metric} cannot be measured: {reason}")]
    Metric {
        /// The metric that was asked for.
        metric: Metric,
        /// What it lacks.
        reason: &'static str,
    },
    /// A label that no answer can be.
    #[error("case `{case}` has the label `{label}`, which is none of the model's {classes} classes")]
    Label {
        /// Name of the case.
        case: String,
        /// Its label.
        label: String,
        /// How many classes there are.
        classes: usize,
    },
    /// There are too few cases.
    #[error("too few cases ({found}): {why}")]
    TooFew {
        /// How many there are.
        found: usize,
        /// What they are too few for.
        why: &'static str,
    },
    /// The cases take more memory than a search may hold.
    #[error("the cases take {size_bytes} bytes, at most {limit_bytes} are held in memory")]
    TooLarge {
        /// What they take.
        size_bytes: u64,
        /// What is allowed.
        limit_bytes: u64,
    },
    /// The scheme needs inputs that nobody gave.
    #[error("{what} needs {flag}")]
    Data {
        /// What is asked for.
        what: &'static str,
        /// What to give.
        flag: &'static str,
    },
    /// `--exclude` or `--include` names nothing.
    #[error("--{flag} {pattern}: no layer has this name or operator")]
    Pattern {
        /// `exclude` or `include`.
        flag: &'static str,
        /// What was given.
        pattern: String,
        /// The closest name, or a few of those that there are.
        known: String,
    },
    /// The model has no weights that could be quantized, or all were excluded.
    #[error("there is nothing to quantize: {reason}")]
    NoLayers {
        /// Why.
        reason: &'static str,
    },
    /// So few cases cannot show so small a loss, whatever the model answers.
    #[error("{cases} cases cannot show a loss of at most {}: even without a single difference they show {} (95 %)", percent(*budget), percent(*least))]
    Unprovable {
        /// Cases.
        cases: u64,
        /// What was to be shown.
        budget: f64,
        /// The smallest loss that so many cases can show.
        least: f64,
    },
    /// The loss is larger than the budget.
    #[error("{}", gate_text(*metric, verdict))]
    Gate {
        /// What was measured.
        metric: Metric,
        /// What the gate says.
        verdict: Verdict,
        /// Layers that cost most, each with its share of the noise.
        blame: Vec<String>,
    },
    /// Nothing that is smaller than the original keeps the budget.
    #[error("no quantization keeps a loss of {} in {metric} on the {cases} cases that it was searched with", percent(*budget))]
    Unreachable {
        /// What was measured.
        metric: Metric,
        /// What may be lost.
        budget: f64,
        /// Cases of the search.
        cases: u64,
        /// Layers that cost most, each with its share of the noise.
        blame: Vec<String>,
    },
    /// A file cannot be read as cases, or an output is not what it is described as.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl BudgetError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            BudgetError::Input { .. } | BudgetError::Answers { .. } | BudgetError::TooFew { .. } => Code::InvalidInput,
            BudgetError::Metric { .. }
            | BudgetError::Data { .. }
            | BudgetError::Pattern { .. }
            | BudgetError::NoLayers { .. } => Code::Usage,
            BudgetError::Label { .. } => Code::InvalidContent,
            BudgetError::TooLarge { .. } => Code::Limit,
            BudgetError::Unprovable { .. } | BudgetError::Gate { .. } | BudgetError::Unreachable { .. } => {
                Code::Accuracy
            }
            BudgetError::Content(error) => error.code(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            BudgetError::Input { .. } => "inputs must be what the model will meet; leave this case out".to_owned(),
            BudgetError::Answers { .. } => "the model itself fails there; leave this case out".to_owned(),
            BudgetError::Metric { metric: Metric::Accuracy, .. } => {
                "give cases with labels and describe the output in packager.toml, or choose another --metric".to_owned()
            }
            BudgetError::Metric { .. } => {
                "describe the outputs in packager.toml, or choose another --metric".to_owned()
            }
            BudgetError::Label { .. } => "labels are names of classes, or their indices as integers".to_owned(),
            BudgetError::TooFew { .. } => "give more cases; a hundred are often enough".to_owned(),
            BudgetError::TooLarge { .. } => "give fewer or smaller cases".to_owned(),
            BudgetError::Data { flag, .. } => format!("for example {flag} cases.npz: inputs that the model will meet"),
            BudgetError::Pattern { known, .. } => known.clone(),
            BudgetError::NoLayers { .. } => {
                "see --include and --exclude; small layers stay as they are unless they are included".to_owned()
            }
            BudgetError::Unprovable { budget, .. } => format!(
                "{} cases without a difference would show it; or ask for the measured loss alone with --gate point",
                cases_without_difference(*budget)
            ),
            BudgetError::Gate { blame, verdict, .. } => {
                let allow = match verdict.mode {
                    GateMode::Point => verdict.loss,
                    GateMode::Bound => verdict.bound,
                };
                format!("{}\nthe smallest loss that it keeps is --max-loss {}", blamed(blame), percent(round_up(allow)))
            }
            BudgetError::Unreachable { blame, .. } => {
                format!("{}\nallow more with --max-loss, or leave layers out with --exclude", blamed(blame))
            }
            BudgetError::Content(error) => return error.hint().map(str::to_owned),
        })
    }
}

fn blamed(blame: &[String]) -> String {
    if blame.is_empty() {
        "no single layer is to blame".to_owned()
    } else {
        format!("most of it is lost in {}", blame.join(", "))
    }
}

fn gate_text(metric: Metric, verdict: &Verdict) -> String {
    let measured = format!("{} of {metric} are lost on {} cases", percent(verdict.loss), verdict.cases);
    let bound = format!("at most {} with 95 % confidence", percent(verdict.bound));
    match verdict.mode {
        GateMode::Point => format!("{measured} ({bound}), {} are allowed", percent(verdict.budget.unwrap_or(0.0))),
        GateMode::Bound => {
            format!("{measured}; shown is {bound}, {} are allowed", percent(verdict.budget.unwrap_or(0.0)))
        }
    }
}

/// Up to the next hundredth of a percent.
fn round_up(share: f64) -> f64 {
    (share * 1e4).ceil() / 1e4
}

/// A share in percent, with two digits behind the point unless they are zeros.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{} %", if text == "-0" { "0" } else { text })
}

#[cfg(test)]
mod tests {
    use super::super::gate::{Outcome, judge};
    use super::*;

    #[test]
    fn shares_are_short() {
        for (share, text) in
            [(0.0, "0 %"), (0.01, "1 %"), (0.005, "0.5 %"), (0.02634, "2.63 %"), (1.0, "100 %"), (-1e-9, "0 %")]
        {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn a_failed_gate_names_the_layers_and_what_could_be_certified() {
        let outcome = Outcome::Labels { cases: 100, before: 90, lost: 3, gained: 0 };
        let verdict = judge(&outcome, Some(0.01), GateMode::Point);
        let error = BudgetError::Gate { metric: Metric::Accuracy, verdict, blame: vec!["`head` (93 %)".to_owned()] };
        assert_eq!(
            error.to_string(),
            "3 % of accuracy are lost on 100 cases (at most 9.13 % with 95 % confidence), 1 % are allowed"
        );
        assert_eq!(
            error.hint().unwrap(),
            "most of it is lost in `head` (93 %)\nthe smallest loss that it keeps is --max-loss 3 %"
        );
        assert_eq!(error.code().exit_status(), 21);
    }
}
