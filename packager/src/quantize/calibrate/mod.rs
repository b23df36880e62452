//! Watching a program on real inputs.
//!
//! A first pass over the cases finds ranges and sums, a second one counts numbers in fixed parts of the ranges.

mod moments;
mod patches;
mod run;
mod values;

pub(super) use moments::Moments;
pub(super) use values::{BINS, ValueStats};

use super::error::{CalibrationWhy, QuantizeError};
use super::{Activations, Layer, LayerScheme, Progress, Recipe, Rounding, apply};
use pannier_engine::{Program, Tensor, check_inputs};
use pannier_graph::ValueId;
use patches::Patches;
use run::Observer;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What is wanted of a calibration. Each costs time: see the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observe {
    /// Ranges and distributions of what layers read: two runs of each case.
    pub ranges: bool,
    /// Means of what each weight is multiplied with: one run of each case.
    pub means: bool,
    /// Products of what pairs of weights are multiplied with: one run, and for each layer as many multiplications as it
    /// has weights of a channel, squared, times the rows that are looked at.
    pub products: bool,
}

impl Observe {
    /// Nothing: what weight-only schemes with nearest rounding need.
    pub const NOTHING: Observe = Observe { ranges: false, means: false, products: false };
    /// Everything: enough for every recipe.
    pub const ALL: Observe = Observe { ranges: true, means: true, products: true };

    /// What a recipe needs.
    pub fn of(recipe: &Recipe) -> Observe {
        let is_static =
            |scheme: &LayerScheme| matches!(scheme, LayerScheme::Int8 { activations: Activations::Static, .. });
        let products = recipe.rounding == Rounding::Adaptive;
        Observe { ranges: recipe.layers.iter().any(is_static), means: products || recipe.bias_correction, products }
    }

    /// The first thing that is not in the other.
    pub(super) fn lacks(self, found: Observe) -> Option<&'static str> {
        let wanted = [
            ("ranges of activations", self.ranges, found.ranges),
            ("means of activations", self.means, found.means),
            ("products of activations", self.products, found.products),
        ];
        wanted.into_iter().find(|(_, wanted, found)| *wanted && !*found).map(|(what, _, _)| what)
    }
}

/// What was seen of a program.
#[derive(Debug, Clone)]
pub struct Calibration {
    observed: Observe,
    cases: usize,
    values: BTreeMap<ValueId, ValueStats>,
    /// By weight.
    moments: BTreeMap<ValueId, Moments>,
}

impl Calibration {
    /// What it holds.
    pub fn observed(&self) -> Observe {
        self.observed
    }

    /// How many cases it has seen.
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// Smallest and largest number of a value in all cases, if it was observed.
    pub fn range(&self, value: ValueId) -> Option<[f32; 2]> {
        self.values.get(&value).map(ValueStats::range)
    }

    pub(super) fn value(&self, value: ValueId) -> Option<&ValueStats> {
        self.values.get(&value)
    }

    /// Of what a weight is multiplied with.
    pub(super) fn moments(&self, weight: ValueId) -> Option<&Moments> {
        self.moments.get(&weight)
    }
}

/// Runs a program on cases, each of them its inputs in the graph's order, and keeps what is wanted. `progress` is told how
/// many runs are done.
///
/// The order of cases matters for [`MovingAverage`](super::RangeEstimator::MovingAverage) alone.
///
/// # Errors
/// [`QuantizeError::Calibration`]: there is no case, or a value in one is not finite. [`QuantizeError::Engine`]: an input
/// does not fit the program, an operator fails, or Ctrl-C. Never panics.
pub fn collect(
    program: &Program,
    layers: &[Layer],
    cases: &[Vec<Tensor>],
    what: Observe,
    progress: Progress<'_>,
) -> Result<Calibration, QuantizeError> {
    if cases.is_empty() {
        return Err(QuantizeError::Calibration { why: CalibrationWhy::NoCases });
    }
    let mut sources = sources(program, layers, cases.len(), what);
    let values: BTreeSet<ValueId> =
        layers.iter().filter_map(|layer| layer.input).chain(sources.iter().map(|source| source.read)).collect();
    let constant: BTreeSet<ValueId> = program.graph.body.weights.iter().map(|weight| weight.value).collect();
    let wanted: BTreeSet<ValueId> = values.difference(&constant).copied().collect();
    let mut seen: BTreeMap<ValueId, ValueStats> = BTreeMap::new();
    let passes = if what.ranges { 2 } else { 1 };
    let total = (cases.len() * passes) as u64;
    let mut done = 0;
    let mut step = |done: &mut u64| {
        progress(*done, total);
        *done += 1;
        apply::interrupted("")
    };
    let mut watcher = Watcher::new(program, &wanted);
    // Sums of binary64 depend on the order of their terms: that of the cases' contents, not the one they were given in.
    for case in by_content(cases) {
        step(&mut done)?;
        watcher.run(case, &cases[case], &mut |value, tensor| {
            if what.ranges {
                let stats = seen.entry(value).or_default();
                stats.cases.resize(cases.len(), [f32::INFINITY, f32::NEG_INFINITY]);
                stats.add_range(case, tensor);
            }
            for source in sources.iter_mut().filter(|source| source.read == value) {
                source.moments.add(&source.patches, tensor);
            }
        })?;
    }
    for (case, inputs) in cases.iter().enumerate().filter(|_| what.ranges) {
        step(&mut done)?;
        watcher.run(case, inputs, &mut |value, tensor| {
            if let Some(stats) = seen.get_mut(&value) {
                stats.add_counts(tensor);
            }
        })?;
    }
    let moments = sources.into_iter().map(|source| (source.weight, source.moments)).collect();
    Ok(Calibration { observed: what, cases: cases.len(), values: seen, moments })
}

/// A weight and what it is multiplied with.
struct Source {
    weight: ValueId,
    read: ValueId,
    patches: Patches,
    moments: Moments,
}

fn sources(program: &Program, layers: &[Layer], cases: usize, what: Observe) -> Vec<Source> {
    let mut sources = Vec::new();
    for layer in layers.iter().filter(|_| what.means || what.products) {
        let (Some(node), Some(input)) = (program.graph.body.nodes.get(layer.node), layer.input) else { continue };
        for weight in &layer.weights {
            let operand = node.inputs.iter().position(|input| *input == Some(*weight)).unwrap_or(1);
            let found = program.graph.body.weights.iter().find(|found| found.value == *weight);
            let shape: Option<Vec<usize>> =
                found.and_then(|weight| weight.shape.iter().map(|size| usize::try_from(*size).ok()).collect());
            let Some(patches) = shape.and_then(|shape| Patches::of(node, operand, &shape)) else { continue };
            let moments = Moments::new(&patches, cases, what.products);
            sources.push(Source { weight: *weight, read: input, patches, moments });
        }
    }
    sources
}

/// Cases in the order of their digests.
fn by_content(cases: &[Vec<Tensor>]) -> Vec<usize> {
    let digest = |case: &Vec<Tensor>| {
        let mut hash = Sha256::new();
        case.iter().for_each(|tensor| hash.update(tensor.bytes()));
        <[u8; 32]>::from(hash.finalize())
    };
    let digests: Vec<_> = cases.iter().map(digest).collect();
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|case| digests.get(*case).copied());
    order
}

/// Shows values of each case, inputs among them, and refuses what is not finite.
struct Watcher<'a> {
    program: &'a Program,
    inputs: Vec<Option<ValueId>>,
    observer: Observer<'a>,
}

impl<'a> Watcher<'a> {
    fn new(program: &'a Program, wanted: &BTreeSet<ValueId>) -> Watcher<'a> {
        let inputs: Vec<ValueId> = program.graph.body.inputs.iter().map(|input| input.value).collect();
        let inside = wanted.iter().copied().filter(|value| !inputs.contains(value)).collect();
        let inputs = inputs.into_iter().map(|value| wanted.contains(&value).then_some(value)).collect();
        Watcher { program, inputs, observer: Observer::new(program, inside) }
    }

    fn run(
        &mut self,
        case: usize,
        inputs: &[Tensor],
        visit: &mut dyn FnMut(ValueId, &Tensor),
    ) -> Result<(), QuantizeError> {
        let mut checked = |value: ValueId, tensor: &Tensor| {
            finite(case, self.program.graph.value_name(value), tensor)?;
            visit(value, tensor);
            Ok(())
        };
        let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
        check_inputs(&self.program.graph, &views)?;
        for (input, tensor) in self.program.graph.body.inputs.iter().zip(inputs) {
            finite(case, self.program.graph.value_name(input.value), tensor)?;
        }
        self.observer.run(inputs, &mut checked)?;
        for (value, tensor) in self.inputs.iter().zip(inputs) {
            if let Some(value) = value {
                checked(*value, tensor)?;
            }
        }
        Ok(())
    }
}

fn finite(case: usize, value: &str, tensor: &Tensor) -> Result<(), QuantizeError> {
    let odd = tensor.as_slice::<f32>().unwrap_or_default().iter().find(|number| !number.is_finite());
    match odd {
        None => Ok(()),
        Some(odd) => {
            let why = CalibrationWhy::NotFinite { case, value: value.to_owned(), found: odd.to_string() };
            Err(QuantizeError::Calibration { why })
        }
    }
}
