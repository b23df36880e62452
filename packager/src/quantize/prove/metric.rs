//! How much a changed model's answers are worth beside the original's.
//!
//! Two numbers come out of every comparison. The *loss* is of the metric that the user cares about, and is what the gate
//! judges. The *noise* is the energy of the differences as a part of the energy of the answers: it moves with every bit of a
//! weight, long before a decision changes, and is what a search steers by.

use super::error::BudgetError;
use super::gate::Outcome;
use crate::content::{Answer, Case, Label, Reading, answer, numbers};
use crate::measure::matches_label;
use clap::ValueEnum;
use pannier_bundle::manifest::{Content, DType, Port};
use pannier_engine::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is lost when a model answers otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of right answers, by the labels of the cases
    Accuracy,
    /// Share of cases in which the decision (class, text, yes or no) is the original's
    Agreement,
    /// One minus the cosine of the answers' angle to the original's
    Cosine,
    /// Energy of the differences, as a part of that of the original's answers
    Snr,
    /// Divergence (Kullback-Leibler) of the answers from the original's, in nats
    Kl,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metric::Accuracy => "accuracy",
            Metric::Agreement => "agreement",
            Metric::Cosine => "cosine",
            Metric::Snr => "snr",
            Metric::Kl => "kl",
        })
    }
}

impl Metric {
    /// Whether cases are counted, rather than numbers averaged.
    pub fn counts(self) -> bool {
        matches!(self, Metric::Accuracy | Metric::Agreement)
    }
}

/// What an output decides, row by row.
#[derive(Debug, Clone, PartialEq)]
enum Decision {
    Classes(Vec<usize>),
    Texts(Vec<String>),
    Yes(Vec<bool>),
}

/// The original's answers to some cases, and how others are compared with them.
pub struct Judge<'a> {
    metric: Metric,
    outputs: &'a [Port],
    labels: &'a [Vec<String>],
    originals: Vec<Original>,
}

/// The original's answer to a case.
struct Original {
    name: String,
    answers: Vec<Tensor>,
    decisions: Vec<Option<Decision>>,
    label: Option<Label>,
    right: bool,
}

/// What a comparison gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// For the gate.
    pub outcome: Outcome,
    /// Energy of the differences as a part of the answers' energy, of the output where it is largest. Of probabilities
    /// the square roots are compared: a change of a small one counts as much as it does for a decision.
    pub noise: f64,
}

impl Score {
    /// The ratio of signal to noise in decibels.
    pub fn sqnr_db(&self) -> f64 {
        decibels(self.noise)
    }
}

/// A share of noise as a ratio of signal to noise in decibels; 200 where there is hardly any.
pub fn decibels(noise: f64) -> f64 {
    (-10.0 * noise.max(1e-20).log10()).min(200.0)
}

impl<'a> Judge<'a> {
    /// Takes the original's answers to `cases`. Without a `metric`: accuracy where cases have labels and an output says
    /// something that a label can be compared with; else agreement where an output decides something; else cosine, or the ratio
    /// of noise to signal where answers are single numbers.
    ///
    /// # Errors
    /// [`BudgetError::Answers`]: the original answers with something that is no finite number, or nothing at all.
    /// [`BudgetError::Metric`]: there is nothing to measure this with. [`BudgetError::Label`]: a label that no answer can
    /// be. [`BudgetError::Content`]: an output is not what it is described as.
    pub fn new(
        metric: Option<Metric>,
        outputs: &'a [Port],
        labels: &'a [Vec<String>],
        cases: &[Case],
        answers: Vec<Vec<Tensor>>,
    ) -> Result<Judge<'a>, BudgetError> {
        let mut judge = Judge { metric: Metric::Cosine, outputs, labels, originals: Vec::with_capacity(answers.len()) };
        for (case, answers) in cases.iter().zip(answers) {
            let original = judge.original(case, answers)?;
            judge.originals.push(original);
        }
        judge.metric = judge.choose(metric)?;
        if judge.metric == Metric::Accuracy {
            judge.check_labels()?;
        }
        Ok(judge)
    }

    /// What is measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Cases that count: with accuracy, those that have a label.
    pub fn cases(&self) -> u64 {
        let counts = |original: &&Original| self.metric != Metric::Accuracy || original.label.is_some();
        self.originals.iter().filter(counts).count() as u64
    }

    /// Right answers of the original, where that is the metric.
    pub fn right(&self) -> Option<u64> {
        let count = || self.originals.iter().filter(|original| original.right).count() as u64;
        (self.metric == Metric::Accuracy).then(count)
    }

    fn original(&self, case: &Case, answers: Vec<Tensor>) -> Result<Original, BudgetError> {
        let mut decisions = Vec::with_capacity(answers.len());
        for (port, tensor) in self.outputs.iter().zip(&answers) {
            if is_float(tensor) && numbers::wide(tensor).iter().any(|value| !value.is_finite()) {
                return Err(BudgetError::Answers { case: case.name.clone(), output: port.name.clone() });
            }
            decisions.push(self.decide(port, tensor)?);
        }
        let right = match (&case.label, self.labelled()) {
            (Some(label), Some((index, port))) => match answers.get(index) {
                Some(tensor) => matches_label(port, tensor, label, &self.reading())?,
                None => false,
            },
            _ => false,
        };
        Ok(Original { name: case.name.clone(), answers, decisions, label: case.label.clone(), right })
    }

    fn reading(&self) -> Reading<'a> {
        Reading { labels: self.labels, top: 1, scale: (1.0, 1.0) }
    }

    /// The output that labels are about.
    fn labelled(&self) -> Option<(usize, &'a Port)> {
        let says = |port: &&Port| matches!(port.content, Content::Classes { .. } | Content::Ctc { .. });
        self.outputs.iter().enumerate().find(|(_, port)| says(port))
    }

    fn decide(&self, port: &Port, tensor: &Tensor) -> Result<Option<Decision>, BudgetError> {
        if !matches!(port.content, Content::Classes { .. } | Content::Ctc { .. } | Content::Probability { .. }) {
            return Ok(None);
        }
        Ok(match answer(port, tensor, &self.reading())? {
            Some(Answer::Classes { rows, .. }) => {
                let best = rows.iter().filter_map(|row| row.first().map(|class| class.index));
                Some(Decision::Classes(best.collect()))
            }
            Some(Answer::Text { rows, .. }) => Some(Decision::Texts(rows.into_iter().map(|row| row.text).collect())),
            Some(Answer::Probability { values, .. }) => {
                Some(Decision::Yes(values.iter().map(|value| *value >= 0.5).collect()))
            }
            _ => None,
        })
    }

    fn choose(&self, wanted: Option<Metric>) -> Result<Metric, BudgetError> {
        let labelled = self.labelled().is_some() && self.originals.iter().any(|original| original.label.is_some());
        let decides = self.originals.iter().any(|original| original.decisions.iter().any(Option::is_some));
        let lacking = |metric, reason| Err(BudgetError::Metric { metric, reason });
        match wanted {
            Some(Metric::Accuracy) if self.labelled().is_none() => {
                lacking(Metric::Accuracy, "no output is described as classes or as a text")
            }
            Some(Metric::Accuracy) if !labelled => lacking(Metric::Accuracy, "no case has a label"),
            Some(Metric::Agreement) if !decides => {
                lacking(Metric::Agreement, "no output is described as classes, as a text or as a probability")
            }
            Some(metric) => Ok(metric),
            None if labelled => Ok(Metric::Accuracy),
            None if decides => Ok(Metric::Agreement),
            None => {
                let answers = || self.originals.iter().flat_map(|original| self.shown(&original.answers));
                Ok(if answers().any(|(_, tensor)| tensor.len() > 1) { Metric::Cosine } else { Metric::Snr })
            }
        }
    }

    fn check_labels(&self) -> Result<(), BudgetError> {
        let Some((_, Port { content: Content::Classes { labels }, .. })) = self.labelled() else { return Ok(()) };
        let Some(known) = self.labels.get(*labels as usize) else { return Ok(()) };
        for original in &self.originals {
            let (found, is_known) = match &original.label {
                Some(Label::Text(text)) => (text.clone(), known.contains(text)),
                Some(Label::Index(index)) => {
                    (index.to_string(), usize::try_from(*index).is_ok_and(|index| index < known.len()))
                }
                None => continue,
            };
            if !is_known {
                return Err(BudgetError::Label { case: original.name.clone(), label: found, classes: known.len() });
            }
        }
        Ok(())
    }

    /// Outputs that somebody looks at: state is fed back, and what it does to answers shows there.
    fn shown<'t>(&self, answers: &'t [Tensor]) -> impl Iterator<Item = (&'a Port, &'t Tensor)> {
        self.outputs.iter().zip(answers).filter(|(port, _)| port.content != Content::NextState)
    }

    /// Compares answers with the original's, case by case in the same order.
    ///
    /// # Errors
    /// [`BudgetError::Content`]: an output is not what it is described as.
    pub fn score(&self, answers: &[Vec<Tensor>]) -> Result<Score, BudgetError> {
        let outcome = match self.metric {
            Metric::Accuracy => self.labels_outcome(answers)?,
            Metric::Agreement => self.decisions_outcome(answers)?,
            Metric::Cosine => self.losses(answers, |signal| 1.0 - signal.cosine()),
            Metric::Snr => self.losses(answers, |signal| signal.noise()),
            Metric::Kl => self.divergences(answers),
        };
        Ok(Score { outcome, noise: self.noise(answers) })
    }

    fn labels_outcome(&self, answers: &[Vec<Tensor>]) -> Result<Outcome, BudgetError> {
        let (mut lost, mut gained) = (0, 0);
        for (original, answers) in self.originals.iter().zip(answers) {
            let (Some(label), Some((index, port))) = (&original.label, self.labelled()) else { continue };
            let right = match answers.get(index) {
                Some(tensor) => matches_label(port, tensor, label, &self.reading())?,
                None => false,
            };
            lost += u64::from(original.right && !right);
            gained += u64::from(!original.right && right);
        }
        Ok(Outcome::Labels { cases: self.cases(), before: self.right().unwrap_or(0), lost, gained })
    }

    fn decisions_outcome(&self, answers: &[Vec<Tensor>]) -> Result<Outcome, BudgetError> {
        let mut differing = 0;
        for (original, answers) in self.originals.iter().zip(answers) {
            let mut differs = false;
            for ((port, tensor), decision) in self.outputs.iter().zip(answers).zip(&original.decisions) {
                differs |= self.decide(port, tensor)? != *decision;
            }
            differing += u64::from(differs);
        }
        Ok(Outcome::Decisions { cases: self.cases(), differing })
    }

    fn losses(&self, answers: &[Vec<Tensor>], loss: impl Fn(&Signal) -> f64) -> Outcome {
        let of_case = |(original, answers): (&Original, &Vec<Tensor>)| {
            let pairs = self.shown(&original.answers).zip(self.shown(answers));
            let signal = pairs.fold(Signal::default(), |mut signal, ((_, expected), (_, found))| {
                signal.add(&numbers::wide(expected), &numbers::wide(found));
                signal
            });
            loss(&signal)
        };
        Outcome::Losses(self.originals.iter().zip(answers).map(of_case).collect())
    }

    /// Divergence of rows along the last axis, each taken as a distribution: negative numbers count as 0. A mean over rows
    /// of each case.
    fn divergences(&self, answers: &[Vec<Tensor>]) -> Outcome {
        let of_case = |(original, answers): (&Original, &Vec<Tensor>)| {
            let (mut sum, mut rows) = (0.0, 0.0);
            for ((_, expected), (_, found)) in self.shown(&original.answers).zip(self.shown(answers)) {
                let width = expected.shape().last().copied().filter(|width| *width > 0).unwrap_or(1);
                let (expected, found) = (numbers::wide(expected), numbers::wide(found));
                for (expected, found) in expected.chunks(width).zip(found.chunks(width)) {
                    sum += divergence(expected, found);
                    rows += 1.0;
                }
            }
            if rows == 0.0 { 0.0 } else { sum / rows }
        };
        Outcome::Losses(self.originals.iter().zip(answers).map(of_case).collect())
    }

    /// Over all cases together, of the output where it is largest.
    fn noise(&self, answers: &[Vec<Tensor>]) -> f64 {
        let mut worst: f64 = 0.0;
        for (index, port) in self.outputs.iter().enumerate() {
            let pairs = self.originals.iter().zip(answers);
            let pairs =
                pairs.filter_map(|(original, answers)| Some((original.answers.get(index)?, answers.get(index)?)));
            let mut signal = Signal::default();
            for (expected, found) in pairs.filter(|(expected, _)| is_float(expected)) {
                let (expected, found) = (numbers::wide(expected), numbers::wide(found));
                match port.content {
                    Content::NextState => {}
                    Content::Classes { .. } | Content::Ctc { .. } | Content::Probability { .. } | Content::Heatmap
                        if expected.iter().all(|value| (0.0..=1.0).contains(value)) =>
                    {
                        let root =
                            |values: Vec<f64>| values.iter().map(|value| value.max(0.0).sqrt()).collect::<Vec<_>>();
                        signal.add(&root(expected), &root(found));
                    }
                    _ => signal.add(&expected, &found),
                }
            }
            worst = worst.max(signal.noise());
        }
        worst
    }
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64)
}

/// Kullback-Leibler divergence of one distribution from another, both scaled to a sum of 1, in nats.
fn divergence(expected: &[f64], found: &[f64]) -> f64 {
    /// Stands for a probability of 0, whose logarithm nobody can use.
    const LEAST: f64 = 1e-12;
    let sum = |values: &[f64]| values.iter().map(|value| value.max(LEAST)).sum::<f64>();
    let (all_expected, all_found) = (sum(expected), sum(found));
    if !all_found.is_finite() {
        return f64::INFINITY;
    }
    let term = |(expected, found): (&f64, &f64)| {
        let (p, q) = (expected.max(LEAST) / all_expected, found.max(LEAST) / all_found);
        p * (p / q).ln()
    };
    expected.iter().zip(found).map(term).sum::<f64>().max(0.0)
}

/// Sums over pairs of numbers.
#[derive(Default)]
struct Signal {
    expected: f64,
    found: f64,
    product: f64,
    difference: f64,
    broken: bool,
}

impl Signal {
    fn add(&mut self, expected: &[f64], found: &[f64]) {
        // An answer of another shape is no answer.
        self.broken |= expected.len() != found.len();
        for (expected, found) in expected.iter().zip(found) {
            self.expected += expected * expected;
            self.found += found * found;
            self.product += expected * found;
            self.difference += (expected - found) * (expected - found);
        }
    }

    fn noise(&self) -> f64 {
        match (self.difference, self.expected) {
            _ if self.broken || !self.difference.is_finite() => f64::INFINITY,
            (0.0, _) => 0.0,
            // All answers are zero, and now they are not.
            (_, 0.0) => 1.0,
            (difference, expected) => difference / expected,
        }
    }

    /// 1 where both are zero, 0 where one is.
    fn cosine(&self) -> f64 {
        match self.expected * self.found {
            _ if self.broken || !self.found.is_finite() => -1.0,
            0.0 if self.difference == 0.0 => 1.0,
            0.0 => 0.0,
            product => (self.product / product.sqrt()).clamp(-1.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(content: Content) -> Port {
        Port { name: "y".into(), dtype: DType::F32, shape: vec![], description: String::new(), content }
    }

    fn cases(labels: &[Option<&str>]) -> Vec<Case> {
        let case = |(index, label): (usize, &Option<&str>)| Case {
            name: index.to_string(),
            label: label.map(|label| Label::Text(label.to_owned())),
            ..Case::default()
        };
        labels.iter().enumerate().map(case).collect()
    }

    fn rows(values: &[[f32; 2]]) -> Vec<Vec<Tensor>> {
        values.iter().map(|row| vec![Tensor::from_slice([1, 2], row).unwrap()]).collect()
    }

    fn names() -> Vec<Vec<String>> {
        vec![vec!["left".to_owned(), "right".to_owned()]]
    }

    const CLASSES: Content = Content::Classes { labels: 0 };
    const LEFT: [f32; 2] = [0.9, 0.1];
    const RIGHT: [f32; 2] = [0.2, 0.8];

    #[test]
    fn labels_are_paired() {
        let (ports, names) = ([port(CLASSES)], names());
        let cases = cases(&[Some("left"), Some("left"), Some("right")]);
        let judge = Judge::new(None, &ports, &names, &cases, rows(&[LEFT, RIGHT, RIGHT])).unwrap();
        assert_eq!((judge.metric(), judge.right()), (Metric::Accuracy, Some(2)));
        let score = judge.score(&rows(&[RIGHT, LEFT, RIGHT])).unwrap();
        assert_eq!(score.outcome, Outcome::Labels { cases: 3, before: 2, lost: 1, gained: 1 });
        let same = judge.score(&rows(&[LEFT, RIGHT, RIGHT])).unwrap();
        assert_eq!((same.noise, same.outcome.loss()), (0.0, 0.0));
    }

    #[test]
    fn without_labels_decisions_are_compared() {
        let (ports, names) = ([port(CLASSES)], names());
        let judge = Judge::new(None, &ports, &names, &cases(&[None, None]), rows(&[LEFT, RIGHT])).unwrap();
        assert_eq!(judge.metric(), Metric::Agreement);
        let score = judge.score(&rows(&[[0.6, 0.4], LEFT])).unwrap();
        assert_eq!(score.outcome, Outcome::Decisions { cases: 2, differing: 1 });
        assert!(score.noise > 0.01 && score.noise < 1.0, "{}", score.noise);
    }

    #[test]
    fn other_answers_have_an_angle_and_noise() {
        let ports = [port(Content::Tensor)];
        let measure = |metric, original: [f32; 2], found: [f32; 2]| {
            let judge = Judge::new(metric, &ports, &[], &cases(&[None]), rows(&[original])).unwrap();
            let score = judge.score(&rows(&[found])).unwrap();
            (judge.metric(), score.outcome.loss())
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert_eq!(measure(None, [1.0, 0.0], [2.0, 0.0]), (Metric::Cosine, 0.0));
        assert_eq!(measure(None, [1.0, 0.0], [0.0, 1.0]), (Metric::Cosine, 1.0));
        assert_eq!(measure(None, [0.0, 0.0], [0.0, 0.0]), (Metric::Cosine, 0.0));
        assert!(close(measure(Some(Metric::Snr), [1.0, 0.0], [1.0, 0.1]).1, 0.01));
        assert_eq!(measure(Some(Metric::Snr), [0.0, 0.0], [1.0, 0.1]).1, 1.0);
        assert_eq!(measure(Some(Metric::Snr), [1.0, 0.0], [f32::NAN, 0.0]).1, f64::INFINITY);
        assert_eq!(measure(None, [1.0, 0.0], [f32::NAN, 0.0]).1, 2.0);
        assert_eq!(measure(Some(Metric::Kl), [0.5, 0.5], [0.5, 0.5]).1, 0.0);
        assert!(close(measure(Some(Metric::Kl), [0.5, 0.5], [0.25, 0.75]).1, 0.143_841));
        assert_eq!(decibels(0.01), 20.0);
        assert_eq!(decibels(0.0), 200.0);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let (classes, plain, names) = ([port(CLASSES)], [port(Content::Tensor)], names());
        let code = |result: Result<Judge<'_>, BudgetError>| result.err().map(|error| error.to_string());
        let judge = |metric, ports, labels: &[Option<&str>], answer| {
            code(Judge::new(metric, ports, &names, &cases(labels), rows(&[answer])))
        };
        assert!(judge(Some(Metric::Accuracy), &plain, &[Some("left")], LEFT).is_some());
        assert!(judge(Some(Metric::Accuracy), &classes, &[None], LEFT).is_some());
        assert!(judge(Some(Metric::Agreement), &plain, &[None], LEFT).is_some());
        assert!(judge(None, &classes, &[Some("up")], LEFT).is_some());
        assert!(judge(None, &plain, &[None], [f32::NAN, 0.0]).is_some());
        assert!(judge(None, &plain, &[Some("left")], LEFT).is_none(), "labels of which nothing is known do not matter");
    }
}
