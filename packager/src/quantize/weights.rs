//! Weights as numbers, and as rows of one output channel each.

use super::error::QuantizeError;
use pannier_engine::Program;
use pannier_graph::ValueId;

/// A weight as numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    /// Row-major shape.
    pub(super) shape: Vec<usize>,
    /// The elements, all of them finite.
    pub(super) data: Vec<f32>,
}

impl Numbers {
    /// The elements of a weight of binary32.
    ///
    /// # Errors
    /// [`QuantizeError::Weight`]: it is not there, not of this type, or holds a NaN or an infinity.
    pub(super) fn read(program: &Program, value: ValueId) -> Result<Numbers, QuantizeError> {
        let failed = |reason| QuantizeError::Weight { weight: program.graph.value_name(value).to_owned(), reason };
        let weight = program.graph.body.weights.iter().find(|weight| weight.value == value);
        let weight = weight.ok_or_else(|| failed("is not in the program"))?;
        let bytes = weight.decode(|span| program.bytes(span)).ok_or_else(|| failed("does not fit its section"))?;
        if weight.dtype != pannier_graph::DType::F32 {
            return Err(failed("is not of binary32"));
        }
        let shape = weight.shape.iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| failed("is too large"))?;
        let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if data.iter().any(|number| number.is_nan()) {
            return Err(failed("holds a NaN"));
        }
        if data.iter().any(|number| number.is_infinite()) {
            return Err(failed("holds an infinity"));
        }
        Ok(Numbers { shape, data })
    }

    /// One row for each index along an axis.
    pub(super) fn rows(&self, axis: usize) -> Rows {
        let layout = Layout::new(&self.shape, axis);
        let mut data = Vec::with_capacity(self.data.len());
        layout.each(|index| data.push(self.data.get(index).copied().unwrap_or_default()));
        Rows { layout, data }
    }

    /// One row along the last axis for each index of all others.
    pub(super) fn rows_as_they_are(&self) -> Rows {
        let inner = self.shape.last().copied().unwrap_or(1);
        let channels = self.data.len().checked_div(inner).unwrap_or(0);
        Rows { layout: Layout { outer: 1, channels, inner }, data: self.data.clone() }
    }
}

/// Numbers of which each row belongs to one output channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows {
    layout: Layout,
    /// Row after row.
    pub(super) data: Vec<f32>,
}

impl Rows {
    /// Rows, one for each output channel.
    pub(super) fn count(&self) -> usize {
        self.layout.channels
    }

    /// Weights of a channel.
    pub(super) fn width(&self) -> usize {
        self.layout.outer * self.layout.inner
    }

    /// Puts one element for each of these back in the order of the weight.
    pub(super) fn restore<T: Copy + Default>(&self, rows: &[T]) -> Vec<T> {
        let mut restored = vec![T::default(); rows.len()];
        let mut elements = rows.iter();
        self.layout.each(|index| {
            if let (Some(slot), Some(element)) = (restored.get_mut(index), elements.next()) {
                *slot = *element;
            }
        });
        restored
    }
}

/// A tensor as `[outer, channels, inner]`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layout {
    outer: usize,
    channels: usize,
    inner: usize,
}

impl Layout {
    fn new(shape: &[usize], axis: usize) -> Layout {
        let axis = axis.min(shape.len().saturating_sub(1));
        let size = |dims: Option<&[usize]>| dims.unwrap_or_default().iter().product();
        Layout {
            outer: size(shape.get(..axis)),
            channels: shape.get(axis).copied().unwrap_or(1),
            inner: size(shape.get(axis + 1..)),
        }
    }

    /// Indices of the elements, channel after channel.
    fn each(&self, mut visit: impl FnMut(usize)) {
        for channel in 0..self.channels {
            for outer in 0..self.outer {
                let start = (outer * self.channels + channel) * self.inner;
                (start..start + self.inner).for_each(&mut visit);
            }
        }
    }
}
