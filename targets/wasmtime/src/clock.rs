//! Time for the sandbox: what makes compiled code look up now and then, and what it asks when it does.

use crate::error::Error;
use pannier::Interrupt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use wasmtime::{Engine, EngineWeak};

/// How often compiled code looks up while it runs. A deadline is kept to within this time, plus the longest single
/// instruction, which is a copy or fill of all of the memory.
const TICK: Duration = Duration::from_millis(5);

/// Advances the engine's epoch every [`TICK`] while something runs, on a thread of its own that sleeps otherwise.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Whether the thread waits without an end, and has to be woken.
    asleep: bool,
    stop: bool,
}

/// Says that something runs, until it is dropped.
pub(crate) struct Running {
    shared: Arc<Shared>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Ticker, Error> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let (engine, seen) = (engine.weak(), Arc::clone(&shared));
        let spawned = thread::Builder::new().name("pannier-ticker".into()).spawn(move || tick(&engine, &seen));
        spawned.map_err(|error| Error::Setup { reason: format!("cannot start a thread: {error}") })?;
        Ok(Ticker { shared })
    }

    pub(crate) fn running(&self) -> Running {
        let mut state = self.shared.lock();
        state.running += 1;
        if state.asleep {
            self.shared.changed.notify_one();
        }
        drop(state);
        Running { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lock().running -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut state = shared.lock();
    while !state.stop {
        if state.running == 0 {
            state.asleep = true;
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
            continue;
        }
        drop(state);
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
        state = shared.lock();
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
        match self.caller.as_ref().map_or(Ok(()), |caller| caller.check()) {
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
