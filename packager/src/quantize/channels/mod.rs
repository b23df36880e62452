//! Pruning of channels: they are taken out of the graph, which becomes smaller and faster for good.
//!
//! A channel goes through activations, pooling, products of each channel by itself and additions, and can be taken out where
//! everything that makes it and everything that reads it is known ([`find`]). Which ones, and what the weights that read the
//! others make up for, is in [`choose`].

mod choose;
mod find;

use super::calibrate::Calibration;
use super::edit::Editor;
use super::error::QuantizeError;
use super::weights::Numbers;
use choose::Reader;
use find::{Group, Operand};
use pannier_engine::Program;
use pannier_graph::{Attribute, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// A program with fewer channels.
pub(super) struct Removed {
    pub(super) program: Program,
    /// Channels that went.
    pub(super) channels: usize,
    /// Channels that could have gone: those of all layers whose makers and readers are known.
    pub(super) of: usize,
}

/// Takes this part of the channels out wherever that is possible, rounded down, those that cost least first. `calibration` is of
/// the program, with products; without it, weights alone say what a channel is worth.
///
/// # Errors
/// [`QuantizeError::Weight`]: a weight holds a NaN or an infinity; [`QuantizeError::Graph`].
pub(super) fn remove(
    program: &Program,
    share: f32,
    calibration: Option<&Calibration>,
) -> Result<Removed, QuantizeError> {
    let program = unshared(program)?;
    let mut weights = Weights { program: &program, changed: BTreeMap::new() };
    let mut editor = Editor::new(&program);
    let (mut channels, mut of) = (0, 0);
    for group in find::groups(&program.graph.body) {
        let count = (group.size as f64 * f64::from(share)) as usize;
        of += group.size;
        let count = count.min(group.size.saturating_sub(1));
        if count > 0 {
            let kept = weights.reduce(&group, count, calibration)?;
            channels += count;
            for node in &group.depthwise {
                editor.set_attribute(*node, "group", Attribute::Int(kept.len() as i64));
            }
        }
    }
    for (value, numbers) in weights.changed {
        let data = editor.store_floats(&numbers.data);
        editor.resize(value, &numbers.shape, data);
    }
    Ok(Removed { program: editor.finish()?, channels, of })
}

/// Weights that change.
struct Weights<'a> {
    program: &'a Program,
    changed: BTreeMap<ValueId, Numbers>,
}

impl Weights<'_> {
    /// Takes so many channels out of a group and gives those that stay.
    fn reduce(
        &mut self,
        group: &Group,
        count: usize,
        calibration: Option<&Calibration>,
    ) -> Result<Vec<usize>, QuantizeError> {
        let mut readers = Vec::new();
        for operand in &group.read {
            let value = self.value(operand);
            let moments = calibration.and_then(|calibration| calibration.moments(value));
            readers.push(Reader::new(self.numbers(value)?, operand.axis, group.size, moments));
        }
        let mut makers = vec![0.0; group.size];
        for operand in &group.made {
            let rows = self.numbers(self.value(operand))?.rows(operand.axis);
            for (worth, row) in makers.iter_mut().zip(rows.data.chunks(rows.width().max(1))) {
                *worth += row.iter().map(|weight| f64::from(*weight) * f64::from(*weight)).sum::<f64>();
            }
        }
        let gone = choose::least(&readers, &makers, count);
        let kept: Vec<usize> = (0..group.size).filter(|channel| !gone.contains(channel)).collect();
        for (operand, reader) in group.read.iter().zip(readers) {
            let made_up_for = reader.without(&gone);
            self.changed.insert(self.value(operand), taken(&made_up_for, operand.axis, &kept));
        }
        for operand in &group.made {
            let value = self.value(operand);
            let numbers = self.numbers(value)?;
            self.changed.insert(value, taken(&numbers, operand.axis, &kept));
        }
        Ok(kept)
    }

    fn value(&self, operand: &Operand) -> ValueId {
        let node = self.program.graph.body.nodes.get(operand.node);
        // Operands of groups are constants of nodes that are there.
        node.and_then(|node| *node.inputs.get(operand.operand)?).unwrap_or(ValueId(u32::MAX))
    }

    fn numbers(&self, value: ValueId) -> Result<Numbers, QuantizeError> {
        match self.changed.get(&value) {
            Some(numbers) => Ok(numbers.clone()),
            None => Numbers::read(self.program, value),
        }
    }
}

/// Some indices along an axis.
fn taken(numbers: &Numbers, axis: usize, kept: &[usize]) -> Numbers {
    let inner: usize = numbers.shape.iter().skip(axis + 1).product();
    let size = numbers.shape.get(axis).copied().unwrap_or(1);
    let slices: Vec<&[f32]> = numbers.data.chunks(inner.max(1)).collect();
    let outer = slices.chunks(size.max(1));
    let data = outer.flat_map(|outer| kept.iter().filter_map(|index| outer.get(*index)).copied().flatten().copied());
    let mut shape = numbers.shape.clone();
    if let Some(size) = shape.get_mut(axis) {
        *size = kept.len();
    }
    Numbers { data: data.collect(), shape }
}

/// The program with a constant for each use of one: what two layers share cannot lose the channels of one of them.
fn unshared(program: &Program) -> Result<Program, QuantizeError> {
    let mut editor = Editor::new(program);
    let mut used = BTreeSet::new();
    for (index, node) in program.graph.body.nodes.iter().enumerate() {
        for (operand, input) in node.inputs.iter().enumerate() {
            let Some(value) = *input else { continue };
            if !used.insert(value)
                && let Some(copy) = editor.copy(value)
            {
                editor.set_input(index, operand, copy);
            }
        }
    }
    editor.finish()
}
