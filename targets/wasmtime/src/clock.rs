//! Time for the sandbox: who runs until when, and the thread that stops them.

use crate::error::Error;
use crate::stop::StopFlag;
use pannier::Interrupt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often deadlines and callers are asked. A deadline is kept to within this time, plus the longest single instruction,
/// which is a copy or fill of all of the memory.
const TICK: Duration = Duration::from_millis(5);

/// Ticks for which nothing has to run before the thread sleeps: waking it costs a run more than a tick costs the machine.
const IDLE_TICKS: u32 = 20;

/// Asks everything that runs every [`TICK`] whether it may go on, on a thread of its own that sleeps while nothing does.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: Vec<Arc<Run>>,
    /// Whether the thread waits without an end, and has to be woken.
    asleep: bool,
    stop: bool,
}

/// A piece of work of one instance.
pub(crate) struct Run {
    shared: Arc<Shared>,
    watch: Watch,
    flag: Arc<StopFlag>,
    progress: Mutex<Progress>,
}

/// How far a run is. The flag changes only under its lock, so that nobody is stopped for the run before.
#[derive(Default)]
struct Progress {
    ended: bool,
    stopped: Option<Error>,
}

/// A piece of work that is under way, until this is dropped.
pub(crate) struct Running(Arc<Run>);

impl Ticker {
    pub(crate) fn start() -> Result<Ticker, Error> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let seen = Arc::clone(&shared);
        let spawned = thread::Builder::new().name("pannier-ticker".into()).spawn(move || tick(&seen));
        spawned.map_err(|error| Error::Setup { reason: format!("cannot start a thread: {error}") })?;
        Ok(Ticker { shared })
    }

    /// From now on the flag is set when the watch says so.
    pub(crate) fn running(&self, flag: &Arc<StopFlag>, watch: Watch) -> Running {
        Run::start(&self.shared, flag, watch)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.changed.notify_one();
    }
}

impl Running {
    /// The work, for who wants to know later what became of it.
    pub(crate) fn run(&self) -> Arc<Run> {
        Arc::clone(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0.shared.state).running.retain(|run| !Arc::ptr_eq(run, &self.0));
        let mut progress = lock(&self.0.progress);
        progress.ended = true;
        self.0.flag.clear();
    }
}

impl Run {
    fn start(shared: &Arc<Shared>, flag: &Arc<StopFlag>, watch: Watch) -> Running {
        let (shared, flag, progress) = (Arc::clone(shared), Arc::clone(flag), Mutex::default());
        let run = Arc::new(Run { shared, watch, flag, progress });
        let mut state = lock(&run.shared.state);
        state.running.push(Arc::clone(&run));
        if state.asleep {
            run.shared.changed.notify_one();
        }
        drop(state);
        Running(run)
    }

    /// More work of the same instance, on other terms, after this was cut short.
    pub(crate) fn resume(&self, watch: Watch) -> Running {
        Run::start(&self.shared, &self.flag, watch)
    }

    /// Why it was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<Error> {
        lock(&self.progress).stopped.clone()
    }

    fn ask(&self) {
        // Asked before the lock is taken: how long a caller thinks is not known.
        let Err(why) = self.watch.check() else { return };
        let mut progress = lock(&self.progress);
        if !progress.ended {
            progress.stopped.get_or_insert(why);
            self.flag.set();
        }
    }
}

/// Nothing in here panics while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tick(shared: &Shared) {
    let mut idle_ticks = 0;
    let mut state = lock(&shared.state);
    while !state.stop {
        if state.running.is_empty() && idle_ticks >= IDLE_TICKS {
            state.asleep = true;
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
            idle_ticks = 0;
            continue;
        }
        drop(state);
        thread::sleep(TICK);
        let running = lock(&shared.state).running.clone();
        idle_ticks = if running.is_empty() { idle_ticks.saturating_add(1) } else { 0 };
        for run in running {
            run.ask();
        }
        state = lock(&shared.state);
    }
}

/// Asked at every tick whether to go on.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    /// When to stop, and the time that was allowed.
    deadline: Option<(Instant, Duration)>,
    caller: Option<Arc<dyn pannier::Watch + Send + Sync>>,
}

impl Watch {
    /// From now on.
    pub(crate) fn start(deadline: Option<Duration>, caller: Option<Arc<dyn pannier::Watch + Send + Sync>>) -> Watch {
        // A time that lies too far ahead to be a time is no deadline.
        let deadline = deadline.and_then(|allowed| Some((Instant::now().checked_add(allowed)?, allowed)));
        Watch { deadline, caller }
    }

    /// # Errors
    /// [`Error::Deadline`], [`Error::Cancelled`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        // A caller that panics must not end the thread that everybody's deadline depends on.
        let asked = |caller: &Arc<dyn pannier::Watch + Send + Sync>| {
            catch_unwind(AssertUnwindSafe(|| caller.check())).unwrap_or(Err(Interrupt::Cancelled))
        };
        match self.caller.as_ref().map_or(Ok(()), asked) {
            Ok(()) => {}
            // The caller's own deadline: how long it was is not known here.
            Err(Interrupt::Deadline) => {
                let deadline = self.deadline.map_or(Duration::ZERO, |(_, allowed)| allowed);
                return Err(Error::Deadline { deadline });
            }
            Err(_) => return Err(Error::Cancelled),
        }
        match self.deadline {
            Some((at, deadline)) if Instant::now() >= at => Err(Error::Deadline { deadline }),
            _ => Ok(()),
        }
    }
}
