//! `Where` and `Clip`.

use crate::number::{Float, Integer, with_bits, with_floats, with_integers};
use crate::ops::{Attributes, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug)]
struct Where;

/// `Where`
pub(crate) fn where_(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Where))
}

impl Operator for Where {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[DType::Bool])?;
        let dtype = expect_type(inputs, 1, DType::ALL)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![shape::broadcast([inputs.shape(0)?, inputs.shape(1)?, inputs.shape(2)?])?])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (condition, a, b) = (io.input(0)?, io.input(1)?, io.input(2)?);
        let output = io.output(0)?;
        let to = output.shape;
        let strides = [condition.shape, a.shape, b.shape].map(|shape| shape::broadcast_strides(shape, to));
        let [by_c, by_a, by_b] = [0, 1, 2].map(|operand: usize| shape::row_stride(&strides[operand]));
        let condition = condition.as_slice::<u8>()?;
        with_bits!(output.dtype, T => {
            let (a, b) = (a.as_slice::<T>()?, b.as_slice::<T>()?);
            let mut rows = output.as_slice::<T>()?.chunks_mut(shape::row_len(to).max(1));
            shape::for_each_row(to, [&strides[0], &strides[1], &strides[2]], |[c, x, y]| {
                for (index, slot) in rows.next().unwrap_or_default().iter_mut().enumerate() {
                    *slot = if condition[c + index * by_c] != 0 { a[x + index * by_a] } else { b[y + index * by_b] };
                }
                Ok(())
            })
        })
    }
}

#[derive(Debug)]
struct Clip;

/// `Clip`
pub(crate) fn clip(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Clip))
}

impl Operator for Clip {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = inputs.first().copied().flatten().ok_or_else(|| "the operand is missing".to_string())?;
        if dtype == DType::Bool {
            return Err(Refusal::Unsupported("element type bool".into()));
        }
        expect_same(inputs, 1, dtype)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (input, low, high) = (io.input(0)?, io.get(1), io.get(2));
        let output = io.output(0)?;
        with_floats!(input.dtype, T => {
            let (low, high) = (bound::<T>(low)?, bound::<T>(high)?);
            for (result, value) in output.as_slice::<T>()?.iter_mut().zip(input.as_slice::<T>()?) {
                let mut x = value.to_f64();
                if let Some(low) = low && x < low.to_f64() {
                    x = low.to_f64();
                }
                if let Some(high) = high && x > high.to_f64() {
                    x = high.to_f64();
                }
                *result = T::from_f64(x);
            }
            Ok(())
        }, other => with_integers!(other, T => {
            let (low, high) = (bound::<T>(low)?, bound::<T>(high)?);
            for (result, value) in output.as_slice::<T>()?.iter_mut().zip(input.as_slice::<T>()?) {
                let x = low.map_or(value.to_i128(), |low| value.to_i128().max(low.to_i128()));
                *result = T::wrap(high.map_or(x, |high| x.min(high.to_i128())));
            }
            Ok(())
        }, other => Err(format!("no numbers: {}", other.name()))))
    }
}

fn bound<T: bytemuck::Pod>(view: Option<View<'_>>) -> Result<Option<T>, Failure> {
    match view {
        None => Ok(None),
        Some(view) => match view.as_slice::<T>()? {
            [value] => Ok(Some(*value)),
            other => Err(format!("a bound has {} elements", other.len())),
        },
    }
}
