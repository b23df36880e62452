//! What a caller decides when it opens a session, or for one run.

use crate::error::LoadStep;
use pannier_bundle::Limits;
use pannier_engine::{Clock, Engine, STD_CLOCK, Watch};
use pannier_graph::GraphLimits;
use std::sync::Arc;
use std::time::Duration;

/// How a session is opened and what its runs may use.
///
/// The manifest's envelope applies as well; of two limits the stricter one wins.
#[derive(Clone)]
pub struct Options {
    /// Engines in order of preference. The first that supports the graph and passes the golden cases is taken.
    pub engines: Vec<Arc<dyn Engine>>,
    /// What reading the bundle may take.
    pub limits: Limits,
    /// How large its graph may be.
    pub graph_limits: GraphLimits,
    /// Most memory that the session with one run in flight may hold, weights included, in bytes. `None`: what the
    /// manifest says.
    pub memory_bytes: Option<u64>,
    /// Longest that one run may take. `None`: what the manifest says. The runs of the self-test are part of loading: a
    /// first run makes plans, for which the deadline of later runs need not allow.
    pub deadline: Option<Duration>,
    /// Longest that loading may take: reading the bundle, preparing engines and the self-test together. `None`: no
    /// limit. It is looked at between the sections of the bundle, between the steps in which an engine prepares a graph
    /// and between operators, so that it is exceeded by the longest of those at most.
    pub load_deadline: Option<Duration>,
    /// Whether the golden cases are run at load, so that an engine that computes wrongly on this machine is found.
    pub self_test: bool,
    /// Seconds since 1970, for keys and policies that expire. `None`: not known, and what expires is refused.
    pub now_unix_s: Option<u64>,
    /// Monotonic clock for deadlines and for the times in the report. `None`: no deadlines, no times.
    pub clock: Option<Clock>,
    /// Asked while engines prepare and between operators of the self-test and of every run whether to go on.
    pub watch: Option<Arc<dyn Watch + Send + Sync>>,
    /// Whether the session's runs are recorded, for [`Session::recorder`](crate::Session::recorder).
    #[cfg(feature = "telemetry")]
    pub observe: bool,
    /// Told when a step of loading begins, and how far compiling has come: for those who show progress.
    pub on_step: Option<Arc<dyn Fn(LoadStep) + Send + Sync>>,
}

impl Options {
    /// The defaults, but with answers that are the same bits on every machine, natively and as WebAssembly, where the
    /// engine that runs the graph promises it: the executor does, tract does not. It costs some speed.
    pub fn deterministic() -> Options {
        Options { engines: engines(true), ..Options::default() }
    }

    pub(crate) fn begin(&self, step: LoadStep) {
        if let Some(on_step) = &self.on_step {
            on_step(step);
        }
    }
}

impl Default for Options {
    /// The engines of this build, the default limits, the self-test on, the system's clocks where there are any.
    fn default() -> Options {
        Options {
            engines: engines(false),
            limits: Limits::default(),
            graph_limits: GraphLimits::default(),
            memory_bytes: None,
            deadline: None,
            load_deadline: None,
            self_test: true,
            now_unix_s: now_unix_s(),
            clock: STD_CLOCK,
            watch: None,
            #[cfg(feature = "telemetry")]
            observe: false,
            on_step: None,
        }
    }
}

/// What one run may use, beside what the session allows; of two limits the stricter one wins.
#[derive(Clone, Copy, Default)]
pub struct RunOptions<'a> {
    /// Longest that it may take.
    pub deadline: Option<Duration>,
    /// Most memory that the session may hold during it, weights included, in bytes.
    pub memory_bytes: Option<u64>,
    /// Asked between operators whether to go on, for example a [`Cancel`](pannier_engine::Cancel).
    pub watch: Option<&'a dyn Watch>,
}

/// The engines of this build in order of preference: the fast and small one first, then the one that has every operator.
#[cfg_attr(not(feature = "executor"), expect(unused_variables, reason = "no other engine has a choice"))]
fn engines(deterministic: bool) -> Vec<Arc<dyn Engine>> {
    vec![
        #[cfg(feature = "executor")]
        Arc::new(match deterministic {
            true => pannier_executor::Executor::deterministic(),
            false => pannier_executor::Executor::new(),
        }),
        #[cfg(feature = "tract")]
        Arc::new(pannier_engine_tract::TractEngine::new()),
    ]
}

fn now_unix_s() -> Option<u64> {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    return None;
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The stricter of two limits.
pub(crate) fn stricter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
