//! `Where` and `Clip`.

use crate::number::Wide;
use crate::number::with_bits;
use crate::ops::{Attributes, Facts, Io, Operator, Refusal, expect_same, expect_type, is_float};
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
        if is_float(input.dtype) {
            let (low, high) = (bound::<f64>(low)?, bound::<f64>(high)?);
            output.numbers()?.map(input.numbers()?, |x| {
                let x = low.filter(|low| x < *low).unwrap_or(x);
                high.filter(|high| x > *high).unwrap_or(x)
            });
        } else {
            let (low, high) = (bound::<i128>(low)?, bound::<i128>(high)?);
            output.numbers()?.map(input.numbers()?, |x: i128| {
                let x = low.map_or(x, |low| x.max(low));
                high.map_or(x, |high| x.min(high))
            });
        }
        Ok(())
    }
}

fn bound<W: Wide>(view: Option<View<'_>>) -> Result<Option<W>, Failure> {
    let Some(view) = view else { return Ok(None) };
    match view.len() {
        1 => Ok(view.numbers()?.get(0)),
        other => Err(format!("a bound has {other} elements")),
    }
}
