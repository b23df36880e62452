//! What an application decides: once for a sandbox, per model, per run.

use crate::event::Event;
use pannier::Watch;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a [`Sandbox`](crate::Sandbox) is made with.
#[derive(Clone)]
pub struct Config {
    /// Which build of the guest runs. Deterministic mode always takes [`Flavour::Simd128`].
    pub flavour: Flavour,
    /// The same bits on every machine: the guest without relaxed SIMD, every NaN in its canonical form, and the engine in its
    /// deterministic mode, so that answers are those of [`pannier::Options::deterministic`], too. It costs some speed.
    /// What the model's engine promises is in its manifest.
    pub deterministic: bool,
    /// Limits of every model; a model or a run may have stricter ones.
    pub limits: Limits,
    /// Where compiled code and memory images are kept.
    pub cache: Cache,
    /// Most instances that may live at once, from 1. Each reserves 4 GiB of address space, which is not memory.
    pub max_instances: u32,
    /// Told what happens beside the results, for example that a cache file was rejected. Called on the thread that
    /// makes the sandbox or loads the model; it should return soon.
    pub on_event: Option<Arc<dyn Fn(Event) + Send + Sync>>,
    /// A guest module instead of the one that this crate carries. It has to follow the plain ABI, version 1. The flavour
    /// above says nothing about it then.
    pub guest: Option<Vec<u8>>,
}

impl Config {
    /// Default of [`Config::max_instances`].
    pub const MAX_INSTANCES: u32 = 64;
}

impl Default for Config {
    /// Plain SIMD, no limits beside those of the models and the defaults of [`Limits`], the
    /// user's cache.
    fn default() -> Config {
        Config {
            flavour: Flavour::Auto,
            deterministic: false,
            limits: Limits::default(),
            cache: Cache::User,
            max_instances: Config::MAX_INSTANCES,
            on_event: None,
            guest: None,
        }
    }
}

/// Which build of the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Flavour {
    /// Plain SIMD: the same results on every machine.
    #[default]
    Auto,
    /// 128-bit SIMD. Its results are the same on every machine, but for the bits of NaNs.
    Simd128,
    /// Relaxed SIMD: products are rounded once where the processor can, so the last bits of results depend on it. Where that saves
    /// time, models of many products are up to a fifth faster; see docs/adr/018-packed-rows.md.
    RelaxedSimd,
}

/// Where compiled code and memory images are kept. What it protects against, and what not: see the
/// [crate's documentation](crate#the-cache).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cache {
    /// Nowhere: every process compiles the guest (tens of seconds) and every load prepares its model.
    Off,
    /// `$XDG_CACHE_HOME/pannier/sandbox`, or `~/.cache/pannier/sandbox`.
    #[default]
    User,
    /// This directory. It is made with access for the user alone, if it is not there.
    Dir(PathBuf),
}

/// What a model may use. Of the sandbox's limits, the model's, the run's and the signed envelope of the bundle the
/// strictest counts, each number on its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Most bytes of linear memory that an instance may have: runtime, weights, inputs, outputs and everything between.
    /// `None`: what the envelope implies (see [`Report::memory_limit_bytes`](crate::Report::memory_limit_bytes)), at
    /// most 4 GiB.
    pub memory_bytes: Option<u64>,
    /// Longest that one run may take. `None`: what the envelope says.
    pub deadline: Option<Duration>,
    /// Longest that preparing a model in the sandbox may take, its self-test included. `None`:
    /// [`Limits::LOAD_DEADLINE`].
    pub load_deadline: Option<Duration>,
    /// Most bytes that the outputs of one run may have together. `None`: [`Limits::OUTPUT_BYTES`].
    pub output_bytes: Option<u64>,
}

impl Limits {
    /// Default of [`Limits::load_deadline`]: two minutes.
    pub const LOAD_DEADLINE: Duration = Duration::from_secs(120);
    /// Default of [`Limits::output_bytes`]: 256 MiB.
    pub const OUTPUT_BYTES: u64 = 256 << 20;
}

/// What is decided for one model.
#[derive(Clone)]
pub struct LoadOptions {
    /// Seconds since 1970, for keys and policies that expire. `None`: not known, and what expires is refused.
    pub now_unix_s: Option<u64>,
    /// Whether the golden cases are run at load, so that an engine that computes wrongly on this machine is found. What
    /// the engine made ready for the shapes of the cases is in the image then; without it, every fresh instance of a
    /// model with symbolic shapes does that work again in its run.
    pub self_test: bool,
    /// Limits of this model.
    pub limits: Limits,
    /// Whether the model's runs are recorded, for [`SandboxedModel::recorder`](crate::SandboxedModel::recorder).
    #[cfg(feature = "telemetry")]
    pub observe: bool,
    /// Asked every few milliseconds whether to go on, for example an `Arc<Cancel>`; on another thread, which waits for the answer.
    pub watch: Option<Arc<dyn Watch + Send + Sync>>,
}

impl Default for LoadOptions {
    /// The system's clock, the self-test on, no further limits.
    fn default() -> LoadOptions {
        let now_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        LoadOptions {
            now_unix_s,
            self_test: true,
            limits: Limits::default(),
            #[cfg(feature = "telemetry")]
            observe: false,
            watch: None,
        }
    }
}

/// What is decided for one run.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Longest that it may take.
    pub deadline: Option<Duration>,
    /// Most bytes that its outputs may have together.
    pub output_bytes: Option<u64>,
    /// Asked every few milliseconds whether to go on, for example an `Arc<Cancel>`; on another thread, which waits for the answer.
    pub watch: Option<Arc<dyn Watch + Send + Sync>>,
}
