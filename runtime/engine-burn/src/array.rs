//! Tensors on the device.

use crate::host::is_float;
use crate::meter::Lease;
use crate::shape;
use burn_backend::{Shape, Slice};
use burn_dispatch::{Dispatch, DispatchTensor};
use pannier_engine::DType;
use std::sync::Arc;

/// burn's operations, on whatever device a tensor lies.
pub(crate) type B = Dispatch;

/// A tensor on the device: cheap to clone.
///
/// The device knows binary32, 32-bit integers and booleans: `dtype` is what the graph says, and what a result is turned into when
/// it is read back. It has no tensors of rank 0 either: a scalar lies there with the shape `[1]`.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub(crate) data: DispatchTensor,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    pub(crate) lease: Arc<Lease>,
    /// Whether its elements may lie in another order than its shape says, so that another shape means a copy.
    pub(crate) strided: bool,
}

/// What burn takes a tensor for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

impl Kind {
    pub(crate) fn of(dtype: DType) -> Kind {
        match dtype {
            DType::Bool => Kind::Bool,
            _ if is_float(dtype) => Kind::Float,
            _ => Kind::Int,
        }
    }
}

impl Array {
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.dtype)
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(crate) fn len(&self) -> usize {
        shape::product(&self.shape)
    }

    /// The same memory, seen in another way.
    pub(crate) fn seen_as(&self, shape: Vec<usize>, data: DispatchTensor) -> Array {
        Array { data, shape, dtype: self.dtype, lease: self.lease.clone(), strided: self.strided }
    }

    /// The same elements, called another type of the same kind.
    pub(crate) fn named(mut self, dtype: DType) -> Array {
        self.dtype = dtype;
        self
    }
}

/// The shape that the device sees.
pub(crate) fn physical(shape: &[usize]) -> Shape {
    if shape.is_empty() { Shape::from(vec![1]) } else { Shape::from(shape.to_vec()) }
}

/// Calls one of three operations of burn, which has the same ones for each kind.
macro_rules! by_kind {
    ($kind:expr, $float:path, $int:path, $bool:path, ($($argument:expr),*)) => {
        match $kind {
            $crate::array::Kind::Float => $float($($argument),*),
            $crate::array::Kind::Int => $int($($argument),*),
            $crate::array::Kind::Bool => $bool($($argument),*),
        }
    };
}
pub(crate) use by_kind;

/// The elements from `start` up to `end`, every `step`-th.
pub(crate) fn range(start: usize, end: usize, step: usize) -> Slice {
    Slice { start: start as isize, end: Some(end as isize), step: step as isize }
}
