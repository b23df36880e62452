//! What can be wrong with a call.

/// A call whose parts do not fit each other. Nothing was computed or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// Two sizes that have to be equal are not.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// Which size.
        what: &'static str,
        /// What the other parts of the call ask for.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A slice is shorter than what is to be read or written.
    #[error("{what} has {found} elements, {needed} are needed")]
    TooShort {
        /// Which slice.
        what: &'static str,
        /// Elements that are needed.
        needed: usize,
        /// Elements that are there.
        found: usize,
    },
    /// A parameter is outside of what the kernel is defined for.
    #[error("{what} is out of range: {value}")]
    Range {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        value: usize,
    },
    /// A size does not fit in `usize`.
    #[error("{what} is too large to compute")]
    Overflow {
        /// Which size.
        what: &'static str,
    },
}

/// `a == b`, or an error that names the size.
pub(crate) fn same(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Size { what, expected, found }) }
}

/// `found >= needed`, or an error that names the slice.
pub(crate) fn long_enough(what: &'static str, needed: usize, found: usize) -> Result<(), KernelError> {
    if found >= needed { Ok(()) } else { Err(KernelError::TooShort { what, needed, found }) }
}

/// The product of some sizes.
pub(crate) fn product(what: &'static str, sizes: &[usize]) -> Result<usize, KernelError> {
    // A product is kept below isize::MAX elements of four bytes, so that pointer offsets cannot wrap.
    sizes
        .iter()
        .try_fold(1_usize, |total, size| total.checked_mul(*size))
        .filter(|total| *total <= isize::MAX as usize / 16)
        .ok_or(KernelError::Overflow { what })
}
