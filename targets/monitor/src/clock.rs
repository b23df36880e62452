//! The time that the monitor goes by: the system's, but never back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that does not go back. When the system's does, this one goes on from where it was, at its own pace, until the other
/// has caught up: what is decided by age (retention, silence) is decided once.
#[derive(Debug)]
pub struct Clock {
    system: fn() -> Duration,
    last: Mutex<(Duration, Instant)>,
    steps_back: AtomicU64,
}

/// Less than this is a clock being adjusted, not a jump.
const STEP: Duration = Duration::from_secs(1);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Clock {
        Clock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// A clock that follows `system`, the time since 1970.
    #[must_use]
    pub fn new(system: fn() -> Duration) -> Clock {
        Clock { system, last: Mutex::new((system(), Instant::now())), steps_back: AtomicU64::new(0) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (system, now) = ((self.system)(), Instant::now());
        let own = last.0 + now.duration_since(last.1);
        if system + STEP < own && system + STEP < last.0 {
            self.steps_back.fetch_add(1, Ordering::Relaxed);
        }
        *last = (if system >= last.0 { system } else { own }, now);
        i64::try_from(last.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now_ns(&self) -> i64 {
        self.now_ms().saturating_mul(1_000_000)
    }

    /// How often the time was read while the system's clock was behind this one.
    #[must_use]
    pub fn readings_behind(&self) -> u64 {
        self.steps_back.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SYSTEM_S: AtomicU64 = AtomicU64::new(1_000_000);

    #[test]
    fn it_goes_on_when_the_system_s_clock_jumps_back() {
        let clock = Clock::new(|| Duration::from_secs(SYSTEM_S.load(Ordering::Relaxed)));
        let start = clock.now_ms();
        SYSTEM_S.fetch_sub(3600, Ordering::Relaxed);
        let behind = clock.now_ms();
        assert!(behind >= start, "{behind} is before {start}");
        assert_eq!(clock.readings_behind(), 1);
        SYSTEM_S.fetch_add(7200, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), 1_003_600_000, "it follows again once the other has caught up");
    }
}
