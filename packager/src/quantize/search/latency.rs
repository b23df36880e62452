//! Which layers are faster with integers on this machine.
//!
//! Layers of one operator and as many weights are of one kind, and measured together: the whole model with them as integers
//! beside the whole model as it was, conversions and all. At the end, the recipe that was found is measured in the same way. What is
//! measured is recorded, and what was chosen by it stands in the recipe: to do it again, nobody needs a stopwatch.

use super::{Found, Search};
use crate::error::Error;
use crate::quantize::{LayerScheme, Recipe, Stage};
use pannier_engine::{Prepared, Program, RunBudget, Tensor, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// Runs of each of the two programs, in turn: the fastest of each counts.
const ROUNDS: usize = 7;
/// A kind of layer has to save so much of a run (0.5 %) to be worth its noise.
const WORTH: f64 = 0.995;

/// Times of a kind of layers, in nanoseconds of a run of the whole model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindTime {
    /// Operator; `*` where all layers of a recipe were measured together.
    pub op: String,
    /// Weights of one layer.
    pub elements: u64,
    /// Layers of this kind.
    pub layers: u64,
    /// As it was.
    pub float_ns: u64,
    /// With the layers of this kind as integers.
    pub integer_ns: u64,
}

impl KindTime {
    pub(super) fn is_faster(&self) -> bool {
        (self.integer_ns as f64) < self.float_ns as f64 * WORTH
    }
}

/// Times of every kind of layers that can compute with integers, and which layers are faster so.
///
/// # Errors
/// Those of applying and running.
pub(super) fn measure(search: &mut Search<'_>) -> Result<(Vec<KindTime>, Vec<bool>), Error> {
    let mut kinds: BTreeMap<(&str, u64), Vec<usize>> = BTreeMap::new();
    for (index, layer) in search.layers.iter().enumerate() {
        if layer.integer && search.eligible[index] {
            kinds.entry((&layer.op, layer.elements)).or_default().push(index);
        }
    }
    let mut faster = vec![false; search.layers.len()];
    let (mut times, total) = (Vec::new(), kinds.len() as u64);
    for (done, ((op, elements), indices)) in kinds.into_iter().enumerate() {
        (search.progress)(Stage::Latency, done as u64, total);
        let mut recipe = Recipe::uniform(search.layers.len(), LayerScheme::Float);
        indices.iter().for_each(|index| recipe.layers[*index] = LayerScheme::STATIC);
        let integers = search.apply(&recipe)?.program;
        let (float_ns, integer_ns) = side_by_side(search, &integers)?;
        let time = KindTime { op: op.to_owned(), elements, layers: indices.len() as u64, float_ns, integer_ns };
        indices.iter().for_each(|index| faster[*index] = time.is_faster());
        times.push(time);
    }
    (search.progress)(Stage::Latency, total, total);
    Ok((times, faster))
}

/// Times of a recipe as a whole, of which so many layers compute with integers.
///
/// # Errors
/// Those of running.
pub(super) fn of_recipe(search: &Search<'_>, found: &Found, integers: &[bool]) -> Result<KindTime, Error> {
    let (float_ns, integer_ns) = side_by_side(search, &found.applied.program)?;
    let chosen = search.layers.iter().zip(integers).filter(|(_, integer)| **integer);
    let (layers, elements) = chosen.fold((0, 0), |(layers, sum), (layer, _)| (layers + 1, sum + layer.elements));
    Ok(KindTime { op: "*".to_owned(), elements, layers, float_ns, integer_ns })
}

/// The fastest run of the original and of another program in nanoseconds, on one case, engines as sessions take them.
fn side_by_side(search: &Search<'_>, other: &Program) -> Result<(u64, u64), Error> {
    let Some(inputs) = search.inputs.first() else { return Ok((0, 0)) };
    let trial = search.trial.as_sessions_run();
    trial.with_engine(&search.original.program, |before| {
        trial.with_engine(other, |after| fastest(before, after, inputs))
    })
}

/// The fastest run of each in nanoseconds, after one that finds nothing ready.
fn fastest(before: &dyn Prepared, after: &dyn Prepared, inputs: &[Tensor]) -> Result<(u64, u64), Error> {
    let views: Vec<TensorView<'_>> = inputs.iter().map(Tensor::view).collect();
    let budget = RunBudget { memory_bytes: None, watch: Some(&crate::interrupt::OnCtrlC) };
    let mut least = (u64::MAX, u64::MAX);
    for _ in 0..=ROUNDS {
        for (prepared, least) in [(before, &mut least.0), (after, &mut least.1)] {
            let start = Instant::now();
            prepared.run(&views, &budget)?;
            *least = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).min(*least);
        }
    }
    Ok(least)
}
