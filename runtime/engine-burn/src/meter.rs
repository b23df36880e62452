//! Bytes of the tensors that live, told from the tensors themselves: each holds a lease, and gives it back when the last one that
//! shares its memory is dropped.

use crate::failure::{Failure, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of one run, or of the weights of one program.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    live_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    limit_bytes: Option<u64>,
}

/// Bytes that a tensor takes for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lease {
    meter: Arc<Meter>,
    bytes: u64,
}

impl Meter {
    /// A meter that refuses what goes beyond a limit.
    pub(crate) fn new(limit_bytes: Option<u64>) -> Meter {
        Meter { limit_bytes, ..Meter::default() }
    }

    /// The most bytes that lived at once.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Takes bytes before they are allocated.
    ///
    /// # Errors
    /// [`Failure::Memory`].
    pub(crate) fn lease(self: &Arc<Meter>, bytes: u64) -> Outcome<Arc<Lease>> {
        let live_bytes = self.live_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // Dropping it gives the bytes back, also where they are refused.
        let lease = Arc::new(Lease { meter: self.clone(), bytes });
        if let Some(allowed_bytes) = self.limit_bytes.filter(|limit| live_bytes > *limit) {
            return Err(Failure::Memory { needed_bytes: live_bytes, allowed_bytes });
        }
        self.peak_bytes.fetch_max(live_bytes, Ordering::Relaxed);
        Ok(lease)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.meter.live_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
