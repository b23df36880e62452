//! A product of one-hot rows with a table takes rows of the table.
//!
//! Exporters write `one_hot(ids) x table` as comparisons with 0, 1, 2, .., a cast and a matrix product. Elementwise work on
//! the rows is the same for equal rows, so it is done on the table, once.

use super::Context;
use super::rewrite::Rewrite;
use crate::fused::{Fused, Lookup};
use crate::import::Stop;
use crate::ir::{Constant, Id, Ir, Node, Op};
use crate::limits::Going;
use crate::ops::Io;
use crate::view::{View, ViewMut};
use pannier_engine::DType;
use pannier_graph::AlignedBytes;

/// Products become lookups.
pub(super) fn run(ir: &mut Ir, _: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        match lookup(rewrite, &node) {
            Some((op, inputs)) => rewrite.emit(Node { op: Op::Fused(Fused::Lookup(op)), inputs, ..node }),
            None => rewrite.emit(node),
        }
        Ok(())
    })
}

/// Elementwise work goes from the rows to the table.
pub(super) fn steps(ir: &mut Ir, _: &Context<'_>) -> Result<(), Stop> {
    let uses = ir.uses();
    Rewrite::walk(ir, |rewrite, mut node| {
        if let Some((table, indices, lookup)) = applied(rewrite, &node, &uses) {
            rewrite.take(node.inputs[0].unwrap_or_default());
            (node.op, node.inputs) = (Op::Fused(Fused::Lookup(lookup)), vec![Some(table), Some(indices)]);
        }
        rewrite.emit(node);
        Ok(())
    })
}

fn lookup(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<(Lookup, Vec<Option<Id>>)> {
    let (hot, table) = (node.input(0).filter(|_| node.is("MatMul"))?, node.input(1)?);
    let cast = rewrite.maker(hot).filter(|node| node.is("Cast"))?;
    let equal = rewrite.maker(cast.input(0)?).filter(|node| node.is("Equal"))?;
    let (a, b) = (equal.input(0)?, equal.input(1)?);
    let ir = &*rewrite.ir;
    let (indices, classes) = if ir.is_constant(b) { (a, b) } else { (b, a) };
    // Classes 0, 1, 2, .. along the last axis, indices along all others.
    let &[rows, width] = ir.shape(table) else { return None };
    let counted = ir.values[classes].ints()?.into_iter().eq(0..i64::try_from(rows).ok()?);
    let (shape, of_indices) = (ir.shape(node.output()?).to_vec(), ir.shape(indices));
    let alone = of_indices.last() == Some(&1)
        && ir.shape(hot).split_last() == Some((&rows, &of_indices[..of_indices.len() - 1]));
    let integers = matches!(ir.values[indices].dtype, DType::I32 | DType::I64);
    if !(counted && alone && integers && ir.shape(classes).last() == Some(&rows)) {
        return None;
    }
    // A row that no class has is a row of zeros: it comes last.
    let mut values = ir.values[table].floats()?.to_vec();
    values.resize(values.len() + width, 0.0);
    let name = ir.values[table].name.clone();
    let table = rewrite.ir.float_constant(&name, vec![rows + 1, width], &values);
    Some((Lookup { rows, shape }, vec![Some(table), Some(indices)]))
}

/// The table of the lookup before a chain, with the chain's steps applied; the indices; the lookup.
fn applied(rewrite: &mut Rewrite<'_>, node: &Node, uses: &[usize]) -> Option<(Id, Id, Lookup)> {
    let Op::Fused(Fused::Chain(chain)) = &node.op else { return None };
    let rows = node.input(0).filter(|id| uses.get(*id) == Some(&1))?;
    let maker = rewrite.maker(rows)?;
    let Op::Fused(Fused::Lookup(lookup)) = &maker.op else { return None };
    let (lookup, table, indices) = (lookup.clone(), maker.input(0)?, maker.input(1)?);
    let ir = &*rewrite.ir;
    let width = *ir.shape(table).last()?;
    // The operands must be the same for all rows: then they are so for those of the table.
    let operands = node.inputs.get(1..)?.iter().map(|id| {
        let view = ir.values[(*id)?].view()?;
        let kept = if view.len() == 1 { view.shape.len() } else { view.shape.len().checked_sub(1)? };
        let shape = view.shape.get(kept..)?;
        (crate::shape::len(shape) == view.len() && (view.len() == 1 || view.len() == width))
            .then_some(View { shape, ..view })
    });
    let operands = operands.collect::<Option<Vec<View<'_>>>>()?;
    let value = &ir.values[table];
    let mut bytes = AlignedBytes::zeroed(value.size_bytes());
    let inputs: Vec<Option<View<'_>>> = value.view().into_iter().chain(operands).map(Some).collect();
    let result = ViewMut { dtype: DType::F32, shape: &value.shape, bytes: bytes.as_bytes_mut() };
    let mut io =
        Io { inputs: &inputs, outputs: &mut [Some(result)], scratch: &mut [], pool: None, limits: Going::default() };
    crate::ops::Operator::run(chain, &mut io).ok()?;
    let (name, shape) = (value.name.clone(), value.shape.clone());
    let table = rewrite.ir.constant(&name, DType::F32, shape, Constant::owned(bytes));
    Some((table, indices, lookup))
}
