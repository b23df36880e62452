//! Pooling.

use super::window::{self, Axis};
use super::{Call, Operator, one};
use crate::array::{Array, B};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;
use burn_backend::ops::{FloatTensorOps, ModuleOps, PadMode};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("AveragePool", average_pool).check(check),
    Operator::new("GlobalAveragePool", global_average_pool),
    Operator::new("GlobalMaxPool", global_max_pool),
    Operator::new("MaxPool", max_pool).check(check_max),
];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    let rank = attributes.ints("kernel_shape")?.map_or(0, <[i64]>::len);
    if (1..=2).contains(&rank) { Ok(()) } else { Err(Failure::Unsupported(format!("{rank} spatial axes"))) }
}

fn check_max(attributes: &Attributes<'_>) -> Outcome<()> {
    check(attributes)?;
    if attributes.wants(1) { Err(Failure::Unsupported("output Indices".into())) } else { Ok(()) }
}

/// The input as `[batch, channels, height, width]` and the windows over the last two; a pool over one axis has a height of 1.
struct Pool {
    x: Array,
    height: Axis,
    width: Axis,
    shape: Vec<usize>,
}

fn pool(call: &Call<'_>) -> Outcome<Pool> {
    let x = call.float(0)?;
    let kernel = call.attributes.ints("kernel_shape")?.unwrap_or_default();
    let kernel = kernel.iter().map(|size| shape::size(*size)).collect::<Outcome<Vec<_>>>()?;
    let [batch, channels, sizes @ ..] = x.shape.as_slice() else {
        return Err(Failure::Invalid("a pool over nothing".into()));
    };
    if sizes.len() != kernel.len() {
        return Err(Failure::Invalid(format!("a kernel {kernel:?} over {:?}", x.shape)));
    }
    let axes = window::axes(&call.attributes, sizes, &kernel)?;
    let mut shape = vec![*batch, *channels];
    shape.extend(axes.iter().map(|axis| axis.output));
    let point = Axis { input: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0, declared_end: 0, output: 1 };
    let (height, width) = match axes.as_slice() {
        [width] => (point, *width),
        [height, width] => (*height, *width),
        _ => return Err(Failure::Unsupported(format!("{} spatial axes", axes.len()))),
    };
    let x = call.scope.reshape(&x, vec![*batch, *channels, height.input, width.input])?;
    Ok(Pool { x, height, width, shape })
}

impl Pool {
    /// The input with as many elements around it as the windows reach, all with this value, and without those that none reaches.
    fn padded(&self, scope: &Scope<'_>, value: f32) -> Outcome<Array> {
        let axes = [self.height, self.width];
        let pads = axes.map(|axis| (axis.begin, usize::try_from(axis.end).unwrap_or(0)));
        let mut x = self.x.clone();
        if pads != [(0, 0); 2] {
            let mut shape = x.shape.clone();
            for (size, (begin, end)) in shape.iter_mut().skip(2).zip(pads) {
                *size += begin + end;
            }
            let pads = [(0, 0), (0, 0), pads[0], pads[1]];
            x = scope.make(x.dtype, shape, || B::float_pad(x.data, &pads, PadMode::Constant(value)))?;
        }
        Ok(x)
    }

    /// What one of burn's pools makes of it.
    fn make(
        &self,
        scope: &Scope<'_>,
        compute: impl FnOnce([usize; 2], [usize; 2]) -> burn_dispatch::DispatchTensor,
    ) -> Outcome<Array> {
        let mut shape = self.x.shape.get(..2).unwrap_or_default().to_vec();
        shape.extend([self.height.output, self.width.output]);
        scope.make(self.x.dtype, shape, || {
            compute([self.height.kernel, self.width.kernel], [self.height.stride, self.width.stride])
        })
    }
}

fn max_pool(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let pool = pool(call)?;
    let x = pool.padded(&call.scope, f32::NEG_INFINITY)?.data;
    let dilation = [pool.height.dilation, pool.width.dilation];
    let array = pool.make(&call.scope, |kernel, stride| B::max_pool2d(x, kernel, stride, [0, 0], dilation, false))?;
    one(call.scope.reshape(&array, pool.shape)?)
}

fn average_pool(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let pool = pool(call)?;
    if pool.height.dilation.max(pool.width.dilation) > 1 {
        return Err(Failure::Unsupported("dilations of an average".into()));
    }
    let x = pool.padded(&call.scope, 0.0)?.data;
    let array = pool.make(&call.scope, |kernel, stride| B::avg_pool2d(x, kernel, stride, [0, 0], true, false))?;
    let include = call.attributes.flag("count_include_pad", false)?;
    let (rows, columns) = (factors(&pool.height, include), factors(&pool.width, include));
    let mut array = array;
    if rows.iter().chain(&columns).any(|factor| *factor != 1.0) {
        let rows = call.scope.floats(vec![rows.len(), 1], rows)?;
        let columns = call.scope.floats(vec![1, columns.len()], columns)?;
        array = call.scope.mul(&array, &call.scope.mul(&rows, &columns)?)?;
    }
    one(call.scope.reshape(&array, pool.shape)?)
}

/// What the averages over whole windows are multiplied by, because some of a window's elements do not count.
fn factors(axis: &Axis, include_padding: bool) -> Vec<f64> {
    let (low, high) = if include_padding {
        (0, axis.begin + axis.input + axis.declared_end)
    } else {
        (axis.begin, axis.begin + axis.input)
    };
    let counted = |window: usize| {
        let start = window * axis.stride;
        (start + axis.kernel).min(high).saturating_sub(start.max(low)).max(1)
    };
    (0..axis.output).map(|window| axis.kernel as f64 / counted(window) as f64).collect()
}

fn global_average_pool(call: &Call<'_>) -> Outcome<Vec<Value>> {
    global(call, B::float_mean_dim)
}

fn global_max_pool(call: &Call<'_>) -> Outcome<Vec<Value>> {
    global(call, B::float_max_dim)
}

fn global(
    call: &Call<'_>,
    compute: fn(burn_dispatch::DispatchTensor, usize) -> burn_dispatch::DispatchTensor,
) -> Outcome<Vec<Value>> {
    let x = call.float(0)?;
    let [batch, channels, sizes @ ..] = x.shape.as_slice() else {
        return Err(Failure::Invalid("a pool over nothing".into()));
    };
    let mut shape = vec![*batch, *channels];
    shape.extend(sizes.iter().map(|_| 1));
    // One reduction over all spatial axes at once.
    let flat = call.scope.reshape(&x, vec![*batch, *channels, shape::product(sizes)])?;
    let reduced = call.scope.reduce(&flat, &[2], compute)?;
    one(call.scope.reshape(&reduced, shape)?)
}
