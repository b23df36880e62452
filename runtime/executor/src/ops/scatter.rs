//! `ScatterElements` and `ScatterND`.

use super::elementwise::BinaryOp;
use super::gather::{expect_inside, index_at, resolve};
use super::{Attributes, Facts, Io, Operator, Refusal, expect_same, expect_type, is_float};
use crate::number::with_bits;
use crate::shape;
use crate::view::{Failure, View, ViewMut};
use pannier_engine::DType;
use std::sync::Arc;

/// What becomes of the element that was there: `None`, it is replaced.
type Reduction = Option<BinaryOp>;

fn reduction(attributes: &Attributes<'_>) -> Result<Reduction, Refusal> {
    Ok(match attributes.text("reduction", "none")? {
        "none" => None,
        "add" => Some(BinaryOp::Add),
        "mul" => Some(BinaryOp::Mul),
        "max" => Some(BinaryOp::Max),
        "min" => Some(BinaryOp::Min),
        other => return Err(attributes.unsupported(&format!("reduction={other}"))),
    })
}

/// Writes updates, each `(place, index of the update)`, into a copy of the data.
fn scatter(
    data: View<'_>,
    updates: View<'_>,
    output: &mut ViewMut<'_>,
    reduction: Reduction,
    places: &[(usize, usize)],
) -> Result<(), Failure> {
    output.bytes.copy_from_slice(data.bytes);
    let outside = || "an element outside of its tensor".to_string();
    let Some(op) = reduction else {
        return with_bits!(output.dtype, T => {
            let (from, to) = (updates.as_slice::<T>()?, output.as_slice::<T>()?);
            for (place, update) in places {
                *to.get_mut(*place).ok_or_else(outside)? = *from.get(*update).ok_or_else(outside)?;
            }
            Ok(())
        });
    };
    if is_float(output.dtype) {
        let (from, mut to) = (updates.numbers::<f64>()?, output.numbers::<f64>()?);
        let mut update = |place, update| to.set(place, op.apply(to.get(place)?, from.get(update)?));
        places.iter().try_for_each(|(place, at)| update(*place, *at)).ok_or_else(outside)
    } else {
        let bits = updates.bits();
        let (from, mut to) = (updates.numbers::<i128>()?, output.numbers::<i128>()?);
        let mut update = |place, update| to.set(place, op.apply_integer(to.get(place)?, from.get(update)?, bits));
        places.iter().try_for_each(|(place, at)| update(*place, *at)).ok_or_else(outside)
    }
}

fn types(inputs: &[Option<DType>], reduction: Reduction) -> Result<Vec<DType>, Refusal> {
    let dtype = expect_type(inputs, 0, DType::ALL)?;
    expect_type(inputs, 1, &[DType::I32, DType::I64])?;
    expect_same(inputs, 2, dtype)?;
    if reduction.is_some() && dtype == DType::Bool {
        return Err(Refusal::Unsupported("element type bool".into()));
    }
    Ok(vec![dtype])
}

#[derive(Debug)]
struct ScatterElements {
    axis: i64,
    reduction: Reduction,
}

/// `ScatterElements`
pub(crate) fn scatter_elements(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(ScatterElements { axis: attributes.int("axis", 0)?, reduction: reduction(attributes)? }))
}

impl Operator for ScatterElements {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        types(inputs, self.reduction)
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (data, indices) = (inputs.shape(0)?, inputs.shape(1)?);
        expect_inside(indices, data, shape::axis(self.axis, data.len())?)?;
        if inputs.shape(2)? != indices {
            return Err(Refusal::Invalid("indices and updates differ in shape".into()));
        }
        Ok(vec![data.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (data, indices, updates) = (io.input(0)?, io.input(1)?, io.input(2)?);
        let axis = shape::axis(self.axis, data.shape.len())?;
        let strides = shape::strides(data.shape);
        let mut places = Vec::with_capacity(indices.len());
        let (mut at, mut failure) = (0, None);
        super::window::each_index(indices.shape, |index| {
            match index_at(indices, at).and_then(|found| resolve(found, data.shape[axis])) {
                Ok(along) => {
                    let place = |(i, position): (usize, &usize)| strides[i] * if i == axis { along } else { *position };
                    places.push((index.iter().enumerate().map(place).sum(), at));
                }
                Err(error) => failure = Some(error),
            }
            at += 1;
        });
        match failure {
            Some(error) => Err(error),
            None => scatter(data, updates, io.output(0)?, self.reduction, &places),
        }
    }
}

#[derive(Debug)]
struct ScatterNd(Reduction);

/// `ScatterND`
pub(crate) fn scatter_nd(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(ScatterNd(reduction(attributes)?)))
}

impl Operator for ScatterNd {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        types(inputs, self.0)
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (data, indices, updates) = (inputs.shape(0)?, inputs.shape(1)?, inputs.shape(2)?);
        let expected = indices.split_last().and_then(|(depth, places)| Some([places, data.get(*depth..)?].concat()));
        if expected.as_deref() != Some(updates) || indices.last() == Some(&0) {
            return Err(Refusal::Invalid(format!("updates of {updates:?} at {indices:?} of {data:?}")));
        }
        Ok(vec![data.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (data, indices, updates) = (io.input(0)?, io.input(1)?, io.input(2)?);
        let depth = shape::row_len(indices.shape).max(1);
        let strides = shape::strides(data.shape);
        let inner = shape::len(&data.shape[depth.min(data.shape.len())..]);
        let mut places = Vec::with_capacity(updates.len());
        for row in 0..indices.len() / depth {
            let mut start = 0;
            for (axis, (size, stride)) in data.shape.iter().zip(&strides).enumerate().take(depth) {
                start += resolve(index_at(indices, row * depth + axis)?, *size)? * stride;
            }
            places.extend((0..inner).map(|at| (start + at, row * inner + at)));
        }
        scatter(data, updates, io.output(0)?, self.0, &places)
    }
}
