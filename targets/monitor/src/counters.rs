//! What the monitor counts about itself.

use crate::otlp::{Reason, Rejected};
use crate::store::Outcome;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests to `/v1/metrics`.
    pub requests: AtomicU64,
    /// Bytes of their bodies as they came.
    pub body_bytes: AtomicU64,
    /// Points that were stored.
    pub stored: AtomicU64,
    /// Points that were there already.
    pub duplicate: AtomicU64,
    /// Points that were not taken, by [`Reason`].
    rejected: [AtomicU64; Reason::ALL.len()],
    /// Requests that were refused, by status: 400, 401, 403, 408, 413, 415, 500, 503.
    refused: [AtomicU64; STATUSES.len()],
    /// Transactions.
    pub commits: AtomicU64,
    /// Those that failed.
    pub failed_commits: AtomicU64,
    /// Requests that wait for the writer now.
    pub queued: AtomicI64,
    /// Rows whose checksum did not match.
    pub damaged_rows: AtomicU64,
    /// Connections that are open now.
    pub connections: AtomicI64,
    /// Webhook calls that were made.
    pub webhooks: AtomicU64,
    /// Those that failed.
    pub webhooks_failed: AtomicU64,
    /// Webhook calls that were given up.
    pub webhooks_dropped: AtomicU64,
}

const STATUSES: [u16; 8] = [400, 401, 403, 408, 413, 415, 500, 503];

impl Counters {
    /// Counts what became of a request.
    pub fn stored(&self, outcome: &Outcome) {
        self.stored.fetch_add(outcome.stored, Ordering::Relaxed);
        self.duplicate.fetch_add(outcome.duplicate, Ordering::Relaxed);
        self.reject(&outcome.rejected);
    }

    /// Counts points that were not taken.
    pub fn reject(&self, rejected: &Rejected) {
        for (reason, count) in rejected.iter() {
            if let Some(counter) =
                Reason::ALL.iter().position(|each| *each == reason).and_then(|at| self.rejected.get(at))
            {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Counts a request that was refused.
    pub fn refuse(&self, status: u16) {
        if let Some(counter) = STATUSES.iter().position(|each| *each == status).and_then(|at| self.refused.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Points that were not taken, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.rejected.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Requests that were refused, by status.
    pub fn refused(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        STATUSES.into_iter().zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
