//! Copies between strided tensors: what transposes, slices, expansions and tiles have in common.

use crate::number::with_bits;
use crate::shape;
use crate::view::{Failure, View, ViewMut};

/// Reads of a tensor that are not in its own order: the element at index `i` lies at `base + sum(i * strides)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strided {
    pub(crate) shape: Vec<usize>,
    pub(crate) base: usize,
    pub(crate) strides: Vec<isize>,
}

impl Strided {
    /// A tensor in its own order.
    pub(crate) fn dense(shape: &[usize]) -> Strided {
        let strides = shape::strides(shape).into_iter().map(signed).collect();
        Strided { shape: shape.to_vec(), base: 0, strides }
    }

    /// Axes in another order.
    pub(crate) fn transposed(&self, perm: &[usize]) -> Strided {
        Strided {
            shape: perm.iter().map(|axis| self.shape[*axis]).collect(),
            base: self.base,
            strides: perm.iter().map(|axis| self.strides[*axis]).collect(),
        }
    }

    /// Axes of size 1 left out, axes that lie one inside the other merged: the same elements in the same order.
    pub(crate) fn merged(&self) -> Strided {
        let mut merged = Strided { shape: Vec::new(), base: self.base, strides: Vec::new() };
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            if *size == 1 {
                continue;
            }
            match (merged.shape.last_mut(), merged.strides.last_mut()) {
                (Some(outer), Some(by)) if *by == stride.saturating_mul(signed(*size)) => {
                    *outer = outer.saturating_mul(*size);
                    *by = *stride;
                }
                _ => {
                    merged.shape.push(*size);
                    merged.strides.push(*stride);
                }
            }
        }
        merged
    }

    /// Where the elements begin if they lie densely in their own order; in elements.
    pub(crate) fn contiguous(&self) -> Option<usize> {
        let merged = self.merged();
        match merged.strides.as_slice() {
            [] | [1] => Some(self.base),
            _ => None,
        }
    }

    /// Copies all elements into a dense tensor.
    pub(crate) fn copy(&self, from: View<'_>, to: &mut ViewMut<'_>) -> Result<(), Failure> {
        if shape::len(&self.shape) != to.len() || from.dtype != to.dtype {
            return Err("a copy does not fit its result".into());
        }
        let this = self.merged();
        with_bits!(to.dtype, T => this.copy_elements(from.as_slice::<T>()?, to.as_slice::<T>()?))
    }

    fn copy_elements<T: Copy>(&self, from: &[T], to: &mut [T]) -> Result<(), Failure> {
        let outside = || "an element outside of its tensor".to_string();
        let (Some(len), Some(by)) = (self.shape.last(), self.strides.last()) else {
            // One element, or none.
            return match (to, from.get(self.base)) {
                ([slot], Some(value)) => {
                    *slot = *value;
                    Ok(())
                }
                ([], _) => Ok(()),
                _ => Err(outside()),
            };
        };
        if shape::len(&self.shape) == 0 {
            return Ok(());
        }
        // Elements that lie side by side along the axis before are read together.
        let lines = match (self.shape.as_slice(), self.strides.as_slice()) {
            ([.., lines, _], [.., 1, _]) if *by != 1 => Some(*lines),
            _ => None,
        };
        let outer = self.shape.len() - 1 - usize::from(lines.is_some());
        let mut index = vec![0usize; outer];
        let mut start = signed(self.base);
        for row in to.chunks_exact_mut(len * lines.unwrap_or(1)) {
            let first = usize::try_from(start).map_err(|_| outside())?;
            if let Some(lines) = lines {
                transpose(from, row, first, *len, lines, *by).ok_or_else(outside)?;
            } else if *by == 1 {
                row.copy_from_slice(from.get(first..first + len).ok_or_else(outside)?);
            } else {
                let mut place = start;
                for slot in row {
                    *slot = *usize::try_from(place).ok().and_then(|place| from.get(place)).ok_or_else(outside)?;
                    place += by;
                }
            }
            for axis in (0..outer).rev() {
                index[axis] += 1;
                start += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
                start -= self.strides[axis] * signed(self.shape[axis]);
            }
        }
        Ok(())
    }
}

/// Lines of a block of a transpose, so that what is written stays in the first-level cache.
const BLOCK: usize = 64;

/// `to[line][i] = from[first + i * by + line]`; `None` if that is not there.
fn transpose<T: Copy>(from: &[T], to: &mut [T], first: usize, len: usize, lines: usize, by: isize) -> Option<()> {
    for (block, done) in to.chunks_mut(BLOCK * len).zip((0..lines).step_by(BLOCK)) {
        for i in 0..len {
            let start = first.checked_add_signed(signed(i).checked_mul(by)?)?.checked_add(done)?;
            let line = from.get(start..start.checked_add(block.len() / len)?)?;
            for (slot, value) in block.get_mut(i..)?.iter_mut().step_by(len).zip(line) {
                *slot = *value;
            }
        }
    }
    Some(())
}

/// Sizes of real tensors fit: they are limited to the address space.
pub(crate) fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_engine::DType;

    fn copied(strided: &Strided, from: &[u8]) -> Vec<u8> {
        let mut to = vec![0u8; shape::len(&strided.shape)];
        let from_shape = [from.len()];
        let mut out = ViewMut { dtype: DType::U8, shape: &strided.shape, bytes: &mut to };
        strided.copy(View { dtype: DType::U8, shape: &from_shape, bytes: from }, &mut out).unwrap();
        to
    }

    #[test]
    fn transposes_reversals_and_repeats_are_copied() {
        let from = [0, 1, 2, 3, 4, 5];
        assert_eq!(copied(&Strided::dense(&[2, 3]).transposed(&[1, 0]), &from), [0, 3, 1, 4, 2, 5]);
        let reversed = Strided { shape: vec![3], base: 5, strides: vec![-2] };
        assert_eq!(copied(&reversed, &from), [5, 3, 1]);
        let repeated = Strided { shape: vec![2, 3], base: 0, strides: vec![0, 1] };
        assert_eq!(copied(&repeated, &from), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn larger_transposes_are_copied_too() {
        for [batch, rows, cols] in [[1, 3, 150], [2, 70, 65], [3, 130, 2]] {
            let from: Vec<u8> = (0..batch * rows * cols).map(|i| (i * 7 + i / 251) as u8).collect();
            let at = |i: usize| from[i / (rows * cols) * rows * cols + i % rows * cols + i / rows % cols];
            let expected: Vec<u8> = (0..from.len()).map(at).collect();
            assert_eq!(copied(&Strided::dense(&[batch, rows, cols]).transposed(&[0, 2, 1]), &from), expected);
        }
        let beyond = Strided { shape: vec![3, 2], base: 0, strides: vec![1, 4] };
        let mut out = ViewMut { dtype: DType::U8, shape: &[3, 2], bytes: &mut [0; 6] };
        assert!(beyond.copy(View { dtype: DType::U8, shape: &[6], bytes: &[0; 6] }, &mut out).is_err());
    }

    #[test]
    fn what_keeps_its_order_is_contiguous() {
        assert_eq!(Strided::dense(&[2, 1, 3]).transposed(&[1, 0, 2]).contiguous(), Some(0));
        assert_eq!(Strided::dense(&[2, 3]).transposed(&[1, 0]).contiguous(), None);
        assert_eq!(Strided { shape: vec![1, 3], base: 3, strides: vec![3, 1] }.contiguous(), Some(3));
    }

    #[test]
    fn nothing_is_read_outside_of_a_tensor() {
        let beyond = Strided { shape: vec![4], base: 4, strides: vec![1] };
        let mut to = [0u8; 4];
        let mut out = ViewMut { dtype: DType::U8, shape: &[4], bytes: &mut to };
        assert!(beyond.copy(View { dtype: DType::U8, shape: &[6], bytes: &[0; 6] }, &mut out).is_err());
    }
}
