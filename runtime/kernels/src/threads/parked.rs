//! Threads of the standard library that wait for work: for a moment awake, then parked.

use super::ThreadPool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread stays awake after its last work: longer than it takes from one operator of a model to the next, and
/// far shorter than anybody notices.
const AWAKE: Duration = Duration::from_micros(100);

/// A [`ThreadPool`] with threads of its own. Calls that come while it is busy are done by the threads that they come from.
#[derive(Debug)]
pub struct ParkedThreads {
    shared: Arc<Shared>,
    /// Held while a call has the threads.
    busy: Mutex<()>,
    handles: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Counts calls twice: odd while one is open to be joined.
    phase: AtomicU64,
    /// Threads that may be looking at the job.
    inside: AtomicUsize,
    /// The next number to be taken.
    next: AtomicUsize,
    job: Mutex<Option<Job>>,
    panicked: AtomicBool,
    stopping: AtomicBool,
    /// Threads that are parked, or about to be.
    parked: Mutex<usize>,
    wake: Condvar,
}

/// What the open call wants.
#[derive(Debug, Clone, Copy)]
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    tasks: usize,
}

// SAFETY: the task is `Sync`, and is called only while `run` has not returned.
unsafe impl Send for Job {}

impl ParkedThreads {
    /// A pool that runs `threads` tasks at a time: the caller's thread and `threads - 1` others, fewer where the system gives
    /// no more.
    pub fn new(threads: usize) -> ParkedThreads {
        let shared = Arc::new(Shared::default());
        let spawn = |_| {
            let shared = shared.clone();
            std::thread::Builder::new().name("pannier".into()).spawn(move || shared.work()).ok()
        };
        let handles = (1..threads).map_while(spawn).collect();
        ParkedThreads { shared, busy: Mutex::new(()), handles }
    }

    /// As many threads as the system says can run at the same time.
    pub fn for_this_machine() -> ParkedThreads {
        ParkedThreads::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl ThreadPool for ParkedThreads {
    fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// # Panics
    ///
    /// If a task does.
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let busy = match self.busy.try_lock() {
            // After a panic the threads are as they were.
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            other => other.ok(),
        };
        let Some(_busy) = busy.filter(|_| tasks > 1 && !self.handles.is_empty()) else {
            return (0..tasks).for_each(task);
        };
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. `Closing` below waits, on every way out of this function, until no thread is
        // inside the job; one that comes later finds the phase even and does not look at it.
        let erased = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task) };
        *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(Job { task: erased, tasks });
        shared.next.store(0, SeqCst);
        shared.phase.fetch_add(1, SeqCst);
        let closing = Closing(shared);
        if *shared.parked.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
            shared.wake.notify_all();
        }
        shared.take_all(tasks, task);
        drop(closing);
        assert!(!shared.panicked.swap(false, SeqCst), "a task panicked");
    }
}

impl Drop for ParkedThreads {
    fn drop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        drop(self.shared.parked.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wake.notify_all();
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}

/// Ends a call: nobody joins it any more, and those inside are waited for.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.phase.fetch_add(1, SeqCst);
        let mut turns = 0u32;
        while self.0.inside.load(SeqCst) > 0 {
            turns += 1;
            if turns < 1000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// One thread inside the job.
struct Inside<'a>(&'a Shared);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panicked.store(true, SeqCst);
        }
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    fn take_all(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        loop {
            let index = self.next.fetch_add(1, SeqCst);
            if index >= tasks {
                return;
            }
            task(index);
        }
    }

    /// What a thread of the pool does all its life.
    fn work(&self) {
        let mut done = 0;
        while let Some(phase) = self.wait(done) {
            self.inside.fetch_add(1, SeqCst);
            let inside = Inside(self);
            // Asked once more: whoever closes the call after this sees that somebody is inside.
            if self.phase.load(SeqCst) == phase {
                let job = *self.job.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(Job { task, tasks }) = job {
                    // SAFETY: the call was open after `inside` was raised, so it does not return before that falls.
                    self.take_all(tasks, unsafe { &*task });
                }
            }
            drop(inside);
            done = phase;
        }
    }

    /// The phase of an open call other than `done`; `None` when the pool ends.
    fn wait(&self, done: u64) -> Option<u64> {
        let open = || Some(self.phase.load(SeqCst)).filter(|phase| phase % 2 == 1 && *phase != done);
        let stopping = || self.stopping.load(SeqCst);
        let start = Instant::now();
        while start.elapsed() < AWAKE {
            for _ in 0..64 {
                if let Some(phase) = open() {
                    return Some(phase);
                }
                std::hint::spin_loop();
            }
            if stopping() {
                return None;
            }
        }
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        *parked += 1;
        let found = loop {
            if stopping() {
                break None;
            }
            if let Some(phase) = open() {
                break Some(phase);
            }
            parked = self.wake.wait(parked).unwrap_or_else(PoisonError::into_inner);
        };
        *parked -= 1;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whoever_asks() {
        let pool = ParkedThreads::new(3);
        assert!(pool.threads() <= 3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for tasks in 0..200 {
                        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                        pool.run(tasks, &|index| {
                            counts[index].fetch_add(1, SeqCst);
                        });
                        assert!(counts.iter().all(|count| count.load(SeqCst) == 1));
                    }
                });
            }
        });
    }

    #[test]
    fn threads_wake_up_again_and_a_panic_reaches_the_caller() {
        let pool = ParkedThreads::new(2);
        for _ in 0..3 {
            std::thread::sleep(AWAKE * 3);
            let sum = AtomicUsize::new(0);
            pool.run(8, &|index| {
                sum.fetch_add(index, SeqCst);
            });
            assert_eq!(sum.into_inner(), 28);
        }
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(2, &|index| assert!(index > 5, "no task is that large"));
        }));
        assert!(caught.is_err());
    }
}
