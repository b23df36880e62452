//! Ready-made answers to "go on?": a deadline, a cancel button, or several of them.

use crate::engine::{Interrupt, Watch};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// A point in time after which a run stops.
///
/// Not there on `wasm32-unknown-unknown`, whose standard library has no clock: implement [`Watch`] over the host's.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<std::time::Instant>);

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Deadline {
    /// The point that lies `duration` from now; never if that is beyond the clock's range.
    pub fn after(duration: std::time::Duration) -> Deadline {
        Deadline(std::time::Instant::now().checked_add(duration))
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Watch for Deadline {
    fn check(&self) -> Result<(), Interrupt> {
        match self.0 {
            Some(deadline) if std::time::Instant::now() >= deadline => Err(Interrupt::Deadline),
            _ => Ok(()),
        }
    }
}

/// Several watches: the first that wants to stop decides.
impl Watch for [&dyn Watch] {
    fn check(&self) -> Result<(), Interrupt> {
        self.iter().try_for_each(|watch| watch.check())
    }
}

/// Several watches: the first that wants to stop decides.
impl<const N: usize> Watch for [&dyn Watch; N] {
    fn check(&self) -> Result<(), Interrupt> {
        self.as_slice().check()
    }
}
