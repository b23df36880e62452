//! Sharing one operation between threads.
//!
//! Work is cut into parts that write apart from each other, and every output is computed as it is by one thread; so the number of
//! threads, and which of them does what, changes no bit.

#[cfg(not(target_family = "wasm"))]
mod parked;

#[cfg(not(target_family = "wasm"))]
pub use parked::ParkedThreads;

use std::sync::{Mutex, PoisonError};

/// Threads that somebody lends for the time of a call.
pub trait ThreadPool: Send + Sync {
    /// How many tasks can run at the same time, that of the caller among them.
    fn threads(&self) -> usize;

    /// Calls `task` once with each number below `tasks`, from any threads, and returns when all calls have. A number that is
    /// left out is done by the caller of this afterwards, one that comes twice does nothing the second time.
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
}

/// Most parts that an operation is cut into.
pub const MOST_TASKS: usize = 32;

/// Does the work of every part, each once. Nothing is allocated.
///
/// # Errors
///
/// One of those of `work`, after all parts were tried.
pub fn share<P: Send, E: Send>(
    pool: &dyn ThreadPool,
    parts: impl Iterator<Item = P>,
    work: impl Fn(P) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let slots: [Mutex<Option<P>>; MOST_TASKS] = [const { Mutex::new(None) }; MOST_TASKS];
    let failure = Mutex::new(None);
    let mut count = 0;
    let run = |part: P| {
        if let Err(error) = work(part) {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    };
    let task = |index: usize| {
        let part = slots.get(index).and_then(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        part.into_iter().for_each(&run);
    };
    for part in parts {
        match slots.get(count) {
            Some(slot) => *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(part),
            None => run(part),
        }
        count += 1;
    }
    pool.run(count.min(MOST_TASKS), &task);
    (0..count.min(MOST_TASKS)).for_each(&task);
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
