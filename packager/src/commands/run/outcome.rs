//! What came of running files, and its JSON document.

use crate::args::RunArgs;
use crate::content::{Answer, Label, series};
use crate::loaded::{Loaded, Place};
use crate::measure::Comparison;
use pannier::Tensor;
use serde::Serialize;
use std::time::Duration;

/// What came of one run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Name of the case; empty if the file is one case.
    pub name: String,
    /// Start of its frame in seconds, if the file is sound.
    pub start_s: Option<f64>,
    /// What the outputs say.
    pub answers: Vec<Answer>,
    /// The true answer, if the file has it.
    pub label: Option<Label>,
    /// Differences from the file's reference answers, by output.
    pub differences: Vec<(String, Result<Comparison, String>)>,
    /// The output tensors, if they are wanted.
    pub outputs: Vec<(String, Tensor)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of one file.
#[derive(Debug, Clone)]
pub struct FileOutcome {
    /// The file as it was given.
    pub file: String,
    /// How its runs belong together.
    pub shape: Shape,
    /// At least one.
    pub runs: Vec<Outcome>,
}

/// How the runs of a file belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// There is one.
    One,
    /// Cases with names of their own.
    Cases,
    /// Frames of a sound.
    Sequence,
}

impl Outcome {
    /// Whether the answer is the label; `None` if there is no label, or nothing to compare it with.
    pub fn is_right(&self) -> Option<bool> {
        let label = self.label.as_ref()?;
        self.answers.iter().find_map(|answer| match (answer, label) {
            (Answer::Classes { rows, .. }, Label::Text(text)) => Some(rows.first()?.first()?.label == *text),
            (Answer::Classes { rows, .. }, Label::Index(index)) => {
                Some(i64::try_from(rows.first()?.first()?.index) == Ok(*index))
            }
            (Answer::Text { rows, .. }, Label::Text(text)) => Some(rows.first()?.text == *text),
            _ => None,
        })
    }

    /// Largest difference from a reference; `None` if there is none. Infinite if the shapes differ.
    pub fn max_difference(&self) -> Option<f64> {
        let difference = |result: &Result<Comparison, String>| result.as_ref().map_or(f64::INFINITY, |c| c.difference);
        self.differences.iter().map(|(_, result)| difference(result)).reduce(f64::max)
    }

    /// Whether every answer is as its reference, within the tolerance; `None` if there is no reference.
    pub fn is_close(&self) -> Option<bool> {
        let close = |result: &Result<Comparison, String>| result.as_ref().is_ok_and(Comparison::is_close);
        (!self.differences.is_empty()).then(|| self.differences.iter().all(|(_, result)| close(result)))
    }
}

/// The probabilities of a sound's frames, what they are of, and when the frames begin.
pub struct Series {
    /// What the probability is of.
    pub of: String,
    /// One for each frame.
    pub probabilities: Vec<f32>,
    /// Starts of the frames in seconds.
    pub starts_s: Vec<f64>,
}

impl FileOutcome {
    /// The probability over time, if that is what the model says.
    pub fn series(&self) -> Option<Series> {
        let mut series = Series { of: String::new(), probabilities: Vec::new(), starts_s: Vec::new() };
        for run in &self.runs {
            let (of, value) = run.answers.iter().find_map(|answer| match answer {
                Answer::Probability { of, values, .. } => Some((of, values.first()?)),
                _ => None,
            })?;
            series.of.clone_from(of);
            series.probabilities.push(*value);
            series.starts_s.push(run.start_s?);
        }
        Some(series)
    }
}

impl Series {
    /// Ranges of high probability in seconds. The last frame is as long as the others.
    pub fn ranges_s(&self) -> Vec<(f64, f64)> {
        let frame_s = self.starts_s.get(1).copied().unwrap_or(0.0);
        let start = |frame: usize| self.starts_s.get(frame).copied().unwrap_or(self.starts_s.len() as f64 * frame_s);
        series::ranges(&self.probabilities).iter().map(|range| (start(range.first), start(range.end))).collect()
    }
}

/// `pannier.dev/run/v1`
#[derive(Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    bundle: String,
    name: &'a str,
    version: &'a str,
    #[serde(flatten)]
    place: Place,
    files: Vec<FileEntry<'a>>,
}

#[derive(Serialize)]
struct FileEntry<'a> {
    file: &'a str,
    runs: Vec<RunEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<RangeEntry>>,
}

#[derive(Serialize)]
struct RunEntry<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    case: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_s: Option<f64>,
    answers: &'a [Answer],
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    within_tolerance: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_difference: Option<f64>,
    elapsed_ms: f64,
}

#[derive(Serialize)]
struct RangeEntry {
    of: String,
    start_s: f64,
    end_s: f64,
}

/// The document of these outcomes.
pub fn document<'a>(args: &RunArgs, model: &'a Loaded, outcomes: &'a [FileOutcome]) -> Document<'a> {
    let manifest = model.manifest();
    Document {
        schema: "pannier.dev/run/v1",
        bundle: args.bundle.display().to_string(),
        name: &manifest.name,
        version: &manifest.version,
        place: model.report().place,
        files: outcomes.iter().map(FileEntry::from).collect(),
    }
}

impl<'a> From<&'a FileOutcome> for FileEntry<'a> {
    fn from(outcome: &'a FileOutcome) -> Self {
        let ranges = outcome.series().map(|series| {
            let entry = |(start_s, end_s)| RangeEntry { of: series.of.clone(), start_s, end_s };
            series.ranges_s().into_iter().map(entry).collect()
        });
        FileEntry { file: &outcome.file, runs: outcome.runs.iter().map(RunEntry::from).collect(), ranges }
    }
}

impl<'a> From<&'a Outcome> for RunEntry<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        RunEntry {
            case: &outcome.name,
            start_s: outcome.start_s,
            answers: &outcome.answers,
            label: outcome.label.as_ref().map(label_text),
            right: outcome.is_right(),
            within_tolerance: outcome.is_close(),
            max_difference: outcome.max_difference().filter(|difference| difference.is_finite()),
            elapsed_ms: outcome.elapsed.as_secs_f64() * 1e3,
        }
    }
}

/// A label as text.
pub fn label_text(label: &Label) -> String {
    match label {
        Label::Text(text) => text.clone(),
        Label::Index(index) => index.to_string(),
    }
}
