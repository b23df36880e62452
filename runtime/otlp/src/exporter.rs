//! One thread that closes windows, spools and sends.

use crate::config::Config;
use crate::http::Http;
use crate::payload::{self, Device, now_unix_ns};
use crate::spool::DiskSpool;
use pannier_telemetry::delivery::Step;
use pannier_telemetry::otlp::{DeliveryCounts, Export, Message, Session};
use pannier_telemetry::{Delivery, Recorder};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sends what recorders tell, in the background, until it is shut down or dropped.
#[derive(Debug)]
pub struct Exporter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    device: Device,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sessions: Vec<Watched>,
    /// When the last window ended, in nanoseconds since 1970.
    last_unix_ns: u64,
    /// How many windows were asked for, beside those of the clock.
    flushes: u64,
    /// How many of these were spooled, and a try was made to send them.
    flushed: u64,
    stop: bool,
    counts: DeliveryCounts,
}

#[derive(Debug)]
struct Watched {
    recorder: Arc<Recorder>,
    start_unix_ns: u64,
}

impl Exporter {
    /// Starts the thread. What an earlier process left in the spool is sent first.
    pub fn start(config: &Config) -> Exporter {
        let spool = DiskSpool::open(config.spool.as_deref(), config.spool_bytes);
        let instance = spool.instance(payload::new_instance).unwrap_or_else(payload::new_instance);
        let state =
            State { counts: DeliveryCounts { start_unix_ns: now_unix_ns(), ..Default::default() }, ..State::default() };
        let delivery = Delivery::new(Http::new(config), spool, payload::random(), state.counts.start_unix_ns);
        let shared = Arc::new(Shared {
            device: Device::new(&config.resource, instance),
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        let (theirs, config) = (Arc::clone(&shared), config.clone());
        let thread =
            std::thread::Builder::new().name("pannier-otlp".into()).spawn(move || work(&theirs, &config, delivery));
        // Without a thread nothing is sent, and nothing else suffers.
        Exporter { shared, thread: thread.ok() }
    }

    /// Tells what this recorder tells, from now on.
    pub fn watch(&self, recorder: Arc<Recorder>) {
        self.shared.lock().sessions.push(Watched { recorder, start_unix_ns: now_unix_ns() });
    }

    /// Ends the window now, and waits until its payload is in the spool and one try was made to send it.
    pub fn flush(&self) {
        let Some(thread) = self.thread.as_ref() else { return };
        let mut state = self.shared.lock();
        state.flushes += 1;
        let wanted = state.flushes;
        self.shared.wake.notify_all();
        while state.flushed < wanted && !thread.is_finished() {
            let waited = self.shared.wake.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How sending went so far.
    pub fn counts(&self) -> DeliveryCounts {
        self.shared.lock().counts
    }

    /// Ends the last window, tries to send what waits within the time of one attempt, and stops. What was not sent stays in
    /// the spool for the next process.
    pub fn shutdown(mut self) -> DeliveryCounts {
        self.stop();
        self.counts()
    }

    fn stop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to send.
            let _ = thread.join();
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the windows of all sessions.
    fn collect(&self) -> Export {
        let mut state = self.lock();
        // A clock that was set back must not give two windows one time.
        state.last_unix_ns = now_unix_ns().max(state.last_unix_ns + 1);
        let session = |watched: &Watched| Session {
            start_unix_ns: watched.start_unix_ns,
            snapshot: watched.recorder.close_window(),
        };
        Export {
            resource: self.device.attributes.clone(),
            time_unix_ns: state.last_unix_ns,
            sessions: state.sessions.iter().map(session).collect(),
            delivery: Some(state.counts),
        }
    }
}

fn work(shared: &Shared, config: &Config, mut delivery: Delivery<Http, DiskSpool>) {
    let begun = Instant::now();
    let mut next_window = config.interval;
    let mut again = Duration::ZERO;
    loop {
        let (stop, flushes) = wait(shared, begun, next_window.min(again));
        let now = begun.elapsed();
        let is_asked = stop || shared.lock().flushed < flushes;
        if is_asked || now >= next_window {
            let export = shared.collect();
            if !export.sessions.is_empty() {
                delivery.push(&export.request().encode_to_vec());
            }
            next_window = now + config.interval;
        }
        again = send(&mut delivery, begun, next_window, stop.then(|| now + config.timeout));
        let mut state = shared.lock();
        state.counts = delivery.counts();
        state.flushed = flushes;
        shared.wake.notify_all();
        if stop {
            return;
        }
    }
}

/// Waits until this time, or until somebody wants something. Says whether to stop, and how many windows were asked for.
fn wait(shared: &Shared, begun: Instant, until: Duration) -> (bool, u64) {
    let mut state = shared.lock();
    loop {
        let left = until.saturating_sub(begun.elapsed());
        if state.stop || state.flushed < state.flushes || left.is_zero() {
            return (state.stop, state.flushes);
        }
        state = shared.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Sends what waits, but not past the end of the window nor past `until`. Says when to go on.
fn send(
    delivery: &mut Delivery<Http, DiskSpool>,
    begun: Instant,
    next_window: Duration,
    until: Option<Duration>,
) -> Duration {
    loop {
        let now = begun.elapsed();
        if until.is_some_and(|until| now >= until) || now >= next_window {
            return now;
        }
        match delivery.send_one(|| begun.elapsed()) {
            Step::Sent => {}
            Step::Empty => return Duration::MAX,
            Step::Wait(again) => return again,
        }
    }
}
