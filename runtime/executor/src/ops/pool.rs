//! Poolings of any floating-point type (maxima of bytes, too) and rank, by their definition.

use super::window::{Window, each_index, each_tap, out_shape};
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

/// What is computed of the elements in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum PoolOp {
    Average { count_border: bool },
    Max { column_major: bool },
    Lp { p: f64 },
}

#[derive(Debug)]
struct Pool {
    op: PoolOp,
    window: Window,
    results: usize,
}

/// `AveragePool`, `MaxPool` and `LpPool`
pub(crate) fn pool(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let op = match attributes.op() {
        "AveragePool" => PoolOp::Average { count_border: attributes.flag("count_include_pad", false)? },
        "MaxPool" => PoolOp::Max { column_major: attributes.flag("storage_order", false)? },
        _ => PoolOp::Lp { p: attributes.int("p", 2)? as f64 },
    };
    let window = Window::new(attributes)?;
    if window.kernel.is_none() {
        return Err(Refusal::Invalid("attribute kernel_shape is missing".into()));
    }
    Ok(Arc::new(Pool { op, window, results: attributes.outputs().max(1) }))
}

impl Operator for Pool {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let allowed = match self.op {
            PoolOp::Max { .. } => [FLOATS, &[DType::I8, DType::U8]].concat(),
            _ => FLOATS.to_vec(),
        };
        let dtype = expect_type(inputs, 0, &allowed)?;
        Ok(if self.results == 1 { vec![dtype] } else { vec![dtype, DType::I64] })
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let &[batch, channels, ref spatial @ ..] = inputs.shape(0)? else {
            return Err(Refusal::Invalid("the operand has fewer than 2 dimensions".into()));
        };
        let axes = self.window.axes(spatial, self.window.kernel.as_deref().unwrap_or_default())?;
        let shape: Vec<usize> = [batch, channels].into_iter().chain(out_shape(&axes)).collect();
        Ok(vec![shape; self.results.min(2)])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let spatial = input.shape.get(2..).unwrap_or_default();
        let axes = self.window.axes(spatial, self.window.kernel.as_deref().unwrap_or_default())?;
        let positions = out_shape(&axes);
        let (from, to) = (shape::len(spatial), shape::len(&positions));
        let planes = input.len() / from.max(1);
        let column_major = matches!(self.op, PoolOp::Max { column_major: true });
        let mut chosen = vec![0i64; if io.output_if_any(1).is_some() { planes * to } else { 0 }];
        let (op, axes) = (self.op, &axes);
        if let Some(output) = io.output_if_any(0) {
            let (values, mut out) = (input.numbers::<f64>()?, output.numbers::<f64>()?);
            for plane in 0..planes {
                let mut at = plane * to;
                each_index(&positions, |position| {
                    let (mut sum, mut count, mut best) = (0.0f64, 0usize, None::<(usize, f64)>);
                    each_tap(axes, position, |place, _| {
                        let value = values.at(plane * from + place);
                        count += 1;
                        match op {
                            PoolOp::Average { .. } => sum += value,
                            PoolOp::Lp { p } => sum += value.abs().powf(p),
                            PoolOp::Max { .. } => {
                                if best.is_none_or(|(_, most)| value > most || value.is_nan()) {
                                    best = Some((place, value));
                                }
                            }
                        }
                    });
                    let result = match op {
                        PoolOp::Average { count_border: true } => sum / counted(axes, position) as f64,
                        PoolOp::Average { .. } => sum / count as f64,
                        PoolOp::Lp { p } => sum.powf(1.0 / p),
                        PoolOp::Max { .. } => best.map_or(f64::NEG_INFINITY, |(_, value)| value),
                    };
                    out.set(at, result);
                    if let (Some(slot), Some((place, _))) = (chosen.get_mut(at), best) {
                        let place = if column_major { transposed(place, spatial) } else { place };
                        *slot = i64::try_from(plane * from + place).unwrap_or(i64::MAX);
                    }
                    at += 1;
                });
            }
        }
        if let Some(indices) = io.output_if_any(1) {
            indices.as_slice::<i64>()?.copy_from_slice(&chosen);
        }
        Ok(())
    }
}

/// Elements of the window that lie in the operand or its border; a window that is rounded up may stick out further.
fn counted(axes: &[super::window::Axis], position: &[usize]) -> usize {
    let inside = |axis: &super::window::Axis, at: usize| {
        let end = axis.before + axis.size + axis.after;
        (0..axis.kernel).filter(|tap| at * axis.stride + tap * axis.dilation < end).count()
    };
    axes.iter().zip(position).map(|(axis, at)| inside(axis, *at)).product()
}

/// The column-major index of an element.
fn transposed(place: usize, shape: &[usize]) -> usize {
    let (mut rest, mut index) = (place, Vec::with_capacity(shape.len()));
    for size in shape.iter().rev() {
        index.push(rest % size);
        rest /= size;
    }
    // `index` begins with the last axis: the one that varies slowest in this order.
    index.iter().zip(shape.iter().rev()).fold(0, |sum, (at, size)| sum * size + at)
}

#[derive(Debug)]
struct GlobalPool {
    max: bool,
}

/// `GlobalAveragePool` and `GlobalMaxPool`
pub(crate) fn global_pool(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(GlobalPool { max: attributes.op() == "GlobalMaxPool" }))
}

impl Operator for GlobalPool {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, FLOATS)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let &[batch, channels, ref spatial @ ..] = inputs.shape(0)? else {
            return Err(Refusal::Invalid("the operand has fewer than 2 dimensions".into()));
        };
        Ok(vec![[batch, channels].into_iter().chain(spatial.iter().map(|_| 1)).collect()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let spatial = shape::len(input.shape.get(2..).unwrap_or_default());
        let output = io.output(0)?;
        let values = input.numbers::<f64>()?;
        output.numbers()?.fill(|plane| {
            let values = (plane * spatial..(plane + 1) * spatial).map(|at| values.at(at));
            if self.max {
                values.fold(f64::NEG_INFINITY, |most, x| if x > most || x.is_nan() { x } else { most })
            } else {
                values.sum::<f64>() / spatial as f64
            }
        });
        Ok(())
    }
}
