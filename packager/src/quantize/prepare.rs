//! Rewrites in binary32 that leave the program's answers as they are and make it easier to quantize.
//!
//! They come before calibration: what was observed of the program as it was says nothing of the one that they make.

use super::edit::Editor;
use super::error::QuantizeError;
use super::layers::count_uses;
use super::weights::Numbers;
use super::{Calibration, Layer, Recipe, apply, equalize, is_quantized, smooth};
use pannier_engine::Program;
use pannier_graph::{Encoding, Node, ValueId};
use std::collections::BTreeMap;

/// Scales channels between layers as the recipe says; the program itself where it says nothing of it. Layers stay what they
/// were: [`layers`](super::layers()) of the result are those of the program.
///
/// `calibration` has ranges of the program, and is needed for [`Recipe::smooth`] alone.
///
/// # Errors
/// Those of [`apply`](super::apply()). Never panics.
pub fn prepare(
    program: &Program,
    layers: &[Layer],
    recipe: &Recipe,
    calibration: Option<&Calibration>,
) -> Result<Program, QuantizeError> {
    if let Some(place) = is_quantized(&program.graph).filter(|_| recipe.equalize || recipe.smooth.is_some()) {
        return Err(QuantizeError::AlreadyQuantized { place });
    }
    let mut floats = Floats::new(program);
    if recipe.equalize {
        equalize::equalize(&mut floats, layers)?;
    }
    if let Some(share) = recipe.smooth {
        let calibration = calibration.filter(|calibration| calibration.observed().ranges);
        let calibration = calibration.ok_or_else(|| apply::missing("ranges of activations"))?;
        smooth::smooth(&mut floats, layers, share, calibration)?;
    }
    floats.finish()
}

/// A program whose weights change in place.
pub(super) struct Floats<'a> {
    program: &'a Program,
    uses: BTreeMap<ValueId, usize>,
    changed: BTreeMap<ValueId, Numbers>,
}

impl<'a> Floats<'a> {
    fn new(program: &'a Program) -> Floats<'a> {
        let mut uses = BTreeMap::new();
        count_uses(&program.graph.body, &mut uses);
        Floats { program, uses, changed: BTreeMap::new() }
    }

    pub(super) fn node(&self, index: usize) -> Option<&'a Node> {
        self.program.graph.body.nodes.get(index)
    }

    /// The node that makes a value, if there is one.
    pub(super) fn maker(&self, value: ValueId) -> Option<(usize, &'a Node)> {
        let mut nodes = self.program.graph.body.nodes.iter().enumerate();
        nodes.find(|(_, node)| node.outputs.contains(&Some(value)))
    }

    /// How many nodes read a value; an output is one more.
    pub(super) fn uses_of(&self, value: ValueId) -> usize {
        self.uses.get(&value).copied().unwrap_or(0)
    }

    /// Whether one node, and nothing else, reads a value.
    pub(super) fn is_single(&self, value: ValueId) -> bool {
        self.uses_of(value) == 1
    }

    /// Whether a value is a constant of binary32 that one node reads.
    pub(super) fn is_own(&self, value: ValueId) -> bool {
        let weight = self.program.graph.body.weights.iter().find(|weight| weight.value == value);
        self.is_single(value)
            && weight
                .is_some_and(|weight| weight.dtype == pannier_graph::DType::F32 && weight.encoding == Encoding::Raw)
    }

    /// A constant as it is by now.
    pub(super) fn numbers(&self, value: ValueId) -> Result<Numbers, QuantizeError> {
        match self.changed.get(&value) {
            Some(numbers) => Ok(numbers.clone()),
            None => Numbers::read(self.program, value),
        }
    }

    /// Multiplies each index along an axis of each constant with its own number. Nothing changes where that leaves binary32
    /// anywhere.
    pub(super) fn scale(&mut self, constants: &[(ValueId, usize, &[f32])]) -> Result<(), QuantizeError> {
        let mut scaled = Vec::new();
        for (value, axis, by) in constants {
            let mut numbers = self.numbers(*value)?;
            let inner: usize = numbers.shape.get(axis + 1..).unwrap_or_default().iter().product();
            for (index, number) in numbers.data.iter_mut().enumerate() {
                let channel = index / inner.max(1) % by.len().max(1);
                *number *= by.get(channel).copied().unwrap_or(1.0);
            }
            if numbers.data.iter().any(|number| !number.is_finite()) {
                return Ok(());
            }
            scaled.push((*value, numbers));
        }
        self.changed.extend(scaled);
        Ok(())
    }

    fn finish(self) -> Result<Program, QuantizeError> {
        if self.changed.is_empty() {
            return Ok(self.program.clone());
        }
        let mut editor = Editor::new(self.program);
        for (value, numbers) in &self.changed {
            let data = editor.store_floats(&numbers.data);
            editor.encode(*value, Encoding::Raw, data);
        }
        editor.finish()
    }
}

/// Factors that are powers of two change no digit of what they multiply.
pub(super) fn power_of_two(factor: f64) -> f32 {
    // Beyond this, weights that are not small could leave binary32.
    const MOST: f64 = 20.0;
    let exponent = factor.log2().round_ties_even();
    if exponent.is_finite() { 2.0_f32.powi(exponent.clamp(-MOST, MOST) as i32) } else { 1.0 }
}
