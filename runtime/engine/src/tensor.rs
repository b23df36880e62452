//! Tensors: typed, row-major, owned or borrowed.

use pannier_bundle::Code;
use pannier_bundle::manifest::DType;
use pannier_graph::AlignedBytes;

/// A number type that a tensor can hold. Booleans have [`Tensor::from_bools`] and [`TensorView::as_bools`] instead:
/// not every byte is one.
pub trait Element: bytemuck::Pod {
    /// Its type on the wire.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),*) => { $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })* };
}

elements!(f32 => F32, f64 => F64, i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64);
elements!(half::f16 => F16, half::bf16 => BF16);

/// Why bytes and a shape do not make a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The shape's size does not fit the address space.
    #[error("shape {shape:?} is too large for this machine")]
    ShapeOverflow {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The bytes are too few or too many.
    #[error("shape {shape:?} of {} takes {expected_bytes} bytes, found {found_bytes}", .dtype.name())]
    SizeMismatch {
        /// Element type.
        dtype: DType,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that the shape takes.
        expected_bytes: usize,
        /// Bytes that were given.
        found_bytes: usize,
    },
    /// A byte of a boolean tensor is neither 0 nor 1.
    #[error("element {element} of a boolean tensor is {value}, not 0 or 1")]
    NotBool {
        /// Flat index of the element.
        element: usize,
        /// Its byte.
        value: u8,
    },
    /// Borrowed bytes do not start at a multiple of the element's alignment.
    #[error("the bytes are not aligned for {}", .dtype.name())]
    Misaligned {
        /// Element type.
        dtype: DType,
    },
}

impl TensorError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code::InvalidInput
    }
}

/// An owned tensor: row-major, densely packed, little-endian, its storage 64-byte aligned.
///
/// ```
/// use pannier_engine::{DType, Tensor};
///
/// let tensor = Tensor::from_slice([2, 2], &[1.0f32, 2.0, 3.0, 4.0])?;
/// assert_eq!((tensor.dtype(), tensor.shape()), (DType::F32, &[2, 2][..]));
/// assert_eq!(tensor.as_slice::<f32>(), Some(&[1.0, 2.0, 3.0, 4.0][..]));
/// assert_eq!(tensor.as_slice::<i32>(), None);
/// # Ok::<(), pannier_engine::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    bytes: AlignedBytes,
}

impl Tensor {
    /// A tensor with a copy of these little-endian bytes.
    ///
    /// # Errors
    /// [`TensorError::ShapeOverflow`], [`TensorError::SizeMismatch`]; [`TensorError::NotBool`] for a boolean tensor.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>, bytes: impl AsRef<[u8]>) -> Result<Tensor, TensorError> {
        let (shape, bytes) = (shape.into(), bytes.as_ref());
        check(dtype, &shape, bytes)?;
        Ok(Tensor { dtype, shape, bytes: AlignedBytes::copy_from(bytes) })
    }

    /// A tensor that takes these bytes over without copying them.
    ///
    /// # Errors
    /// Those of [`Tensor::new`].
    pub fn from_aligned(
        dtype: DType,
        shape: impl Into<Vec<usize>>,
        bytes: AlignedBytes,
    ) -> Result<Tensor, TensorError> {
        let shape = shape.into();
        check(dtype, &shape, &bytes)?;
        Ok(Tensor { dtype, shape, bytes })
    }

    /// A tensor with a copy of these numbers.
    ///
    /// # Errors
    /// [`TensorError::ShapeOverflow`], [`TensorError::SizeMismatch`].
    pub fn from_slice<T: Element>(shape: impl Into<Vec<usize>>, values: &[T]) -> Result<Tensor, TensorError> {
        Tensor::new(T::DTYPE, shape, bytemuck::cast_slice::<T, u8>(values))
    }

    /// A boolean tensor with a copy of these values.
    ///
    /// # Errors
    /// [`TensorError::ShapeOverflow`], [`TensorError::SizeMismatch`].
    pub fn from_bools(shape: impl Into<Vec<usize>>, values: &[bool]) -> Result<Tensor, TensorError> {
        Tensor::new(DType::Bool, shape, bytemuck::cast_slice::<bool, u8>(values))
    }

    /// A tensor of rank 0. Never fails.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor { dtype: T::DTYPE, shape: Vec::new(), bytes: AlignedBytes::copy_from(bytemuck::bytes_of(&value)) }
    }

    /// A tensor of zeros (`false` for booleans).
    ///
    /// # Errors
    /// [`TensorError::ShapeOverflow`]. A shape that is representable is allocated whatever it takes: callers check
    /// shapes from elsewhere against their budget first.
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Tensor, TensorError> {
        let shape = shape.into();
        let size_bytes =
            size_bytes(dtype, &shape).ok_or_else(|| TensorError::ShapeOverflow { shape: shape.clone() })?;
        Ok(Tensor { dtype, shape, bytes: AlignedBytes::zeroed(size_bytes) })
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Row-major shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements: 1 for a scalar, 0 if any dimension is 0.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The numbers, if `T` is the tensor's type.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        self.view().as_slice()
    }

    /// The numbers, to write into, if `T` is the tensor's type.
    pub fn as_slice_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        if T::DTYPE != self.dtype {
            return None;
        }
        bytemuck::try_cast_slice_mut(self.bytes.as_bytes_mut()).ok()
    }

    /// The values of a boolean tensor.
    pub fn as_bools(&self) -> Option<&[bool]> {
        self.view().as_bools()
    }

    /// The same tensor, borrowed.
    pub fn view(&self) -> TensorView<'_> {
        TensorView { dtype: self.dtype, shape: &self.shape, bytes: &self.bytes }
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// [`TensorError::ShapeOverflow`], [`TensorError::SizeMismatch`].
    pub fn reshaped(mut self, shape: impl Into<Vec<usize>>) -> Result<Tensor, TensorError> {
        let shape = shape.into();
        check_size(self.dtype, &shape, &self.bytes)?;
        self.shape = shape;
        Ok(self)
    }
}

/// Equal type, shape and bytes: `NaN` equals itself, `0.0` and `-0.0` differ.
impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.view() == other.view()
    }
}

impl core::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.view().fmt(f)
    }
}

/// A borrowed tensor: row-major, densely packed, little-endian, aligned for its element type.
#[derive(Clone, Copy, PartialEq)]
pub struct TensorView<'a> {
    dtype: DType,
    shape: &'a [usize],
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// A tensor over these little-endian bytes.
    ///
    /// # Errors
    /// Those of [`Tensor::new`], and [`TensorError::Misaligned`].
    pub fn new(dtype: DType, shape: &'a [usize], bytes: &'a [u8]) -> Result<TensorView<'a>, TensorError> {
        check(dtype, shape, bytes)?;
        // The size of every element type is its alignment, too.
        if !bytes.as_ptr().addr().is_multiple_of(dtype.size_bytes()) && !bytes.is_empty() {
            return Err(TensorError::Misaligned { dtype });
        }
        Ok(TensorView { dtype, shape, bytes })
    }

    /// A tensor over these numbers.
    ///
    /// # Errors
    /// [`TensorError::ShapeOverflow`], [`TensorError::SizeMismatch`].
    pub fn from_slice<T: Element>(shape: &'a [usize], values: &'a [T]) -> Result<TensorView<'a>, TensorError> {
        TensorView::new(T::DTYPE, shape, bytemuck::cast_slice::<T, u8>(values))
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Row-major shape; empty for a scalar.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Number of elements: 1 for a scalar, 0 if any dimension is 0.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size_bytes()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements, little-endian.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The numbers, if `T` is the tensor's type.
    pub fn as_slice<T: Element>(&self) -> Option<&'a [T]> {
        if T::DTYPE != self.dtype {
            return None;
        }
        if self.bytes.is_empty() {
            return Some(&[]);
        }
        bytemuck::try_cast_slice(self.bytes).ok()
    }

    /// The values of a boolean tensor.
    pub fn as_bools(&self) -> Option<&'a [bool]> {
        if self.dtype != DType::Bool {
            return None;
        }
        bytemuck::checked::try_cast_slice(self.bytes).ok()
    }

    /// An owned copy.
    pub fn to_tensor(&self) -> Tensor {
        Tensor { dtype: self.dtype, shape: self.shape.to_vec(), bytes: AlignedBytes::copy_from(self.bytes) }
    }
}

impl<'a> From<&'a Tensor> for TensorView<'a> {
    fn from(tensor: &'a Tensor) -> TensorView<'a> {
        tensor.view()
    }
}

/// Type, shape and the first few bytes' worth: tensors are too large to print.
impl core::fmt::Debug for TensorView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "{}{:?} [", self.dtype.name(), self.shape)?;
        for element in 0..self.len().min(SHOWN) {
            if element > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", crate::number::at(self.dtype, self.bytes, element).unwrap_or(f64::NAN))?;
        }
        f.write_str(if self.len() > SHOWN { ", ..]" } else { "]" })
    }
}

/// Number of bytes that a shape takes, if it is at most the largest allocation of this machine.
pub fn size_bytes(dtype: DType, shape: &[usize]) -> Option<usize> {
    // A dimension of 0 makes the size 0 whatever the others say.
    if shape.contains(&0) {
        return Some(0);
    }
    let size = shape.iter().try_fold(dtype.size_bytes(), |size, dim| size.checked_mul(*dim))?;
    // Room for rounding up to whole cache lines.
    (size <= isize::MAX.unsigned_abs() - pannier_graph::ALIGNMENT_BYTES).then_some(size)
}

fn check(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<(), TensorError> {
    check_size(dtype, shape, bytes)?;
    if dtype != DType::Bool {
        return Ok(());
    }
    match bytes.iter().enumerate().find(|(_, byte)| **byte > 1) {
        Some((element, value)) => Err(TensorError::NotBool { element, value: *value }),
        None => Ok(()),
    }
}

fn check_size(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<(), TensorError> {
    let expected_bytes =
        size_bytes(dtype, shape).ok_or_else(|| TensorError::ShapeOverflow { shape: shape.to_vec() })?;
    if bytes.len() != expected_bytes {
        let shape = shape.to_vec();
        return Err(TensorError::SizeMismatch { dtype, shape, expected_bytes, found_bytes: bytes.len() });
    }
    Ok(())
}
