//! Scaled dot-product attention.

use super::curves::tanh;
use super::{Call, Operator};
use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;
use burn_backend::ops::ActivationOps;
use pannier_engine::Tensor;

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Attention", attention).check(check)];

/// What is added to a score that must not count: its exponential is 0, and unlike an infinity it makes no NaN of a row in which
/// nothing counts.
const MASKED: f64 = -1e30;

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    if attributes.wants(3) {
        return Err(Failure::Unsupported("output qk_matmul_output".into()));
    }
    if attributes.has(6) {
        return Err(Failure::Unsupported("operand nonpad_kv_seqlen".into()));
    }
    Ok(())
}

/// An operand as `[batch, heads, sequence, size]`.
fn heads(call: &Call<'_>, index: usize, attribute: &str) -> Outcome<Array> {
    let x = call.float(index)?;
    match x.shape.as_slice() {
        [_, _, _, _] => Ok(x),
        [batch, sequence, hidden] => {
            let heads = shape::size(call.attributes.int(attribute, 0)?)?;
            if heads == 0 || !hidden.is_multiple_of(heads) {
                return Err(Failure::Invalid(format!("{heads} heads of {hidden}")));
            }
            let apart = call.scope.reshape(&x, vec![*batch, *sequence, heads, hidden / heads])?;
            call.scope.swap(&apart, 1, 2)
        }
        shape => Err(Failure::Invalid(format!("attention over {shape:?}"))),
    }
}

/// The heads of keys and values, each repeated for the queries' heads that share it.
fn shared(scope: &Scope<'_>, x: &Array, wanted: usize) -> Outcome<Array> {
    let [batch, heads, sequence, size] = x.shape[..] else { return Err(Failure::Invalid("no heads".into())) };
    if heads == wanted {
        return Ok(x.clone());
    }
    if heads == 0 || !wanted.is_multiple_of(heads) {
        return Err(Failure::Invalid(format!("{wanted} heads of queries for {heads} of keys")));
    }
    let apart = scope.reshape(x, vec![batch, heads, 1, sequence, size])?;
    let repeated = scope.expand(&apart, &[batch, heads, wanted / heads, sequence, size])?;
    scope.reshape(&repeated, vec![batch, wanted, sequence, size])
}

fn attention(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let scope = &call.scope;
    let query = heads(call, 0, "q_num_heads")?;
    let (mut key, mut value) = (heads(call, 1, "kv_num_heads")?, heads(call, 2, "kv_num_heads")?);
    let mut past = 0;
    if let (Some(past_key), Some(past_value)) = (call.float_if_any(4)?, call.float_if_any(5)?) {
        past = shape::at(&past_key.shape, 2);
        key = scope.concat(&[past_key, key], 2)?;
        value = scope.concat(&[past_value, value], 2)?;
    }
    let (present_key, present_value) = (key.clone(), value.clone());
    let (key, value) = (shared(scope, &key, query.shape[1])?, shared(scope, &value, query.shape[1])?);
    let scale = call.attributes.float_if_any("scale")?.filter(|scale| *scale != 0.0);
    let scale = scale.unwrap_or_else(|| 1.0 / (shape::at(&query.shape, 3) as f64).sqrt());
    let mut scores = scope.matmul(&scope.scale(&query, scale)?, &scope.swap(&key, 2, 3)?)?;
    if let Some(mask) = call.array_if_any(3)? {
        let mask = match mask.kind() {
            Kind::Float => mask,
            _ => {
                let zero = scope.full(scores.dtype, vec![1], 0.0)?;
                scope.choose(&mask, &zero, &scope.full(scores.dtype, vec![1], MASKED)?)?
            }
        };
        scores = scope.add(&scores, &mask)?;
    }
    if call.attributes.flag("is_causal", false)? {
        scores = scope.add(&scores, &causal(scope, scores.shape[2], scores.shape[3], past)?)?;
    }
    let cap = call.attributes.float("softcap", 0.0)?;
    if cap > 0.0 {
        let capped = tanh(scope, &scope.scale(&scores, 1.0 / cap)?)?;
        scores = scope.scale(&capped, cap)?;
    }
    let weights = scope.each(&scores, |x| B::softmax(x, 3))?;
    let mut answer = scope.matmul(&weights, &value)?;
    if call.value(0)?.shape().len() == 3 {
        let [batch, heads, sequence, size] = answer.shape[..] else {
            return Err(Failure::Invalid("no heads".into()));
        };
        answer = scope.reshape(&scope.swap(&answer, 1, 2)?, vec![batch, sequence, heads * size])?;
    }
    Ok(vec![Value::array(answer), Value::array(present_key), Value::array(present_value)])
}

/// 0 for keys up to a query's own position, and what counts nothing beyond it.
fn causal(scope: &Scope<'_>, queries: usize, keys: usize, past: usize) -> Outcome<Array> {
    scope.lease(&[queries, keys])?;
    let beyond = |row: usize, column: usize| if column > row + past { MASKED as f32 } else { 0.0 };
    let mask: Vec<f32> = (0..queries).flat_map(|row| (0..keys).map(move |column| beyond(row, column))).collect();
    let mask = Tensor::from_slice([queries, keys], &mask).map_err(|why| Failure::Invalid(why.to_string()))?;
    scope.upload(mask.view())
}
