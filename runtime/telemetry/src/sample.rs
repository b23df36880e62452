//! Which elements of a tensor are looked at: evenly spaced ones, a bounded number of them.

use pannier_engine::{DType, Element, TensorView};

/// Most elements that are looked at in one tensor of one run.
///
/// Enough for the shape of a distribution, and few enough to be looked at in some 2 µs.
pub const ELEMENTS: usize = 256;

/// Elements `first, first + step, ...` of a row-major tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stride {
    first: usize,
    step: usize,
}

impl Stride {
    /// At most [`ELEMENTS`] of `len`. Each look begins elsewhere, so that in time all elements are seen; the step is odd,
    /// so that it walks across channels and columns instead of along one of them.
    fn new(len: usize, look: u64) -> Stride {
        let step = len.div_ceil(ELEMENTS).max(1) | 1;
        // The multiples of the golden ratio spread evenly over any step (Weyl).
        let turn = look.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let first = (turn.wrapping_mul(step as u64) >> 32) as usize;
        // A tensor that is shorter than its step has but the first elements.
        Stride { first: first.min(len.saturating_sub(1)), step }
    }
}

/// What is read of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Its elements.
    Values,
    /// By how much an element differs from the one that follows so many elements later, whichever is larger, where both are finite.
    Differences {
        /// How far apart the two are in memory.
        distance: usize,
    },
}

/// How many elements [`each`] looks at.
pub fn cost(len: usize) -> usize {
    len.min(ELEMENTS)
}

/// Calls `see` with what the `look`-th look falls on, as binary64.
pub fn each(tensor: TensorView<'_>, reading: Reading, look: u64, see: impl FnMut(f64)) {
    every(tensor, reading, Stride::new(tensor.len(), look), see);
}

/// Calls `see` with everything, as binary64.
pub fn all(tensor: TensorView<'_>, reading: Reading, see: impl FnMut(f64)) {
    every(tensor, reading, Stride { first: 0, step: 1 }, see);
}

fn every(tensor: TensorView<'_>, reading: Reading, stride: Stride, see: impl FnMut(f64)) {
    /// The elements of the type that the tensor has.
    fn of<'t, T: Element>(tensor: TensorView<'t>) -> &'t [T] {
        tensor.as_slice::<T>().unwrap_or_default()
    }
    match tensor.dtype() {
        DType::F32 => walk(of::<f32>(tensor), reading, stride, f64::from, see),
        DType::F64 => walk(of::<f64>(tensor), reading, stride, |value| value, see),
        DType::F16 => walk(of::<half::f16>(tensor), reading, stride, f64::from, see),
        DType::BF16 => walk(of::<half::bf16>(tensor), reading, stride, f64::from, see),
        DType::I8 => walk(of::<i8>(tensor), reading, stride, f64::from, see),
        DType::I16 => walk(of::<i16>(tensor), reading, stride, f64::from, see),
        DType::I32 => walk(of::<i32>(tensor), reading, stride, f64::from, see),
        DType::I64 => walk(of::<i64>(tensor), reading, stride, |value| value as f64, see),
        DType::U8 => walk(of::<u8>(tensor), reading, stride, f64::from, see),
        DType::U16 => walk(of::<u16>(tensor), reading, stride, f64::from, see),
        DType::U32 => walk(of::<u32>(tensor), reading, stride, f64::from, see),
        DType::U64 => walk(of::<u64>(tensor), reading, stride, |value| value as f64, see),
        DType::Bool => walk(tensor.bytes(), reading, stride, f64::from, see),
    }
}

fn walk<T: Copy>(elements: &[T], reading: Reading, stride: Stride, widen: impl Fn(T) -> f64, mut see: impl FnMut(f64)) {
    let Stride { first, step } = stride;
    match reading {
        Reading::Values => elements.iter().skip(first).step_by(step).for_each(|value| see(widen(*value))),
        Reading::Differences { distance } => {
            let pairs = elements.iter().zip(elements.iter().skip(distance)).skip(first).step_by(step);
            let differences = pairs.map(|(one, next)| (widen(*next) - widen(*one)).abs());
            differences.filter(|difference| difference.is_finite()).for_each(see);
        }
    }
}

/// Most rows of scores that are looked at in one tensor of one run.
pub const ROWS: usize = 4;

/// Calls `see` with the index and the value of the largest score of the first [`ROWS`] rows of `classes` scores each. Rows
/// with a score that is no number are left out, and so are tensors whose scores are no 32-bit numbers.
pub fn best_scores(tensor: TensorView<'_>, classes: usize, mut see: impl FnMut(usize, f64)) {
    let scores = tensor.as_slice::<f32>().unwrap_or_default();
    for row in scores.chunks_exact(classes.max(1)).take(ROWS) {
        let best = row.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
        if let Some((class, score)) = best
            && score.is_finite()
        {
            see(class, f64::from(*score));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn seen(len: usize, look: u64) -> Vec<usize> {
        let values: Vec<f32> = (0..len).map(|value| value as f32).collect();
        let shape = [len];
        let mut seen = Vec::new();
        each(TensorView::from_slice(&shape, &values).unwrap(), Reading::Values, look, |value| {
            seen.push(value as usize)
        });
        seen
    }

    #[test]
    fn a_look_is_bounded_and_all_looks_together_see_everything() {
        for len in [0, 1, 7, 255, 256, 257, 511, 512, 513, 1000, 100_000] {
            let mut all = BTreeSet::new();
            for look in 0..2000 {
                let seen = seen(len, look);
                assert!(seen.len() <= cost(len), "{len}: {}", seen.len());
                assert!(len == 0 || !seen.is_empty(), "{len}");
                all.extend(seen);
            }
            assert_eq!(all.len(), len, "{len}");
        }
    }

    #[test]
    fn every_type_is_read_as_the_number_that_it_is() {
        let shape = [2];
        let mut found = Vec::new();
        let mut look = |view: TensorView<'_>| each(view, Reading::Values, 0, |value| found.push(value));
        look(TensorView::from_slice(&shape, &[-1.5f32, 2.0]).unwrap());
        look(TensorView::from_slice(&shape, &[half::f16::from_f32(0.5), half::f16::NAN]).unwrap());
        look(TensorView::from_slice(&shape, &[i64::MIN, 7]).unwrap());
        look(TensorView::new(DType::Bool, &shape, &[1, 0]).unwrap());
        look(TensorView::from_slice(&shape, &[200u8, 3]).unwrap());
        assert!(found.remove(3).is_nan());
        assert_eq!(found, [-1.5, 2.0, 0.5, i64::MIN as f64, 7.0, 1.0, 0.0, 200.0, 3.0]);
    }
    #[test]
    fn differences_are_between_elements_so_far_apart() {
        let found = |values: &[f32], distance| {
            let shape = [values.len()];
            let mut found = Vec::new();
            let tensor = TensorView::from_slice(&shape, values).unwrap();
            all(tensor, Reading::Differences { distance }, |value| found.push(value));
            found
        };
        assert_eq!(found(&[1.0, 3.0, 2.0, 2.0], 1), [2.0, 1.0, 0.0]);
        assert_eq!(found(&[1.0, 3.0, 2.0, 2.5], 2), [1.0, 0.5]);
        assert_eq!(found(&[1.0, f32::NAN, 2.0, 2.5], 1), [0.5]);
        assert!(found(&[1.0, 3.0], 3).is_empty() && found(&[], 1).is_empty());
        let unsigned = TensorView::from_slice(&[3], &[200u8, 3, u8::MAX]).unwrap();
        let mut found = Vec::new();
        all(unsigned, Reading::Differences { distance: 1 }, |value| found.push(value));
        assert_eq!(found, [197.0, 252.0], "no type is too narrow for them");
    }
}
