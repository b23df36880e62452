//! Arithmetic on shapes. Nothing here overflows or panics, whatever the sizes are.

/// Elements of a shape; saturates, which every limit refuses.
pub(crate) fn len(shape: &[usize]) -> usize {
    if shape.contains(&0) {
        return 0;
    }
    shape.iter().fold(1usize, |len, dim| len.saturating_mul(*dim))
}

/// Sizes that somebody gives as integers. One beyond the address space saturates, which every limit refuses.
pub(crate) fn sizes(values: &[i64]) -> Result<Vec<usize>, String> {
    let size = |value: &i64| match *value {
        ..0 => Err("a size is negative".to_string()),
        value => Ok(usize::try_from(value).unwrap_or(usize::MAX)),
    };
    values.iter().map(size).collect()
}

/// Row-major strides in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// The shape that several broadcast to, as ONNX (and NumPy) define it.
pub(crate) fn broadcast<'a>(shapes: impl IntoIterator<Item = &'a [usize]>) -> Result<Vec<usize>, String> {
    let mut result: Vec<usize> = Vec::new();
    for shape in shapes {
        if shape.len() > result.len() {
            let missing = shape.len() - result.len();
            result.splice(0..0, std::iter::repeat_n(1, missing));
        }
        let offset = result.len() - shape.len();
        for (dim, size) in result[offset..].iter_mut().zip(shape) {
            match (*dim, *size) {
                (a, b) if a == b => {}
                (1, b) => *dim = b,
                (_, 1) => {}
                (a, b) => return Err(format!("{a} and {b} do not broadcast")),
            }
        }
    }
    Ok(result)
}

/// Strides with which a tensor of `shape` is read as one of shape `to`: 0 where it is repeated.
pub(crate) fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let offset = to.len().saturating_sub(shape.len());
    (0..to.len())
        .map(|axis| match axis.checked_sub(offset) {
            Some(axis) if shape[axis] != 1 => own[axis],
            _ => 0,
        })
        .collect()
}

/// An axis that may count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let found = if axis < 0 { axis.saturating_add(signed) } else { axis };
    match usize::try_from(found) {
        Ok(index) if index < rank => Ok(index),
        _ => Err(format!("axis {axis} of a tensor of rank {rank}")),
    }
}

/// Axes that may count from the end, each at most once.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut found = Vec::with_capacity(list.len());
    for value in list {
        let axis = axis(*value, rank)?;
        if found.contains(&axis) {
            return Err(format!("axis {value} is given twice"));
        }
        found.push(axis);
    }
    Ok(found)
}

/// A shape around one axis: elements before it, along it and after it.
pub(crate) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let along = shape.get(axis).copied().unwrap_or(1);
    (len(shape.get(..axis).unwrap_or_default()), along, len(shape.get(axis + 1..).unwrap_or_default()))
}

/// Calls `visit` for every run along the last axis, in row-major order, with the offset of its first element in each of
/// `N` tensors that are read with these strides. A scalar is one run.
pub(crate) fn for_each_row<const N: usize>(
    shape: &[usize],
    strides: [&[usize]; N],
    mut visit: impl FnMut([usize; N]) -> Result<(), String>,
) -> Result<(), String> {
    if shape.contains(&0) {
        return Ok(());
    }
    let outer = shape.len().saturating_sub(1);
    let mut index = vec![0usize; outer];
    let mut offsets = [0usize; N];
    loop {
        visit(offsets)?;
        let mut axis = outer;
        loop {
            if axis == 0 {
                return Ok(());
            }
            axis -= 1;
            index[axis] += 1;
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset += strides[axis];
            }
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset -= strides[axis] * shape[axis];
            }
        }
    }
}

/// Length of the last axis; 1 for a scalar.
pub(crate) fn row_len(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

/// Stride along the last axis; 0 for a scalar.
pub(crate) fn row_stride(strides: &[usize]) -> usize {
    strides.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_as_numpy_says() {
        type Case<'a> = (&'a [&'a [usize]], Option<&'a [usize]>);
        let cases: [Case<'_>; 6] = [
            (&[&[2, 3], &[3]], Some(&[2, 3])),
            (&[&[2, 1], &[1, 3]], Some(&[2, 3])),
            (&[&[], &[4]], Some(&[4])),
            (&[&[1, 0], &[5, 1]], Some(&[5, 0])),
            (&[&[2], &[3]], None),
            (&[&[0], &[2]], None),
        ];
        for (shapes, expected) in cases {
            assert_eq!(broadcast(shapes.iter().copied()).ok().as_deref(), expected, "{shapes:?}");
        }
    }

    #[test]
    fn rows_are_visited_in_order_with_every_offset() {
        let mut seen = Vec::new();
        let strides = broadcast_strides(&[3, 1], &[2, 3, 4]);
        for_each_row(&[2, 3, 4], [&[12, 4, 1], &strides], |offsets| {
            seen.push(offsets);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [[0, 0], [4, 1], [8, 2], [12, 0], [16, 1], [20, 2]]);
    }

    #[test]
    fn sizes_from_outside_do_not_overflow() {
        assert_eq!(len(&[usize::MAX, 2]), usize::MAX);
        assert_eq!(len(&[usize::MAX, 0, 2]), 0);
        assert_eq!(strides(&[2, usize::MAX, usize::MAX]), [usize::MAX, usize::MAX, 1]);
        assert!(axis(i64::MIN, 3).is_err() && axis(3, 3).is_err() && axis(-4, 3).is_err());
    }
}
