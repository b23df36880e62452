//! Which elements of a tensor are looked at: evenly spaced ones, a bounded number of them.

use pannier_engine::{DType, TensorView};

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

/// How many elements [`each`] looks at.
pub fn cost(len: usize) -> usize {
    len.min(ELEMENTS)
}

/// Calls `see` with the elements that the `look`-th look falls on, as binary64.
pub fn each(tensor: TensorView<'_>, look: u64, see: impl FnMut(f64)) {
    every(tensor, Stride::new(tensor.len(), look), see);
}

/// Calls `see` with all elements, as binary64.
pub fn all(tensor: TensorView<'_>, see: impl FnMut(f64)) {
    every(tensor, Stride { first: 0, step: 1 }, see);
}

fn every(tensor: TensorView<'_>, stride: Stride, see: impl FnMut(f64)) {
    match tensor.dtype() {
        DType::F32 => walk::<f32>(tensor, stride, f64::from, see),
        DType::F64 => walk::<f64>(tensor, stride, |value| value, see),
        DType::F16 => walk::<half::f16>(tensor, stride, f64::from, see),
        DType::BF16 => walk::<half::bf16>(tensor, stride, f64::from, see),
        DType::I8 => walk::<i8>(tensor, stride, f64::from, see),
        DType::I16 => walk::<i16>(tensor, stride, f64::from, see),
        DType::I32 => walk::<i32>(tensor, stride, f64::from, see),
        DType::I64 => walk::<i64>(tensor, stride, |value| value as f64, see),
        DType::U8 => walk::<u8>(tensor, stride, f64::from, see),
        DType::U16 => walk::<u16>(tensor, stride, f64::from, see),
        DType::U32 => walk::<u32>(tensor, stride, f64::from, see),
        DType::U64 => walk::<u64>(tensor, stride, |value| value as f64, see),
        DType::Bool => tensor.bytes().iter().skip(stride.first).step_by(stride.step).for_each({
            let mut see = see;
            move |byte| see(f64::from(*byte))
        }),
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

fn walk<T: pannier_engine::Element>(
    tensor: TensorView<'_>,
    stride: Stride,
    widen: impl Fn(T) -> f64,
    mut see: impl FnMut(f64),
) {
    let elements = tensor.as_slice::<T>().unwrap_or_default();
    elements.iter().skip(stride.first).step_by(stride.step).for_each(|value| see(widen(*value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn seen(len: usize, look: u64) -> Vec<usize> {
        let values: Vec<f32> = (0..len).map(|value| value as f32).collect();
        let shape = [len];
        let mut seen = Vec::new();
        each(TensorView::from_slice(&shape, &values).unwrap(), look, |value| seen.push(value as usize));
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
        let mut look = |view: TensorView<'_>| each(view, 0, |value| found.push(value));
        look(TensorView::from_slice(&shape, &[-1.5f32, 2.0]).unwrap());
        look(TensorView::from_slice(&shape, &[half::f16::from_f32(0.5), half::f16::NAN]).unwrap());
        look(TensorView::from_slice(&shape, &[i64::MIN, 7]).unwrap());
        look(TensorView::new(DType::Bool, &shape, &[1, 0]).unwrap());
        look(TensorView::from_slice(&shape, &[200u8, 3]).unwrap());
        assert!(found.remove(3).is_nan());
        assert_eq!(found, [-1.5, 2.0, 0.5, i64::MIN as f64, 7.0, 1.0, 0.0, 200.0, 3.0]);
    }
}
