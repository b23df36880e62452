//! Ready-made answers to "go on?": a deadline, a cancel button, or several of them.

use crate::engine::{Interrupt, Watch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A cancel button: any thread may press it, and the run stops before its next operator.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// A button that is not pressed.
    pub const fn new() -> Cancel {
        Cancel(AtomicBool::new(false))
    }

    /// Presses it, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was pressed.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Watch for Cancel {
    fn check(&self) -> Result<(), Interrupt> {
        if self.is_cancelled() { Err(Interrupt::Cancelled) } else { Ok(()) }
    }
}

/// A monotonic clock: the time since some point that stays the same while the program runs.
pub type Clock = fn() -> Duration;

/// The standard library's monotonic clock, where there is one: not on `wasm32-unknown-unknown`, where asking panics.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub const STD_CLOCK: Option<Clock> = Some(|| {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
});

/// The standard library's monotonic clock, where there is one: not on `wasm32-unknown-unknown`, where asking panics.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub const STD_CLOCK: Option<Clock> = None;

/// A point in time after which a run stops.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    clock: Clock,
    at: Duration,
}

impl Deadline {
    /// The point that lies `duration` from now.
    pub fn after(duration: Duration, clock: Clock) -> Deadline {
        Deadline { clock, at: clock().saturating_add(duration) }
    }
}

impl Watch for Deadline {
    fn check(&self) -> Result<(), Interrupt> {
        if (self.clock)() >= self.at { Err(Interrupt::Deadline) } else { Ok(()) }
    }
}

/// Several watches: the first that wants to stop decides, and all are told.
impl Watch for [Option<&dyn Watch>] {
    fn check(&self) -> Result<(), Interrupt> {
        self.iter().flatten().try_for_each(|watch| watch.check())
    }

    fn compiled(&self, done: usize, total: usize) {
        self.iter().flatten().for_each(|watch| watch.compiled(done, total));
    }
}

/// Several watches: the first that wants to stop decides, and all are told.
impl<const N: usize> Watch for [Option<&dyn Watch>; N] {
    fn check(&self) -> Result<(), Interrupt> {
        self.as_slice().check()
    }

    fn compiled(&self, done: usize, total: usize) {
        self.as_slice().compiled(done, total);
    }
}
