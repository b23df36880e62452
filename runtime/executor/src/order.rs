//! Sorting.

use std::cmp::Ordering;

/// The indices below `len` in the order of what they stand for; of equals, the lower one comes first.
///
/// One function for all that is sorted here: a sort of its own for each takes kilobytes of what browsers download.
pub(crate) fn sorted(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}
