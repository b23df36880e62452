//! What the operators of one run, or of one preparation, compute with: the device, and the meter that their tensors are paid from.
//!
//! Every method checks what burn would panic about, and takes a lease before anything is allocated.

use crate::array::{Array, B, Kind, by_kind, physical, range};
use crate::device::Device;
use crate::failure::{Failure, Outcome};
use crate::host::{Host, is_float};
use crate::meter::{Lease, Meter};
use crate::{host, shape};
use burn_backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn_backend::{DType as BurnType, FloatDType, IntDType, Scalar, TensorData};
use burn_dispatch::DispatchTensor;
use pannier_engine::{DType, TensorView};
use std::sync::Arc;

/// Bytes of an element on the device, whatever its type: booleans take as many on most.
const ELEMENT_BYTES: u64 = 4;

/// Device and meter.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) device: &'a Device,
    pub(crate) meter: &'a Arc<Meter>,
}

impl Scope<'_> {
    /// Takes the bytes of a tensor that is about to be made.
    pub(crate) fn lease(&self, shape: &[usize]) -> Outcome<Arc<Lease>> {
        let count = shape::len(shape).and_then(|len| u64::try_from(len).ok());
        let needed_bytes = count.and_then(|count| count.checked_mul(ELEMENT_BYTES)).unwrap_or(u64::MAX);
        if needed_bytes == 0 {
            return Err(Failure::Unsupported(format!("a tensor without elements on the device: {shape:?}")));
        }
        let allowed_bytes = self.device.max_buffer_bytes;
        if needed_bytes > allowed_bytes {
            return Err(Failure::Memory { needed_bytes, allowed_bytes });
        }
        self.meter.lease(needed_bytes)
    }

    /// A tensor that `compute` makes.
    pub(crate) fn make(
        &self,
        dtype: DType,
        shape: Vec<usize>,
        compute: impl FnOnce() -> DispatchTensor,
    ) -> Outcome<Array> {
        let lease = self.lease(&shape)?;
        Ok(Array { data: compute(), shape, dtype, lease, strided: false })
    }

    /// Brings a tensor to the device.
    pub(crate) fn upload(&self, view: TensorView<'_>) -> Outcome<Array> {
        let (dtype, device) = (view.dtype(), &self.device.dispatch);
        let shape = view.shape().to_vec();
        let data = |values: TensorValues| values.data(physical(&shape), self.device);
        match Kind::of(dtype) {
            Kind::Float => {
                let values = floats(view)?;
                self.make(dtype, shape.clone(), || B::float_from_data(data(TensorValues::Floats(values)), device))
            }
            Kind::Int => {
                let values = ints(view)?;
                self.make(dtype, shape.clone(), || B::int_from_data(data(TensorValues::Ints(values)), device))
            }
            Kind::Bool => {
                let values = view.as_bools().unwrap_or_default().to_vec();
                self.make(dtype, shape.clone(), || B::bool_from_data(data(TensorValues::Bools(values)), device))
            }
        }
    }

    /// Brings a value of the CPU to the device.
    pub(crate) fn upload_host(&self, host: &Host) -> Outcome<Array> {
        self.upload(host.to_tensor()?.view())
    }

    /// Binary32 numbers, made on the CPU.
    pub(crate) fn floats(&self, shape: Vec<usize>, values: Vec<f64>) -> Outcome<Array> {
        self.upload_host(&Host::floats(DType::F32, shape, values))
    }

    /// Indices, made on the CPU.
    pub(crate) fn indices(&self, values: &[usize]) -> Outcome<Array> {
        self.upload_host(&Host::list(values.iter().map(|value| *value as i64).collect()))
    }

    /// A tensor of one number.
    pub(crate) fn full(&self, dtype: DType, shape: Vec<usize>, value: f64) -> Outcome<Array> {
        let (device, size) = (&self.device.dispatch, physical(&shape));
        match Kind::of(dtype) {
            Kind::Float => {
                self.make(dtype, shape, || B::float_full(size, Scalar::Float(value), device, FloatDType::F32))
            }
            Kind::Int => {
                self.make(dtype, shape, || B::int_full(size, Scalar::Int(value as i64), device, IntDType::I32))
            }
            Kind::Bool if value != 0.0 => self.make(dtype, shape, || B::bool_ones(size, device, self.device.bool_type)),
            Kind::Bool => self.make(dtype, shape, || B::bool_zeros(size, device, self.device.bool_type)),
        }
    }

    /// The same elements under another shape.
    pub(crate) fn reshape(&self, a: &Array, shape: Vec<usize>) -> Outcome<Array> {
        if shape == a.shape {
            return Ok(a.clone());
        }
        if shape::len(&shape) != Some(a.len()) {
            return Err(Failure::Invalid(format!("{:?} cannot be reshaped to {shape:?}", a.shape)));
        }
        let lease = if a.strided { self.lease(&shape)? } else { a.lease.clone() };
        let size = physical(&shape);
        let data = by_kind!(a.kind(), B::float_reshape, B::int_reshape, B::bool_reshape, (a.data.clone(), size));
        Ok(Array { lease, strided: false, ..a.seen_as(shape, data) })
    }

    /// The axes in another order.
    pub(crate) fn permute(&self, a: &Array, order: &[usize]) -> Outcome<Array> {
        let mut seen = order.to_vec();
        seen.sort_unstable();
        if seen.iter().copied().ne(0..a.rank()) {
            return Err(Failure::Invalid(format!("{order:?} is no order of the axes of {:?}", a.shape)));
        }
        if a.rank() < 2 {
            return Ok(a.clone());
        }
        let shape = order.iter().map(|axis| shape::at(&a.shape, *axis)).collect();
        let data = by_kind!(a.kind(), B::float_permute, B::int_permute, B::bool_permute, (a.data.clone(), order));
        Ok(Array { strided: true, ..a.seen_as(shape, data) })
    }

    /// Two axes exchanged.
    pub(crate) fn swap(&self, a: &Array, first: usize, second: usize) -> Outcome<Array> {
        let mut order: Vec<usize> = (0..a.rank()).collect();
        if first.max(second) < order.len() {
            order.swap(first, second);
        }
        self.permute(a, &order)
    }

    /// Repeats axes of size 1, and adds axes before the first, up to a shape that `a` broadcasts to.
    pub(crate) fn expand(&self, a: &Array, shape: &[usize]) -> Outcome<Array> {
        if a.shape == shape {
            return Ok(a.clone());
        }
        if shape::broadcast(&a.shape, shape)? != shape {
            return Err(Failure::Invalid(format!("{:?} does not broadcast to {shape:?}", a.shape)));
        }
        let a = self.reshape(a, shape::pad(&a.shape, shape.len()))?;
        let lease = self.lease(shape)?;
        let size = physical(shape);
        let data = by_kind!(a.kind(), B::float_expand, B::int_expand, B::bool_expand, (a.data.clone(), size));
        Ok(Array { lease, strided: true, ..a.seen_as(shape.to_vec(), data) })
    }

    /// Elements `starts[axis]..ends[axis]` of each axis, every `steps[axis]`-th.
    pub(crate) fn slice(&self, a: &Array, ranges: &[(usize, usize, usize)]) -> Outcome<Array> {
        let fits = ranges.len() == a.rank() && ranges.iter().zip(&a.shape).all(|((_, end, _), size)| end <= size);
        if !fits || ranges.iter().any(|(start, end, step)| start > end || *step == 0) {
            return Err(Failure::Invalid(format!("{ranges:?} of {:?}", a.shape)));
        }
        let shape: Vec<usize> = ranges.iter().map(|(start, end, step)| (end - start).div_ceil(*step)).collect();
        if shape == a.shape {
            return Ok(a.clone());
        }
        let slices: Vec<_> = ranges.iter().map(|(start, end, step)| range(*start, *end, *step)).collect();
        self.make(a.dtype, shape, || {
            by_kind!(a.kind(), B::float_slice, B::int_slice, B::bool_slice, (a.data.clone(), &slices))
        })
    }

    /// Elements `start..end` along one axis.
    pub(crate) fn slice_axis(&self, a: &Array, axis: usize, start: usize, end: usize) -> Outcome<Array> {
        let whole = a.shape.iter().map(|size| (0, *size, 1));
        let ranges: Vec<_> =
            whole.enumerate().map(|(index, whole)| if index == axis { (start, end, 1) } else { whole }).collect();
        self.slice(a, &ranges)
    }

    /// The steps of one axis in the opposite order.
    pub(crate) fn flip(&self, a: &Array, axes: &[usize]) -> Outcome<Array> {
        self.make(a.dtype, a.shape.clone(), || {
            by_kind!(a.kind(), B::float_flip, B::int_flip, B::bool_flip, (a.data.clone(), axes))
        })
    }

    /// The steps of one axis that a list of indices names, each below the axis's size.
    pub(crate) fn select(&self, a: &Array, axis: usize, indices: &Array) -> Outcome<Array> {
        let shape = shape::with(&a.shape, axis, indices.len());
        let at = || indices.data.clone();
        self.make(a.dtype, shape, || match a.kind() {
            Kind::Float => B::float_select(a.data.clone(), axis, at()),
            Kind::Int => B::int_select(a.data.clone(), axis, at()),
            Kind::Bool => B::bool_select(a.data.clone(), axis, at()),
        })
    }

    /// Tensors one after the other along an axis.
    pub(crate) fn concat(&self, parts: &[Array], axis: usize) -> Outcome<Array> {
        let Some(first) = parts.first() else { return Err(Failure::Invalid("nothing to concatenate".into())) };
        let expected = shape::with(&first.shape, axis, 0);
        if parts.iter().any(|part| shape::with(&part.shape, axis, 0) != expected || part.dtype != first.dtype) {
            return Err(Failure::Invalid("tensors that do not fit together".into()));
        }
        if parts.len() == 1 {
            return Ok(first.clone());
        }
        let total = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(shape::at(&part.shape, axis)));
        let shape = shape::with(&first.shape, axis, total.unwrap_or(usize::MAX));
        let data = || parts.iter().map(|part| part.data.clone()).collect::<Vec<_>>();
        self.make(first.dtype, shape, || by_kind!(first.kind(), B::float_cat, B::int_cat, B::bool_cat, (data(), axis)))
    }

    /// An operation on each element, whose result has the same type.
    pub(crate) fn each(&self, a: &Array, compute: impl FnOnce(DispatchTensor) -> DispatchTensor) -> Outcome<Array> {
        self.make(a.dtype, a.shape.clone(), || compute(a.data.clone()))
    }

    /// An operation on elements of two tensors, which are broadcast to one shape.
    pub(crate) fn pair(
        &self,
        a: &Array,
        b: &Array,
        dtype: DType,
        compute: impl FnOnce(DispatchTensor, DispatchTensor) -> DispatchTensor,
    ) -> Outcome<Array> {
        let shape = shape::broadcast(&a.shape, &b.shape)?;
        let (a, b) =
            (self.reshape(a, shape::pad(&a.shape, shape.len()))?, self.reshape(b, shape::pad(&b.shape, shape.len()))?);
        self.make(dtype, shape, || compute(a.data, b.data))
    }

    pub(crate) fn add(&self, a: &Array, b: &Array) -> Outcome<Array> {
        self.floats_pair(a, b, B::float_add)
    }

    pub(crate) fn sub(&self, a: &Array, b: &Array) -> Outcome<Array> {
        self.floats_pair(a, b, B::float_sub)
    }

    pub(crate) fn mul(&self, a: &Array, b: &Array) -> Outcome<Array> {
        self.floats_pair(a, b, B::float_mul)
    }

    pub(crate) fn div(&self, a: &Array, b: &Array) -> Outcome<Array> {
        self.floats_pair(a, b, B::float_div)
    }

    fn floats_pair(
        &self,
        a: &Array,
        b: &Array,
        compute: fn(DispatchTensor, DispatchTensor) -> DispatchTensor,
    ) -> Outcome<Array> {
        floating(a)?;
        floating(b)?;
        self.pair(a, b, a.dtype, compute)
    }

    /// A floating-point tensor times a number.
    pub(crate) fn scale(&self, a: &Array, factor: f64) -> Outcome<Array> {
        floating(a)?;
        self.each(a, |x| B::float_mul_scalar(x, Scalar::Float(factor)))
    }

    /// A floating-point tensor plus a number.
    pub(crate) fn shift(&self, a: &Array, summand: f64) -> Outcome<Array> {
        floating(a)?;
        self.each(a, |x| B::float_add_scalar(x, Scalar::Float(summand)))
    }

    /// The product of matrices in the last two axes; the axes before them are broadcast.
    pub(crate) fn matmul(&self, a: &Array, b: &Array) -> Outcome<Array> {
        let (rank, refuse) = (a.rank().max(b.rank()), || {
            Failure::Invalid(format!("no product of matrices {:?} and {:?}", a.shape, b.shape))
        });
        let ([batch_a @ .., rows, inner], [batch_b @ .., inner_b, columns]) = (a.shape.as_slice(), b.shape.as_slice())
        else {
            return Err(refuse());
        };
        if inner != inner_b {
            return Err(refuse());
        }
        let mut shape = shape::broadcast(batch_a, batch_b)?;
        shape.extend([*rows, *columns]);
        // One matrix for a whole batch: the batch's rows are rows of one product.
        if batch_b.iter().all(|size| *size == 1) && rank > 2 && batch_a.len() + 2 == rank {
            let flat = self.reshape(a, vec![shape::product(batch_a).saturating_mul(*rows), *inner])?;
            let b = self.reshape(b, vec![*inner, *columns])?;
            return self.reshape(&self.product(&flat, &b)?, shape);
        }
        let a = self.expand(a, &[&shape[..rank - 2], &[*rows, *inner]].concat())?;
        let b = self.expand(b, &[&shape[..rank - 2], &[*inner, *columns]].concat())?;
        self.product(&a, &b)
    }

    /// The product of two stacks of as many matrices.
    fn product(&self, a: &Array, b: &Array) -> Outcome<Array> {
        floating(a)?;
        floating(b)?;
        let shape = shape::with(&a.shape, a.rank() - 1, shape::at(&b.shape, b.rank() - 1));
        self.make(a.dtype, shape, || B::float_matmul(a.data.clone(), b.data.clone()))
    }

    /// A reduction of some axes, which stay with size 1, one after the other.
    pub(crate) fn reduce(
        &self,
        a: &Array,
        axes: &[usize],
        compute: impl Fn(DispatchTensor, usize) -> DispatchTensor,
    ) -> Outcome<Array> {
        let mut reduced = a.clone();
        for axis in axes {
            let shape = shape::with(&reduced.shape, *axis, 1);
            reduced = self.make(a.dtype, shape, || compute(reduced.data.clone(), *axis))?;
        }
        Ok(reduced)
    }

    /// Elements as another type.
    pub(crate) fn cast(&self, a: &Array, dtype: DType) -> Outcome<Array> {
        if dtype == DType::F64 {
            return Err(Failure::Unsupported("float64 on the device".into()));
        }
        let (to, bools) = (Kind::of(dtype), self.device.bool_type);
        let zero = || Scalar::Int(0);
        match (a.kind(), to) {
            (from, to) if from == to && narrows(a.dtype, dtype) => {
                Err(Failure::Unsupported(format!("a cast of {} to {} on the device", a.dtype.name(), dtype.name())))
            }
            (from, to) if from == to => Ok(a.clone().named(dtype)),
            (Kind::Float, Kind::Int) => {
                self.make(dtype, a.shape.clone(), || B::float_into_int(B::float_trunc(a.data.clone()), IntDType::I32))
            }
            (Kind::Float, Kind::Bool) => {
                self.make(dtype, a.shape.clone(), || B::float_not_equal_elem(a.data.clone(), Scalar::Float(0.0), bools))
            }
            (Kind::Int, Kind::Float) => {
                self.make(dtype, a.shape.clone(), || B::int_into_float(a.data.clone(), FloatDType::F32))
            }
            (Kind::Int, Kind::Bool) => {
                self.make(dtype, a.shape.clone(), || B::int_not_equal_elem(a.data.clone(), zero(), bools))
            }
            (Kind::Bool, Kind::Float) => {
                self.make(dtype, a.shape.clone(), || B::bool_into_float(a.data.clone(), FloatDType::F32))
            }
            (Kind::Bool, _) => self.make(dtype, a.shape.clone(), || B::bool_into_int(a.data.clone(), IntDType::I32)),
            (Kind::Int, Kind::Int) | (Kind::Float, Kind::Float) => Ok(a.clone().named(dtype)),
        }
    }

    /// `yes` where the condition holds, else `no`; all three are broadcast to one shape.
    pub(crate) fn choose(&self, condition: &Array, yes: &Array, no: &Array) -> Outcome<Array> {
        if condition.kind() != Kind::Bool || yes.dtype != no.dtype {
            return Err(Failure::Invalid("a choice between two types, or by something else than booleans".into()));
        }
        let shape = shape::broadcast(&shape::broadcast(&condition.shape, &yes.shape)?, &no.shape)?;
        let condition = self.expand(condition, &shape)?;
        let (yes, no) = (self.expand(yes, &shape)?, self.expand(no, &shape)?);
        self.make(yes.dtype, shape, || match yes.kind() {
            Kind::Float => B::float_mask_where(no.data, condition.data, yes.data),
            Kind::Int => B::int_mask_where(no.data, condition.data, yes.data),
            Kind::Bool => B::bool_mask_where(no.data, condition.data, yes.data),
        })
    }
}

/// Refuses what are no floating-point numbers.
pub(crate) fn floating(a: &Array) -> Outcome<()> {
    if a.kind() == Kind::Float { Ok(()) } else { Err(Failure::Unsupported(format!("{} here", a.dtype.name()))) }
}

/// Whether a cast between integers wraps: the device keeps them in a wider type than the graph says. Floating-point numbers that
/// are kept wider are only more exact.
fn narrows(from: DType, to: DType) -> bool {
    let narrow = !matches!(to, DType::I64 | DType::I32 | DType::Bool);
    !is_float(from) && narrow && from != to
}

/// Elements in the types that the device has.
enum TensorValues {
    Floats(Vec<f32>),
    Ints(Vec<i32>),
    Bools(Vec<bool>),
}

impl TensorValues {
    /// Values and shape belong to one tensor, so they fit.
    fn data(self, shape: burn_backend::Shape, device: &Device) -> TensorData {
        match self {
            TensorValues::Floats(values) => TensorData::new(values, shape),
            TensorValues::Ints(values) => TensorData::new(values, shape),
            TensorValues::Bools(values) => {
                TensorData::new(values, shape).convert_dtype(BurnType::Bool(device.bool_type))
            }
        }
    }
}

fn floats(view: TensorView<'_>) -> Outcome<Vec<f32>> {
    let halves = |values: Option<Vec<f32>>| values.unwrap_or_default();
    match view.dtype() {
        DType::F32 => Ok(view.as_slice::<f32>().unwrap_or_default().to_vec()),
        DType::F16 => Ok(halves(view.as_slice::<half::f16>().map(|all| all.iter().map(|v| v.to_f32()).collect()))),
        DType::BF16 => Ok(halves(view.as_slice::<half::bf16>().map(|all| all.iter().map(|v| v.to_f32()).collect()))),
        _ => Err(Failure::Unsupported("float64 on the device".into())),
    }
}

fn ints(view: TensorView<'_>) -> Outcome<Vec<i32>> {
    let values = host::integers(view);
    let values = values.and_then(|values| values.into_iter().map(|value| i32::try_from(value).ok()).collect());
    values.ok_or_else(|| Failure::Unsupported("an integer of more than 32 bits on the device".into()))
}
