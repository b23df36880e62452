//! Scaled dot-product attention and rotary positions.

use super::elementwise::numbers;
use super::gather::index_at;
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type, write_floats};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

/// A tensor of heads: `[batch, heads, positions, size]`, or `[batch, positions, heads * size]`.
#[derive(Debug, Clone, Copy)]
struct Heads {
    batch: usize,
    heads: usize,
    positions: usize,
    size: usize,
    flat: bool,
}

impl Heads {
    /// `heads` is the attribute that says how many there are, needed where the shape does not.
    fn new(shape: &[usize], heads: i64) -> Result<Heads, String> {
        match *shape {
            [batch, heads, positions, size] => Ok(Heads { batch, heads, positions, size, flat: false }),
            [batch, positions, width] => {
                let heads = usize::try_from(heads).ok().filter(|heads| *heads > 0 && width % heads == 0);
                let heads = heads.ok_or_else(|| format!("{width} numbers for the given number of heads"))?;
                Ok(Heads { batch, heads, positions, size: width / heads, flat: true })
            }
            _ => Err(format!("heads in a tensor of rank {}", shape.len())),
        }
    }

    /// Where the numbers of one head at one position begin.
    fn at(&self, batch: usize, head: usize, position: usize) -> usize {
        let row = if self.flat {
            (batch * self.positions + position) * self.heads + head
        } else {
            (batch * self.heads + head) * self.positions + position
        };
        row * self.size
    }

    fn shape(&self) -> Vec<usize> {
        if self.flat {
            vec![self.batch, self.positions, self.heads.saturating_mul(self.size)]
        } else {
            vec![self.batch, self.heads, self.positions, self.size]
        }
    }
}

/// `Attention` with its attributes.
#[derive(Debug)]
struct Attention {
    causal: bool,
    query_heads: i64,
    key_heads: i64,
    /// Which state of the products is the fourth result.
    mode: i64,
    scale: Option<f32>,
    softcap: f64,
}

/// `Attention`
pub(crate) fn attention(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let scale = attributes.float("scale", f32::NAN)?;
    Ok(Arc::new(Attention {
        causal: attributes.flag("is_causal", false)?,
        query_heads: attributes.int("q_num_heads", 0)?,
        key_heads: attributes.int("kv_num_heads", 0)?,
        mode: attributes.int("qk_matmul_output_mode", 0)?,
        scale: (!scale.is_nan()).then_some(scale),
        softcap: f64::from(attributes.float("softcap", 0.0)?),
    }))
}

/// Shapes that fit each other.
struct Sizes {
    query: Heads,
    /// Those that are new, and those of all positions.
    key: Heads,
    value: Heads,
    all_keys: Heads,
    all_values: Heads,
    /// Positions before the new ones.
    past: usize,
}

impl Attention {
    fn sizes(&self, shape: impl Fn(usize) -> Option<Vec<usize>>) -> Result<Sizes, String> {
        let operand = |index: usize| shape(index).ok_or_else(|| format!("operand {index} is missing"));
        let query = Heads::new(&operand(0)?, self.query_heads)?;
        let (key, value) = (Heads::new(&operand(1)?, self.key_heads)?, Heads::new(&operand(2)?, self.key_heads)?);
        let fits = key.size == query.size
            && (key.batch, key.heads, key.positions) == (value.batch, value.heads, value.positions)
            && key.batch == query.batch
            && key.heads > 0
            && query.heads % key.heads == 0;
        if !fits {
            return Err(format!("attention of {query:?} to {key:?} and {value:?}"));
        }
        let past = match (shape(4), shape(5)) {
            (None, None) => 0,
            (Some(keys), Some(values)) => match (keys.as_slice(), values.as_slice()) {
                (&[b, h, past, size], &[b2, h2, past2, size2])
                    if [b, h, size] == [key.batch, key.heads, key.size]
                        && [b2, h2, past2, size2] == [b, h, past, value.size] =>
                {
                    past
                }
                _ => return Err(format!("past keys {keys:?} and values {values:?}")),
            },
            _ => return Err("past keys without past values".into()),
        };
        let positions = past.checked_add(key.positions).ok_or("too many positions")?;
        let all = |heads: Heads| Heads { positions, flat: false, ..heads };
        let (all_keys, all_values) = (all(key), all(value));
        if let Some(mask) = shape(3) {
            let wide = [query.batch, query.heads, query.positions, *mask.last().unwrap_or(&1)];
            if mask.is_empty() || wide[3] > positions || shape::broadcast([&wide[..], &mask])? != wide {
                return Err(format!("a mask of {mask:?}"));
            }
        }
        if shape(6).is_some_and(|lengths| lengths != [query.batch]) {
            return Err("the lengths without padding are not one for each batch".into());
        }
        Ok(Sizes { query, key, value, all_keys, all_values, past })
    }
}

impl Operator for Attention {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let query = expect_type(inputs, 0, FLOATS)?;
        let (key, value) = (expect_type(inputs, 1, FLOATS)?, expect_type(inputs, 2, FLOATS)?);
        expect_same(inputs, 4, key)?;
        expect_same(inputs, 5, value)?;
        if inputs.get(3).is_some_and(Option::is_some) {
            expect_type(inputs, 3, &[FLOATS, &[DType::Bool]].concat())?;
        }
        Ok(vec![query, key, value, query])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let sizes = self.sizes(|index| inputs.get(index).map(|fact| fact.shape.to_vec()))?;
        let Sizes { query, value, all_keys, all_values, .. } = sizes;
        let products = vec![query.batch, query.heads, query.positions, all_keys.positions];
        let result = Heads { size: value.size, ..query };
        Ok(vec![result.shape(), all_keys.shape(), all_values.shape(), products])
    }

    fn flops(&self, inputs: &Facts<'_>) -> usize {
        let sizes = self.sizes(|index| inputs.get(index).map(|fact| fact.shape.to_vec()));
        sizes.map_or(0, |Sizes { query, all_values, .. }| {
            let pairs = shape::len(&[query.batch, query.heads, query.positions, all_values.positions]);
            pairs.saturating_mul(2 * (query.size + all_values.size))
        })
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let inputs = io.inputs;
        let view = |index: usize| inputs.get(index).copied().flatten();
        let sizes = self.sizes(|index| view(index).map(|view| view.shape.to_vec()))?;
        let Sizes { query, key, value, all_keys, all_values, past } = sizes;
        let (q, k) = (numbers(io.input(0)?)?, gathered(view(1), view(4), &key, &all_keys, past)?);
        let v = gathered(view(2), view(5), &value, &all_values, past)?;
        let mask = view(3).map(|mask| Mask::new(mask, &query)).transpose()?;
        let lengths = view(6).map(numbers).transpose()?;
        let scale = self.scale.map_or_else(|| 1.0 / (query.size as f64).sqrt(), f64::from);
        let (total, group) = (all_keys.positions, query.heads / key.heads);
        let result = Heads { size: value.size, ..query };
        let mut out = vec![0.0; shape::len(&result.shape())];
        let wants_products = io.outputs.get(3).is_some_and(Option::is_some);
        let mut products = Vec::with_capacity(if wants_products { q.len() / query.size.max(1) * total } else { 0 });
        let (mut scores, mut seen) = (vec![0.0; total], vec![0.0; total]);
        for batch in 0..query.batch {
            let length = lengths.as_ref().and_then(|lengths| lengths.get(batch).copied()).unwrap_or(f64::INFINITY);
            for head in 0..query.heads {
                for position in 0..query.positions {
                    io.limits.check()?;
                    let row = &q[query.at(batch, head, position)..][..query.size];
                    for (j, score) in scores.iter_mut().enumerate() {
                        let other = &k[all_keys.at(batch, head / group, j)..][..query.size];
                        *score = row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() * scale;
                        seen[j] = if self.mode == 0 { *score } else { 0.0 };
                        let hidden = (self.causal && j > position.saturating_add(past)) || j as f64 >= length;
                        let bias = mask.as_ref().map_or(0.0, |mask| mask.at(batch, head, position, j));
                        *score += if hidden { f64::NEG_INFINITY } else { bias };
                        if self.mode == 1 {
                            seen[j] = *score;
                        }
                        if self.softcap > 0.0 {
                            *score = (*score / self.softcap).tanh() * self.softcap;
                        }
                        if self.mode == 2 {
                            seen[j] = *score;
                        }
                    }
                    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
                    let sum: f64 = scores.iter().sum();
                    let to = &mut out[result.at(batch, head, position)..][..value.size];
                    for (j, score) in scores.iter_mut().enumerate() {
                        *score /= sum;
                        let from = &v[all_values.at(batch, head / group, j)..][..value.size];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += *score * from);
                    }
                    if wants_products {
                        products.extend_from_slice(if self.mode == 3 { &scores } else { &seen });
                    }
                }
            }
        }
        for (index, values) in [(0, &out), (1, &k), (2, &v), (3, &products)] {
            if let Some(output) = io.output_if_any(index) {
                write_floats(output, &mut |at| values.get(at).copied().unwrap_or(0.0))?;
            }
        }
        Ok(())
    }
}

/// Numbers of past and new positions as `[batch, heads, positions, size]`.
fn gathered(
    new: Option<View<'_>>,
    past: Option<View<'_>>,
    of_new: &Heads,
    all: &Heads,
    past_len: usize,
) -> Result<Vec<f64>, Failure> {
    let new = numbers(new.ok_or("an operand is missing")?)?;
    let past = past.map(numbers).transpose()?.unwrap_or_default();
    let of_past = Heads { positions: past_len, ..*all };
    let mut values = Vec::with_capacity(shape::len(&all.shape()));
    for batch in 0..all.batch {
        for head in 0..all.heads {
            for position in 0..all.positions {
                let (from, at) = match position.checked_sub(past_len) {
                    None => (&past, of_past.at(batch, head, position)),
                    Some(position) => (&new, of_new.at(batch, head, position)),
                };
                values.extend_from_slice(&from[at..][..all.size]);
            }
        }
    }
    Ok(values)
}

/// What is added to the products.
struct Mask {
    values: Vec<f64>,
    strides: Vec<usize>,
    len: usize,
}

impl Mask {
    fn new(mask: View<'_>, query: &Heads) -> Result<Mask, Failure> {
        let len = shape::row_len(mask.shape);
        let wide = [query.batch, query.heads, query.positions, len];
        let mut values = numbers(mask)?;
        if mask.dtype == DType::Bool {
            values.iter_mut().for_each(|value| *value = if *value == 0.0 { f64::NEG_INFINITY } else { 0.0 });
        }
        Ok(Mask { values, strides: shape::broadcast_strides(mask.shape, &wide), len })
    }

    /// Positions that the mask does not reach are hidden.
    fn at(&self, batch: usize, head: usize, position: usize, other: usize) -> f64 {
        if other >= self.len {
            return f64::NEG_INFINITY;
        }
        let index = [batch, head, position, other];
        let at: usize = index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
        self.values.get(at).copied().unwrap_or(f64::NEG_INFINITY)
    }
}

/// `RotaryEmbedding` with its attributes.
#[derive(Debug)]
struct Rotary {
    heads: i64,
    interleaved: bool,
    /// Numbers of a head that are turned; 0: all.
    turned: i64,
}

/// `RotaryEmbedding`
pub(crate) fn rotary(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Rotary {
        heads: attributes.int("num_heads", 0)?,
        interleaved: attributes.flag("interleaved", false)?,
        turned: attributes.int("rotary_embedding_dim", 0)?,
    }))
}

impl Rotary {
    /// The heads, and half of the numbers that are turned.
    fn sizes(&self, x: &[usize], cache: [&[usize]; 2], ids: Option<&[usize]>) -> Result<(Heads, usize), String> {
        let heads = Heads::new(x, self.heads)?;
        let turned = if self.turned == 0 { heads.size } else { usize::try_from(self.turned).unwrap_or(usize::MAX) };
        let half = turned / 2;
        let per_position = [heads.batch, heads.positions, half];
        let fits = match ids {
            Some(ids) => ids == &per_position[..2] && matches!(cache[0], [_, width] if *width == half),
            None => cache[0] == per_position,
        };
        if !fits || cache[0] != cache[1] || turned > heads.size || turned % 2 != 0 {
            return Err(format!("a rotation of {heads:?} by angles of {cache:?}"));
        }
        Ok((heads, half))
    }
}

impl Operator for Rotary {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        expect_same(inputs, 1, dtype)?;
        expect_same(inputs, 2, dtype)?;
        if inputs.get(3).is_some_and(Option::is_some) {
            expect_type(inputs, 3, &[DType::I64, DType::I32])?;
        }
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let x = inputs.shape(0)?;
        self.sizes(x, [inputs.shape(1)?, inputs.shape(2)?], inputs.get(3).map(|fact| fact.shape))?;
        Ok(vec![x.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (x, cos, sin, ids) = (io.input(0)?, io.input(1)?, io.input(2)?, io.get(3));
        let (heads, half) = self.sizes(x.shape, [cos.shape, sin.shape], ids.map(|ids| ids.shape))?;
        let (mut values, cos, sin) = (numbers(x)?, numbers(cos)?, numbers(sin)?);
        for batch in 0..heads.batch {
            for position in 0..heads.positions {
                io.limits.check()?;
                let at = batch * heads.positions + position;
                let row = ids.map_or(Ok(i64::try_from(at).unwrap_or(i64::MAX)), |ids| index_at(ids, at))?;
                let row = usize::try_from(row).ok().and_then(|row| row.checked_mul(half));
                let angles = row.and_then(|row| Some(row..row.checked_add(half)?));
                let angles = angles.and_then(|range| Some((cos.get(range.clone())?, sin.get(range)?)));
                let (cos, sin) = angles.ok_or("a position without an angle")?;
                for head in 0..heads.heads {
                    let numbers = &mut values[heads.at(batch, head, position)..][..heads.size];
                    for (i, (cos, sin)) in cos.iter().zip(sin).enumerate() {
                        let (a, b) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
                        let (real, imaginary) = (numbers[a], numbers[b]);
                        numbers[a] = cos * real - sin * imaginary;
                        numbers[b] = sin * real + cos * imaginary;
                    }
                }
            }
        }
        write_floats(io.output(0)?, &mut |at| values[at])
    }
}
