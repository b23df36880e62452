//! Parts of tensors.

use super::{Call, Operator, one};
use crate::array::Array;
use crate::failure::{Failure, Outcome};
use crate::host::Host;
use crate::shape;
use crate::value::Value;

pub(super) const OPERATORS: &[Operator] =
    &[Operator::new("Slice", slice).host(slice_host).needs(&[1, 2, 3, 4]), Operator::new("Split", split).needs(&[1])];

/// What is taken of one axis: `count` elements from `start` on, `step` apart.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: usize,
    step: i64,
    count: usize,
}

fn ranges(call: &Call<'_>) -> Outcome<Vec<Range>> {
    let sizes = call.value(0)?.shape();
    let (starts, ends) = (call.ints(1)?, call.ints(2)?);
    let axes = call.ints_if_any(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.ints_if_any(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if starts.len() != ends.len() || starts.len() != axes.len() || starts.len() != steps.len() {
        return Err(Failure::Invalid("a slice with lists of different lengths".into()));
    }
    let mut ranges: Vec<Range> = sizes.iter().map(|size| Range { start: 0, step: 1, count: *size }).collect();
    for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let axis = shape::axis(axis, sizes.len())?;
        let range = range(sizes[axis] as i64, start, end, step);
        ranges[axis] = range.ok_or_else(|| Failure::Invalid("a slice with a step of 0".into()))?;
    }
    Ok(ranges)
}

/// The standard's rules: negative positions count from the end, and all are brought into the tensor.
fn range(size: i64, start: i64, end: i64, step: i64) -> Option<Range> {
    let from_end = |value: i64| if value < 0 { value.saturating_add(size) } else { value };
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let start = from_end(start).clamp(low.max(0), high.max(0));
    let end = if step < 0 && end < -size { -1 } else { from_end(end).clamp(low, high) };
    let distance = if step > 0 { end - start } else { start - end };
    let step_size = i64::try_from(step.unsigned_abs()).unwrap_or(i64::MAX);
    let count = if size == 0 { 0 } else { distance.max(0).checked_add(step_size - 1)?.checked_div(step_size)? };
    Some(Range { start: usize::try_from(start).ok()?, step, count: usize::try_from(count).ok()? })
}

fn slice(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let mut x = call.array(0)?;
    let ranges = ranges(call)?;
    let mut forward = Vec::with_capacity(ranges.len());
    let mut backward = Vec::new();
    for (axis, range) in ranges.iter().enumerate() {
        let step = usize::try_from(range.step.unsigned_abs()).unwrap_or(usize::MAX);
        let reach = range.count.saturating_sub(1).saturating_mul(step);
        let first = if range.step > 0 { range.start } else { range.start.saturating_sub(reach) };
        if range.step < 0 {
            backward.push(axis);
        }
        // One step beyond the last element would do as well, but may lie outside.
        let end = if range.count == 0 { first } else { first.saturating_add(reach).saturating_add(1) };
        forward.push((first, end, if range.count < 2 { 1 } else { step }));
    }
    x = call.scope.slice(&x, &forward)?;
    if !backward.is_empty() {
        x = call.scope.flip(&x, &backward)?;
    }
    one(x)
}

fn slice_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let x = call.known(0)?;
    let strides = shape::strides(&x.shape);
    let ranges = ranges(call)?;
    let shape: Vec<usize> = ranges.iter().map(|range| range.count).collect();
    let mut indices = vec![0i64];
    for (range, stride) in ranges.iter().zip(strides) {
        let at = |step: usize| (range.start as i64 + step as i64 * range.step) * stride as i64;
        indices = indices.iter().flat_map(|base| (0..range.count).map(move |step| base + at(step))).collect();
    }
    let indices: Option<Vec<usize>> = indices.into_iter().map(|index| usize::try_from(index).ok()).collect();
    Ok(indices.and_then(|indices| x.pick(shape, &indices)).map(|picked| vec![picked]))
}

fn split(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    let axis = shape::axis(call.attributes.int("axis", 0)?, x.rank())?;
    let size = shape::at(&x.shape, axis);
    let sizes = match (call.ints_if_any(1)?, call.attributes.int_if_any("num_outputs")?) {
        (Some(sizes), _) => sizes.into_iter().map(shape::size).collect::<Outcome<Vec<_>>>()?,
        (None, count) => {
            let count = count.map_or(Ok(call.attributes.0.outputs.len()), shape::size)?.max(1);
            let part = size.div_ceil(count);
            // The last part is smaller where they cannot be equal.
            (0..count).map(|index| part.min(size.saturating_sub(index.saturating_mul(part)))).collect()
        }
    };
    if sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size)) != Some(size) {
        return Err(Failure::Invalid(format!("{sizes:?} of an axis of {size}")));
    }
    let mut start = 0;
    let mut parts: Vec<Array> = Vec::with_capacity(sizes.len());
    for size in sizes {
        parts.push(call.scope.slice_axis(&x, axis, start, start + size)?);
        start += size;
    }
    Ok(parts.into_iter().map(Value::array).collect())
}
