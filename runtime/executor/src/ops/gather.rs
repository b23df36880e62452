//! `Gather`, `GatherElements` and `GatherND`.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

const INDICES: &[DType] = &[DType::I64, DType::I32];

/// An index that may count from the end.
pub(crate) fn resolve(index: i64, size: usize) -> Result<usize, Failure> {
    let signed = i64::try_from(size).unwrap_or(i64::MAX);
    let found = if index < 0 { index.saturating_add(signed) } else { index };
    match usize::try_from(found) {
        Ok(found) if found < size => Ok(found),
        _ => Err(format!("index {index} of an axis of {size}")),
    }
}

/// One index of a tensor of `int32` or `int64`.
pub(crate) fn index_at(indices: View<'_>, at: usize) -> Result<i64, Failure> {
    let outside = || "an index is missing".to_string();
    match indices.dtype {
        DType::I64 => indices.as_slice::<i64>()?.get(at).copied().ok_or_else(outside),
        DType::I32 => indices.as_slice::<i32>()?.get(at).map(|value| i64::from(*value)).ok_or_else(outside),
        other => Err(format!("indices of {}", other.name())),
    }
}

#[derive(Debug)]
struct Gather {
    axis: i64,
}

/// `Gather`
pub(crate) fn gather(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Gather { axis: attributes.int("axis", 0)? }))
}

impl Operator for Gather {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, INDICES)?;
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (data, indices) = (inputs.shape(0)?, inputs.shape(1)?);
        let axis = shape::axis(self.axis, data.len())?;
        Ok(vec![[&data[..axis], indices, &data[axis + 1..]].concat()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (data, indices) = (io.input(0)?, io.input(1)?);
        let output = io.output(0)?;
        let axis = shape::axis(self.axis, data.shape.len())?;
        let (outer, along, inner) = shape::around(data.shape, axis);
        let row = inner * data.dtype.size_bytes();
        let mut slots = output.bytes.chunks_exact_mut(row.max(1));
        for block in 0..outer {
            for at in 0..indices.len() {
                let index = resolve(index_at(indices, at)?, along)?;
                let start = (block * along + index) * row;
                let (Some(slot), Some(from)) = (slots.next(), data.bytes.get(start..start + row)) else { continue };
                slot.copy_from_slice(from);
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GatherElements {
    axis: i64,
}

/// `GatherElements`
pub(crate) fn gather_elements(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(GatherElements { axis: attributes.int("axis", 0)? }))
}

/// Whether indices of this shape lie inside of data of that shape, but for one axis.
pub(crate) fn expect_inside(indices: &[usize], data: &[usize], axis: usize) -> Result<(), Refusal> {
    let fits = indices.len() == data.len() && (0..data.len()).all(|i| i == axis || indices[i] <= data[i]);
    if fits { Ok(()) } else { Err(Refusal::Invalid(format!("indices of {indices:?} for data of {data:?}"))) }
}

impl Operator for GatherElements {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, INDICES)?;
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (data, indices) = (inputs.shape(0)?, inputs.shape(1)?);
        expect_inside(indices, data, shape::axis(self.axis, data.len())?)?;
        Ok(vec![indices.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (data, indices) = (io.input(0)?, io.input(1)?);
        let output = io.output(0)?;
        let axis = shape::axis(self.axis, data.shape.len())?;
        let size = data.dtype.size_bytes();
        let strides = shape::strides(data.shape);
        let mut at = 0;
        let mut slots = output.bytes.chunks_exact_mut(size);
        let last = shape::row_len(indices.shape);
        let along = indices.shape.len().saturating_sub(1);
        // Walks over the indices' shape with the data's strides; the index itself replaces the place along the axis.
        let own: Vec<usize> = (0..strides.len()).map(|i| if i == axis { 0 } else { strides[i] }).collect();
        shape::for_each_row(indices.shape, [&own], |[start]| {
            for step in 0..last {
                let index = resolve(index_at(indices, at)?, data.shape[axis])?;
                let inside = if along == axis { 0 } else { step * own[along] };
                let place = (start + inside + index * strides[axis]) * size;
                let (Some(slot), Some(from)) = (slots.next(), data.bytes.get(place..place + size)) else { continue };
                slot.copy_from_slice(from);
                at += 1;
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct GatherNd {
    batch_dims: i64,
}

/// `GatherND`
pub(crate) fn gather_nd(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(GatherNd { batch_dims: attributes.int("batch_dims", 0)? }))
}

impl Operator for GatherNd {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, &[DType::I64])?;
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (data, indices) = (inputs.shape(0)?, inputs.shape(1)?);
        let batch = usize::try_from(self.batch_dims).map_err(|_| "batch_dims is negative".to_string())?;
        let Some((depth, places)) = indices.split_last() else {
            return Err(Refusal::Invalid("indices are a scalar".into()));
        };
        let rest = batch.checked_add(*depth).and_then(|start| data.get(start..));
        match rest {
            Some(rest) if batch <= places.len() && data.get(..batch) == places.get(..batch) && *depth > 0 => {
                Ok(vec![[places, rest].concat()])
            }
            _ => Err(Refusal::Invalid(format!("indices of {indices:?} for data of {data:?}"))),
        }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (data, indices) = (io.input(0)?, io.input(1)?);
        let output = io.output(0)?;
        let batch = usize::try_from(self.batch_dims).map_err(|_| "batch_dims is negative")?;
        let depth = shape::row_len(indices.shape);
        let batches = shape::len(&data.shape[..batch]);
        let rows = indices.len() / depth.max(1);
        let strides = shape::strides(data.shape);
        let inner = shape::len(&data.shape[batch + depth..]) * data.dtype.size_bytes();
        let per_batch = shape::len(&data.shape[batch..]);
        for (row, slot) in output.bytes.chunks_exact_mut(inner.max(1)).enumerate().take(rows) {
            let mut place = row / (rows / batches.max(1)).max(1) * per_batch;
            for axis in 0..depth {
                let index = resolve(index_at(indices, row * depth + axis)?, data.shape[batch + axis])?;
                place += index * strides[batch + axis];
            }
            let start = place * data.dtype.size_bytes();
            slot.copy_from_slice(data.bytes.get(start..start + inner).ok_or("an index outside of its tensor")?);
        }
        Ok(())
    }
}
