//! Elements put at positions.

use super::gather::{indices, rows};
use super::{Call, Operator, one};
use crate::array::{B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::shape;
use crate::value::Value;
use burn_backend::ops::FloatTensorOps;
use burn_backend::tensor::IndexingUpdateOp;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("ScatterElements", scatter_elements).check(check),
    Operator::new("ScatterND", scatter_nd).check(check),
];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    // Of several values for one position burn takes any; the standard forbids that without a reduction.
    attributes.only("reduction", attributes.text("reduction", "none")?, &["none", "add"])
}

fn update(call: &Call<'_>) -> Outcome<IndexingUpdateOp> {
    let add = call.attributes.text("reduction", "none")? == "add";
    Ok(if add { IndexingUpdateOp::Add } else { IndexingUpdateOp::Assign })
}

fn scatter_elements(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, values) = (call.array(0)?, call.array(2)?);
    let axis = shape::axis(call.attributes.int("axis", 0)?, x.rank())?;
    let at = indices(call.value(1)?, x.shape[axis], &call.scope)?;
    // burn wants the other axes to be of the same size.
    let fits = at.shape == values.shape && shape::with(&at.shape, axis, 0) == shape::with(&x.shape, axis, 0);
    if !fits || x.kind() != Kind::Float || values.kind() != Kind::Float {
        return Err(Failure::Unsupported(format!("{:?} scattered over {:?}", at.shape, x.shape)));
    }
    let update = update(call)?;
    one(call.scope.each(&x, |x| B::float_scatter(axis, x, at.data, values.data, update))?)
}

fn scatter_nd(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, index, values) = (call.array(0)?, call.value(1)?, call.array(2)?);
    let Some((count, batch)) = index.shape().split_last() else {
        return Err(Failure::Invalid("no positions".into()));
    };
    let at = rows(index, &x.shape, &call.scope)?;
    let inner = x.shape.get(*count..).unwrap_or_default();
    if values.shape != [batch, inner].concat() || x.kind() != Kind::Float || values.kind() != Kind::Float {
        return Err(Failure::Unsupported(format!("{:?} scattered over {:?}", values.shape, x.shape)));
    }
    let (outer, width) = (shape::product(&x.shape[..*count]), shape::product(inner));
    let table = call.scope.reshape(&x, vec![outer, width])?;
    let values = call.scope.reshape(&values, vec![at.len(), width])?;
    let update = update(call)?;
    let table = call.scope.each(&table, |x| B::float_select_assign(x, 0, at.data, values.data, update))?;
    one(call.scope.reshape(&table, x.shape)?)
}
