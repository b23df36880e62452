//! Answers against references and labels, over a file of cases.

use super::compare::compare;
use super::latency::Latency;
use crate::content::{Answer, Case, CaseFile, ContentError, Label, Reading, answer};
use pannier_bundle::manifest::{Content, Port};
use pannier_engine::Tensor;
use pannier_engine::golden::Tolerance;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How good the answers are.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// Cases that were run.
    pub cases: usize,
    /// Cases that had reference answers.
    pub compared: usize,
    /// Largest absolute difference from a reference.
    pub max_difference: f64,
    /// Largest difference as a share of what is allowed there; at most 1 passes.
    pub max_of_tolerance: f64,
    /// What counts as the reference's answer.
    #[serde(skip)]
    pub tolerance: Tolerance,
    /// Answers outside the tolerance.
    pub failures: Vec<Failure>,
    /// Right answers, where cases have labels and an output says something that a label can be compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<Right>,
    /// Time per run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latency>,
}

/// An answer outside the tolerance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// Name of the case.
    pub case: String,
    /// Name of the output.
    pub output: String,
    /// What is wrong.
    pub reason: String,
}

/// Right answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Right {
    /// Cases with a label.
    pub labelled: usize,
    /// Right answers of the model as built.
    pub ours: usize,
    /// Cases with a label and a reference answer.
    pub referenced: usize,
    /// Right answers of the reference among those.
    pub reference: usize,
    /// Right answers of the model as built among those.
    pub ours_referenced: usize,
}

impl Right {
    /// How much smaller the share of right answers is than the reference's: 0 if it is no smaller, or unknown.
    pub fn loss(&self) -> f64 {
        match self.referenced {
            0 => 0.0,
            cases => (self.reference as f64 - self.ours_referenced as f64).max(0.0) / cases as f64,
        }
    }
}

/// Runs every case and compares its answers with the references and the label that the file has.
///
/// `run` gives the outputs in the order of `outputs`. `progress` is told how many cases are done.
///
/// # Errors
/// Those of reading the file and of running.
pub fn evaluate<E: From<ContentError>>(
    cases: &mut CaseFile,
    outputs: &[Port],
    labels: &[Vec<String>],
    tolerance: Tolerance,
    mut run: impl FnMut(&Case) -> Result<Vec<Tensor>, E>,
    mut progress: impl FnMut(usize) -> Result<(), E>,
) -> Result<Accuracy, E> {
    let reading = Reading { labels, top: 1, scale: (1.0, 1.0) };
    let mut accuracy = Accuracy { cases: cases.len(), tolerance, ..Accuracy::default() };
    let mut right = Right::default();
    let mut times = Vec::with_capacity(cases.len());
    for index in 0..cases.len() {
        let case = cases.read(index)?;
        let start = Instant::now();
        let answers = run(&case)?;
        times.push(start.elapsed());
        accuracy.compare_case(&case, outputs, &answers);
        right.count(&case, outputs, &answers, &reading)?;
        progress(index + 1)?;
    }
    accuracy.right = (right.labelled > 0).then_some(right);
    accuracy.latency_ms = latency_after_warm_up(&times);
    Ok(accuracy)
}

/// The first run pays for what later ones find ready.
fn latency_after_warm_up(times: &[Duration]) -> Option<Latency> {
    Latency::of(if times.len() > 1 { times.get(1..).unwrap_or_default() } else { times })
}

impl Accuracy {
    /// Cases with at least one answer outside the tolerance.
    pub fn failed_cases(&self) -> usize {
        let mut cases: Vec<&str> = self.failures.iter().map(|failure| failure.case.as_str()).collect();
        cases.dedup();
        cases.len()
    }

    fn compare_case(&mut self, case: &Case, outputs: &[Port], answers: &[Tensor]) {
        if case.outputs.is_empty() {
            return;
        }
        self.compared += 1;
        for (name, reference) in &case.outputs {
            let mut fail = |reason| {
                self.failures.push(Failure { case: case.name.clone(), output: name.clone(), reason });
            };
            let found = outputs.iter().position(|port| port.name == *name).and_then(|index| answers.get(index));
            let Some(found) = found else {
                fail("there is no such output".to_owned());
                continue;
            };
            match compare(found, reference, self.tolerance) {
                Err(reason) => fail(reason),
                Ok(worst) => {
                    if !worst.is_close() {
                        let (element, found, expected) = (worst.element, worst.found, worst.expected);
                        fail(format!("element {element} is {found:e}, the reference {expected:e}"));
                    }
                    self.max_difference = self.max_difference.max(worst.difference);
                    self.max_of_tolerance = self.max_of_tolerance.max(worst.of_tolerance);
                }
            }
        }
    }
}

impl Right {
    fn count(
        &mut self,
        case: &Case,
        outputs: &[Port],
        answers: &[Tensor],
        reading: &Reading<'_>,
    ) -> Result<(), ContentError> {
        let says = |port: &Port| matches!(port.content, Content::Classes { .. } | Content::Ctc { .. });
        let (Some(label), Some(index)) = (&case.label, outputs.iter().position(says)) else { return Ok(()) };
        let (Some(port), Some(ours)) = (outputs.get(index), answers.get(index)) else { return Ok(()) };
        self.labelled += 1;
        let is_right = matches_label(port, ours, label, reading)?;
        self.ours += usize::from(is_right);
        if let Some((_, reference)) = case.outputs.iter().find(|(name, _)| *name == port.name) {
            self.referenced += 1;
            self.ours_referenced += usize::from(is_right);
            self.reference += usize::from(matches_label(port, reference, label, reading)?);
        }
        Ok(())
    }
}

/// Whether the first row of what an output says is the label.
///
/// # Errors
/// [`ContentError::Description`]: the output is not what it is described as.
pub(crate) fn matches_label(
    port: &Port,
    tensor: &Tensor,
    label: &Label,
    reading: &Reading<'_>,
) -> Result<bool, ContentError> {
    Ok(match answer(port, tensor, reading)? {
        Some(Answer::Classes { rows, .. }) => {
            rows.first().and_then(|row| row.first()).is_some_and(|class| match label {
                Label::Text(text) => class.label == *text,
                Label::Index(index) => i64::try_from(class.index) == Ok(*index),
            })
        }
        Some(Answer::Text { rows, .. }) => {
            rows.first().is_some_and(|row| matches!(label, Label::Text(text) if row.text == *text))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Interface, write_npz};
    use crate::measure::TOLERANCE;
    use pannier_bundle::manifest::{DType, Source};
    use std::io::Cursor;

    /// Three cases of a model that gives its input back; the reference of the last one is far off.
    fn measured() -> Accuracy {
        let port =
            |content| Port { name: "x".into(), dtype: DType::F32, shape: vec![], description: String::new(), content };
        let row = |values: [f32; 2]| Tensor::from_slice([1, 2], &values).unwrap();
        let (left, right, far) = (row([0.9, 0.1]), row([0.1, 0.9]), row([0.3, 0.7]));
        let label = Tensor::scalar(0i64);
        let mut file = Cursor::new(Vec::new());
        let arrays = [
            ("0/in/x", &left),
            ("0/out/y", &left),
            ("0/label", &label),
            ("1/in/x", &right),
            ("1/label", &label),
            ("2/in/x", &left),
            ("2/out/y", &far),
            ("2/label", &label),
        ];
        write_npz(&mut file, arrays).unwrap();
        let inputs = [port(Content::Tensor)];
        let outputs = [Port { name: "y".into(), ..port(Content::Classes { labels: 0 }) }];
        let source = Source { format: String::new(), sha256: [0; 32], opset: 0, options: vec![] };
        let interface = Interface { inputs: &inputs, outputs: &outputs, source: &source };
        let mut cases = CaseFile::from_bytes("t", file.into_inner(), interface).unwrap();
        let labels = [vec!["left".to_owned(), "right".to_owned()]];
        let echo = |case: &Case| Ok(vec![case.inputs[0].1.clone()]);
        evaluate::<ContentError>(&mut cases, &outputs, &labels, TOLERANCE, echo, |_| Ok(())).unwrap()
    }

    #[test]
    fn differences_and_right_answers_are_counted() {
        let accuracy = measured();
        assert_eq!((accuracy.cases, accuracy.compared, accuracy.failures.len()), (3, 2, 1));
        assert_eq!(accuracy.failures[0].case, "2");
        let right = accuracy.right.unwrap();
        assert_eq!(
            (right.labelled, right.ours, right.referenced, right.ours_referenced, right.reference),
            (3, 2, 2, 2, 1)
        );
        assert_eq!(right.loss(), 0.0, "better than the reference is no loss");
        assert_eq!(Right { reference: 2, ours_referenced: 1, ..right }.loss(), 0.5);
    }
}
