//! Getting payloads to a receiver that may not be there: what waits, when to try again, what is lost.
//!
//! The rules are OTLP's (<https://opentelemetry.io/docs/specs/otlp/#failures>): 429, 502, 503 and 504, and a receiver that
//! cannot be reached, are tried again after the time that it names, or after a time that grows; anything else that is no
//! success is given up. A payload is in the spool until the receiver took it, so that one whose answer was lost is sent
//! twice; it says nothing new then, since its points are cumulative and carry their time.

use crate::otlp::DeliveryCounts;
use std::collections::VecDeque;
use std::time::Duration;

/// Sends one payload.
pub trait Transport {
    /// Sends an `ExportMetricsServiceRequest` in protobuf, and waits for the answer.
    ///
    /// # Errors
    /// [`Refused`]: the receiver did not take it.
    fn send(&mut self, request: &[u8]) -> Result<Accepted, Refused>;
}

/// The receiver took a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Points of it that the receiver did not want.
    pub rejected_points: u64,
}

/// The receiver did not take a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It may take it later: not before this time has passed, if it said so.
    Later(Option<Duration>),
    /// It never will.
    Never,
}

impl Refused {
    /// What an HTTP status other than 2xx means.
    pub fn from_status(status: u16, retry_after: Option<Duration>) -> Refused {
        match status {
            429 | 502 | 503 | 504 => Refused::Later(retry_after),
            _ => Refused::Never,
        }
    }
}

/// Keeps payloads until they were sent: the first that came is the first that goes, and the first that is lost.
pub trait Spool {
    /// Keeps a payload, and gives up older ones where there is no room.
    fn push(&mut self, request: &[u8]) -> Lost;
    /// The oldest payload.
    fn front(&mut self) -> Option<Vec<u8>>;
    /// Gives up the oldest payload.
    fn pop(&mut self);
    /// Size of what is kept, in bytes.
    fn size_bytes(&self) -> u64;
    /// How many payloads were found damaged since the last call, and left out.
    fn take_damaged(&mut self) -> u64;
}

/// Payloads that a spool gave up to keep another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// There was no room.
    pub full: u64,
    /// They could not be written, and memory was full.
    pub disk: u64,
}

/// A spool in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySpool {
    requests: VecDeque<Vec<u8>>,
    size_bytes: u64,
    limit_bytes: u64,
}

impl MemorySpool {
    /// A spool for so many bytes.
    pub fn new(limit_bytes: u64) -> MemorySpool {
        MemorySpool { limit_bytes, ..MemorySpool::default() }
    }
}

impl Spool for MemorySpool {
    fn push(&mut self, request: &[u8]) -> Lost {
        let mut lost = Lost::default();
        let size = request.len() as u64;
        while !self.requests.is_empty() && self.size_bytes.saturating_add(size) > self.limit_bytes {
            self.pop();
            lost.full += 1;
        }
        match size <= self.limit_bytes {
            true => {
                self.size_bytes += size;
                self.requests.push_back(request.to_vec());
            }
            false => lost.full += 1,
        }
        lost
    }

    fn front(&mut self) -> Option<Vec<u8>> {
        self.requests.front().cloned()
    }

    fn pop(&mut self) {
        if let Some(request) = self.requests.pop_front() {
            self.size_bytes -= request.len() as u64;
        }
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn take_damaged(&mut self) -> u64 {
        0
    }
}

/// When to try again.
#[derive(Debug, Clone)]
struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(120);
    /// What a receiver may ask for at most: one that says "in a year" would switch telemetry off.
    const LONGEST_ASKED: Duration = Duration::from_secs(3600);

    /// How long to wait after another failure: twice as long each time, and between half and all of that, at random, so that
    /// devices that failed together do not come back together.
    fn next(&mut self, asked: Option<Duration>) -> Duration {
        let longest = Self::FIRST.saturating_mul(1 << self.failures.min(16)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Xorshift (Marsaglia 2003): enough to part a crowd.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = 0.5 + (self.random >> 11) as f64 / (1u64 << 53) as f64 / 2.0;
        // A crowd that is told one time comes back spread over a part of it more.
        match asked.map(|asked| asked.min(Self::LONGEST_ASKED)) {
            Some(asked) => asked + asked.mul_f64((share - 0.5) / 5.0),
            None => longest.mul_f64(share),
        }
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing waits.
    Empty,
    /// The oldest payload is gone: there may be another.
    Sent,
    /// Nothing is worth trying before this time.
    Wait(Duration),
}

/// Sends what a spool keeps.
#[derive(Debug)]
pub struct Delivery<T, S> {
    transport: T,
    spool: S,
    backoff: Backoff,
    /// Nothing is sent before this point of the caller's clock.
    not_before: Duration,
    counts: DeliveryCounts,
}

impl<T: Transport, S: Spool> Delivery<T, S> {
    /// `random_seed` parts this device from others; `start_unix_ns` is when counting begins.
    pub fn new(transport: T, spool: S, random_seed: u64, start_unix_ns: u64) -> Self {
        let backoff = Backoff { failures: 0, random: random_seed | 1 };
        let counts = DeliveryCounts { start_unix_ns, ..DeliveryCounts::default() };
        Delivery { transport, spool, backoff, not_before: Duration::ZERO, counts }
    }

    /// Keeps a payload until it was sent.
    pub fn push(&mut self, request: &[u8]) {
        let Lost { full, disk } = self.spool.push(request);
        self.counts.spool_full += full;
        self.counts.disk += disk;
    }

    /// Tries to send the oldest payload that waits. `clock` is any monotonic one: waiting begins when the answer is there.
    pub fn send_one(&mut self, clock: impl Fn() -> Duration) -> Step {
        let front = self.spool.front();
        self.counts.disk += self.spool.take_damaged();
        let Some(request) = front else { return Step::Empty };
        if clock() < self.not_before {
            return Step::Wait(self.not_before);
        }
        match self.transport.send(&request) {
            Ok(accepted) => {
                self.backoff.failures = 0;
                self.counts.rejected += u64::from(accepted.rejected_points > 0);
            }
            Err(Refused::Never) => {
                self.counts.failed += 1;
                self.counts.rejected += 1;
            }
            Err(Refused::Later(asked)) => {
                self.counts.failed += 1;
                self.not_before = clock().saturating_add(self.backoff.next(asked));
                return Step::Wait(self.not_before);
            }
        }
        self.spool.pop();
        Step::Sent
    }

    /// How it went so far.
    pub fn counts(&self) -> DeliveryCounts {
        DeliveryCounts { spool_bytes: self.spool.size_bytes(), ..self.counts }
    }
}

#[cfg(test)]
mod tests;
