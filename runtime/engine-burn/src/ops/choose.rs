//! One tensor or the other.

use super::elementwise::expand_host;
use super::{Call, Operator, one};
use crate::failure::Outcome;
use crate::host::{Host, Numbers};
use crate::shape;
use crate::value::Value;

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Where", choose).host(choose_host)];

fn choose(call: &Call<'_>) -> Outcome<Vec<Value>> {
    one(call.scope.choose(&call.array(0)?, &call.array(1)?, &call.array(2)?)?)
}

fn choose_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let (condition, yes, no) = (call.known(0)?, call.known(1)?, call.known(2)?);
    let shape = shape::broadcast(&shape::broadcast(&condition.shape, &yes.shape)?, &no.shape)?;
    let condition = expand_host(condition, &shape)?.to_floats();
    let (yes, no) = (expand_host(yes, &shape)?, expand_host(no, &shape)?);
    Ok(match (&yes.numbers, &no.numbers) {
        (Numbers::Ints(a), Numbers::Ints(b)) => Some(vec![Host::ints(yes.dtype, shape, pick(&condition, a, b))]),
        (Numbers::Floats(a), Numbers::Floats(b)) => Some(vec![Host::floats(yes.dtype, shape, pick(&condition, a, b))]),
        _ => None,
    })
}

fn pick<T: Copy>(condition: &[f64], yes: &[T], no: &[T]) -> Vec<T> {
    condition.iter().zip(yes.iter().zip(no)).map(|(holds, (yes, no))| if *holds != 0.0 { *yes } else { *no }).collect()
}
