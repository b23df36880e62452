//! Products of matrices.

use super::{Call, Operator, one};
use crate::failure::{Failure, Outcome};
use crate::value::Value;

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Gemm", gemm), Operator::new("MatMul", matmul)];

fn matmul(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (a, b) = (call.float(0)?, call.float(1)?);
    // A vector is a matrix of one row on the left, of one column on the right, and its axis is not in the result.
    let (row, column) = (a.rank() == 1, b.rank() == 1);
    let a = if row { call.scope.reshape(&a, vec![1, a.len()])? } else { a };
    let b = if column { call.scope.reshape(&b, vec![b.len(), 1])? } else { b };
    let product = call.scope.matmul(&a, &b)?;
    let mut shape = product.shape.clone();
    let last = shape.len();
    if column {
        shape.remove(last - 1);
    }
    if row {
        shape.remove(last - 2);
    }
    one(call.scope.reshape(&product, shape)?)
}

fn gemm(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (mut a, mut b) = (call.float(0)?, call.float(1)?);
    if a.rank() != 2 || b.rank() != 2 {
        return Err(Failure::Invalid(format!("Gemm of {:?} and {:?}", a.shape, b.shape)));
    }
    if call.attributes.flag("transA", false)? {
        a = call.scope.swap(&a, 0, 1)?;
    }
    if call.attributes.flag("transB", false)? {
        b = call.scope.swap(&b, 0, 1)?;
    }
    let mut product = call.scope.matmul(&a, &b)?;
    let (alpha, beta) = (call.attributes.float("alpha", 1.0)?, call.attributes.float("beta", 1.0)?);
    if alpha != 1.0 {
        product = call.scope.scale(&product, alpha)?;
    }
    if let Some(mut c) = call.float_if_any(2)?.filter(|_| beta != 0.0) {
        if beta != 1.0 {
            c = call.scope.scale(&c, beta)?;
        }
        product = call.scope.add(&product, &c)?;
    }
    one(product)
}
