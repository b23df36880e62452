//! How work is cut for threads.

use pannier_kernels::{MOST_TASKS, ThreadPool};
use std::ops::Range;

/// Floating-point operations, or elements moved, for which another thread is worth waking: some 10 us of work.
const LEAST_WORK: usize = 1 << 20;

/// A WebAssembly module has one thread, and no room for code that shares work.
fn usable(pool: Option<&dyn ThreadPool>) -> Option<&dyn ThreadPool> {
    pool.filter(|_| !cfg!(target_family = "wasm"))
}

/// In how many tasks work of this size is cut; 1 without threads.
pub(crate) fn tasks(pool: Option<&dyn ThreadPool>, work: usize) -> usize {
    let threads = usable(pool).map_or(1, |pool| pool.threads().min(MOST_TASKS));
    threads.min(work / LEAST_WORK).max(1)
}

/// `len` things in `tasks` runs that are as even as multiples of `unit` allow. There may be fewer.
pub(crate) fn cut(len: usize, tasks: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let size = len.div_ceil(tasks.max(1)).next_multiple_of(unit.max(1)).max(1);
    (0..len.div_ceil(size)).map(move |index| index * size..((index + 1) * size).min(len))
}

/// [`pannier_kernels::share`], or one part after the other where there are no threads.
pub(crate) fn share<P: Send, E: Send>(
    pool: Option<&dyn ThreadPool>,
    mut parts: impl Iterator<Item = P>,
    work: impl Fn(P) -> Result<(), E> + Sync,
) -> Result<(), E> {
    match usable(pool) {
        Some(pool) => pannier_kernels::share(pool, parts, work),
        None => parts.try_for_each(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_one_run() {
        for (len, tasks, unit) in [(0, 2, 1), (1, 4, 4), (10, 3, 1), (10, 3, 4), (640, 2, 4), (7, 1, 4)] {
            let runs: Vec<_> = cut(len, tasks, unit).collect();
            assert!(runs.len() <= tasks && runs.iter().flat_map(Clone::clone).eq(0..len), "{runs:?}");
        }
    }
}
