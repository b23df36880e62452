//! What the values of one input or output add up to.

use crate::baseline::{TensorBaseline, bin};
use crate::drift::{self, Drift};
use crate::ports::{Answer, Watched};
use crate::sample;
use crate::sketch::Sketch;
use pannier_engine::TensorView;

/// Edges of the bins where no baseline gives any: decades on both sides of zero.
const EDGES: [f64; 11] = [-1000.0, -100.0, -10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0, 100.0, 1000.0];
/// Most classes that are counted by name.
const CLASSES: usize = 256;
/// Bins of the confidence, from 0 to 1.
pub(crate) const CONFIDENCE_BINS: usize = 20;

/// A value that should not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// No number.
    Nan,
    /// An infinity.
    Infinity,
    /// Outside of what the calibration data had.
    OutOfRange,
    /// Outside of what the manifest says the values mean.
    Schema,
}

impl Violation {
    /// Every violation.
    pub const ALL: [Violation; 4] = [Violation::Nan, Violation::Infinity, Violation::OutOfRange, Violation::Schema];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Violation::Nan => "nan",
            Violation::Infinity => "infinity",
            Violation::OutOfRange => "out_of_range",
            Violation::Schema => "schema",
        }
    }
}

/// Counts of values in bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper edges of all bins but the last.
    pub edges: Vec<f64>,
    /// Values in each bin.
    pub counts: Vec<u64>,
    /// Sum of the values.
    pub sum: f64,
}

impl Histogram {
    fn new(edges: Vec<f64>) -> Histogram {
        Histogram { counts: vec![0; edges.len() + 1], edges, sum: 0.0 }
    }

    pub(crate) fn of_baseline(baseline: &TensorBaseline) -> Histogram {
        let count: u64 = baseline.counts.iter().sum();
        let (edges, counts) = (baseline.edges.clone(), baseline.counts.clone());
        Histogram { edges, counts, sum: baseline.mean * count as f64 }
    }

    fn record(&mut self, value: f64) {
        let bin = bin(&self.edges, value);
        self.counts[bin] += 1;
        self.sum += value;
    }
}

/// One watched tensor.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) watched: Watched,
    pub(crate) baseline: Option<TensorBaseline>,
    /// Since the session began.
    pub(crate) values: Histogram,
    pub(crate) invalid: [u64; 4],
    pub(crate) answers: Option<Answers>,
    window: Window,
}

/// Since the last export.
#[derive(Debug)]
struct Window {
    runs: u64,
    counts: Vec<u64>,
    sketch: Sketch,
}

/// What the answers were, since the session began.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answers {
    /// Classes in ascending order with their counts.
    pub(crate) classes: Vec<(usize, u64)>,
    /// Answers of classes that no longer fit into that.
    pub(crate) other: u64,
    pub(crate) confidence: Histogram,
}

/// What a window looked like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSummary {
    /// Runs that were looked at.
    pub runs: u64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean of the values.
    pub mean: f64,
    /// The quantiles of [`WindowSummary::QUANTILES`].
    pub quantiles: [f64; 5],
    /// How far the values are from the baseline, if there is one.
    pub drift: Option<Drift>,
}

impl WindowSummary {
    /// Which quantiles are told.
    pub const QUANTILES: [f64; 5] = [0.01, 0.25, 0.5, 0.75, 0.99];
}

impl Observed {
    pub(crate) fn new(watched: Watched, baseline: Option<&TensorBaseline>) -> Observed {
        let edges = baseline.map_or(EDGES.to_vec(), |baseline| baseline.edges.clone());
        let answers = (watched.answer != Answer::Values).then(|| Answers {
            classes: Vec::with_capacity(CLASSES),
            other: 0,
            confidence: Histogram::new((1..CONFIDENCE_BINS).map(|edge| edge as f64 / CONFIDENCE_BINS as f64).collect()),
        });
        let values = Histogram::new(edges);
        Observed {
            window: Window { runs: 0, counts: vec![0; values.counts.len()], sketch: Sketch::new() },
            baseline: baseline.cloned(),
            invalid: [0; 4],
            answers,
            values,
            watched,
        }
    }

    /// Elements that [`Observed::look`] reads.
    pub(crate) fn cost(&self, tensor: TensorView<'_>) -> usize {
        let scores = match self.watched.answer {
            Answer::Classes { count, .. } => (count * sample::ROWS).min(tensor.len()),
            _ => 0,
        };
        sample::cost(tensor.len()) + scores
    }

    /// Looks at a few elements of the tensor of one run.
    pub(crate) fn look(&mut self, tensor: TensorView<'_>, look: u64) {
        let Observed { watched, baseline, values, invalid, window, .. } = self;
        let range = baseline.as_ref().map(|baseline| (baseline.min, baseline.max));
        let outside =
            |range: Option<(f64, f64)>, value: f64| range.is_some_and(|(low, high)| value < low || value > high);
        let mut violate = |violation: Violation| invalid[violation as usize] += 1;
        sample::each(tensor, watched.reading, look, |value| {
            if !value.is_finite() {
                return violate(if value.is_nan() { Violation::Nan } else { Violation::Infinity });
            }
            if outside(range, value) {
                violate(Violation::OutOfRange);
            }
            if outside(watched.allowed, value) {
                violate(Violation::Schema);
            }
            let bin = bin(&values.edges, value);
            window.counts[bin] += 1;
            window.sketch.record(value);
        });
        window.runs += 1;
        self.look_at_answers(tensor);
    }

    fn look_at_answers(&mut self, tensor: TensorView<'_>) {
        let Some(answers) = &mut self.answers else { return };
        match self.watched.answer {
            Answer::Values => {}
            Answer::Classes { count, .. } => {
                sample::best_scores(tensor, count, |class, score| answers.add(class, score))
            }
            // Of the two classes, yes and no, the likelier one is the answer.
            Answer::Probability => sample::best_scores(tensor, 1, |_, of| {
                answers.add(usize::from(of >= 0.5), of.max(1.0 - of));
            }),
        }
    }

    /// What the window looked like; then the next one begins. `None` if nothing was looked at.
    pub(crate) fn close_window(&mut self) -> Option<WindowSummary> {
        let window = &mut self.window;
        let counted = window.sketch.count();
        let summary = window.sketch.min().zip(window.sketch.max()).map(|(min, max)| WindowSummary {
            runs: window.runs,
            min,
            max,
            mean: (window.sketch.sum() / counted as f64).clamp(min, max),
            quantiles: WindowSummary::QUANTILES.map(|share| window.sketch.quantile(share).unwrap_or(min)),
            drift: self.baseline.as_ref().and_then(|baseline| drift::compare(baseline, &window.counts, window.runs)),
        });
        self.values.sum += window.sketch.sum();
        self.values.counts.iter_mut().zip(&window.counts).for_each(|(total, count)| *total += count);
        window.runs = 0;
        window.counts.fill(0);
        window.sketch.clear();
        summary
    }
}

impl Answers {
    fn add(&mut self, class: usize, confidence: f64) {
        match self.classes.binary_search_by_key(&class, |(known, _)| *known) {
            Ok(place) => self.classes[place].1 += 1,
            Err(place) if self.classes.len() < CLASSES => self.classes.insert(place, (class, 1)),
            Err(_) => self.other += 1,
        }
        // A score outside is a logit: nobody's confidence.
        if (0.0..=1.0).contains(&confidence) {
            self.confidence.record(confidence);
        }
    }
}
