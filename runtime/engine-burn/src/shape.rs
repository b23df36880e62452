//! Arithmetic of shapes. Sizes come from graphs and inputs: nothing here overflows.

use crate::failure::{Failure, Outcome};

/// Elements of a shape, or `None` if they cannot be counted.
pub(crate) fn len(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}

/// The product of some sizes, which are part of a shape that can be counted.
pub(crate) fn product(sizes: &[usize]) -> usize {
    len(sizes).unwrap_or(usize::MAX)
}

/// The axis that an attribute means; negative ones count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Outcome<usize> {
    let wrapped = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let found = wrapped.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    found.ok_or_else(|| Failure::Invalid(format!("axis {axis} of a tensor of rank {rank}")))
}

/// Several axes, sorted, each once.
pub(crate) fn axes(axes: &[i64], rank: usize) -> Outcome<Vec<usize>> {
    let mut found = axes.iter().map(|value| axis(*value, rank)).collect::<Outcome<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The shape that two shapes are broadcast to.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Outcome<Vec<usize>> {
    let rank = a.len().max(b.len());
    let (a_padded, b_padded) = (pad(a, rank), pad(b, rank));
    let sizes = a_padded.iter().zip(&b_padded).map(|(x, y)| match (*x, *y) {
        (x, y) if x == y => Ok(x),
        (1, size) | (size, 1) => Ok(size),
        _ => Err(Failure::Invalid(format!("{a:?} and {b:?} do not broadcast"))),
    });
    sizes.collect()
}

/// The shape with ones before it, up to a rank.
pub(crate) fn pad(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut padded = vec![1; rank.saturating_sub(shape.len())];
    padded.extend_from_slice(shape);
    padded
}

/// A size out of a tensor or an attribute.
pub(crate) fn size(value: i64) -> Outcome<usize> {
    usize::try_from(value).map_err(|_| Failure::Invalid(format!("a size of {value}")))
}

/// A shape with one size replaced.
pub(crate) fn with(shape: &[usize], axis: usize, size: usize) -> Vec<usize> {
    let mut changed = shape.to_vec();
    if let Some(slot) = changed.get_mut(axis) {
        *slot = size;
    }
    changed
}

/// The size of an axis, which was checked.
pub(crate) fn at(shape: &[usize], axis: usize) -> usize {
    shape.get(axis).copied().unwrap_or(1)
}

/// Elements between two steps along each axis.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// The flat index that a row-major walk over `shape` has at each element, of a tensor with these strides.
pub(crate) fn walk(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut indices = vec![0usize];
    for (size, stride) in shape.iter().zip(strides) {
        indices = indices
            .iter()
            .flat_map(|base| (0..*size).map(move |step| base.saturating_add(step.saturating_mul(*stride))))
            .collect();
    }
    indices
}
