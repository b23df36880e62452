//! `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)` becomes one operator again.

use super::Context;
use crate::fused::{Fused, LayerNorm};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};
use pannier_engine::DType;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    let mut makers = vec![None; ir.values.len()];
    for (index, node) in ir.nodes.iter().enumerate() {
        node.outputs.iter().flatten().for_each(|id| makers[*id] = Some(index));
    }
    for index in 0..ir.nodes.len() {
        let Some((x, cols, epsilon)) = (Pattern { ir, makers: &makers }).matched(&ir.nodes[index]) else { continue };
        let norm = LayerNorm { kernels: context.kernels, cols, epsilon };
        let node = &mut ir.nodes[index];
        (node.op, node.inputs) = (Op::Fused(Fused::LayerNorm(norm)), vec![Some(x), None, None]);
    }
    Ok(())
}

struct Pattern<'a> {
    ir: &'a Ir,
    /// By value: the node that computes it.
    makers: &'a [Option<usize>],
}

impl Pattern<'_> {
    fn maker(&self, id: Id, op: &str) -> Option<&Node> {
        self.ir.nodes.get((*self.makers.get(id)?)?).filter(|node| node.is(op))
    }

    /// What is normalised, the length of its rows, and epsilon.
    fn matched(&self, division: &Node) -> Option<(Id, usize, f32)> {
        if !division.is("Div") {
            return None;
        }
        let (centred, deviation) = (division.input(0)?, division.input(1)?);
        let difference = self.maker(centred, "Sub")?;
        let (x, mean) = (difference.input(0)?, difference.input(1)?);
        let sum = self.maker(self.maker(deviation, "Sqrt")?.input(0)?, "Add")?;
        let (variance, epsilon) = (sum.input(0)?, self.ir.values[sum.input(1)?].scalar()?);
        let squares = self.mean_of_rows(variance)?;
        let cols = *self.ir.shape(x).last()?;
        let fits =
            self.ir.values[x].dtype == DType::F32 && self.mean_of_rows(mean)? == x && self.square_of(squares, centred);
        fits.then_some((x, cols, epsilon))
    }

    /// What a value is the mean of, along the last axis.
    fn mean_of_rows(&self, id: Id) -> Option<Id> {
        let node = self.maker(id, "ReduceMean")?;
        let x = node.input(0)?;
        let rank = self.ir.shape(x).len();
        let axes = self.ir.values[node.input(1)?].ints()?;
        let last = axes == [-1] || axes == [i64::try_from(rank).ok()? - 1];
        // The mean keeps its axis, so that it broadcasts along it.
        (last && self.ir.shape(id).len() == rank).then_some(x)
    }

    fn square_of(&self, id: Id, x: Id) -> bool {
        let by_power = self.maker(id, "Pow").is_some_and(|node| {
            node.input(0) == Some(x) && node.input(1).and_then(|id| self.ir.values[id].scalar()) == Some(2.0)
        });
        by_power || self.maker(id, "Mul").is_some_and(|node| node.input(0) == Some(x) && node.input(1) == Some(x))
    }
}
