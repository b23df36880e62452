//! A model that is ready to run, wherever it runs: in this process, or in a sandbox.
//!
//! Commands ask for no more than this, so none of them has a second way for the sandbox.

mod sandbox;

use crate::args::RunArgs;
use crate::error::Error;
use crate::input;
use crate::interrupt::OnCtrlC;
use crate::printer::Printer;
use pannier::{Inputs, Manifest, Options, Outputs, Session, State};
use pannier_telemetry::Recorder;
use pannier_wasmtime::{RunOptions, SandboxedModel};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A verified model that is ready to run. Threads may run it at the same time.
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
pub enum Loaded {
    /// In this process.
    Native {
        /// The model.
        session: Session,
        /// Whether its engine is in deterministic mode.
        deterministic: bool,
    },
    /// In a sandbox, where each run has a fresh instance.
    Sandboxed {
        /// The model.
        model: SandboxedModel,
        /// Whether sandbox and engine are in deterministic mode.
        deterministic: bool,
    },
}

/// What runs a model, as documents name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Name of the engine.
    pub engine: String,
    /// Where it runs: `native` or `wasmtime`.
    pub target: &'static str,
    /// Which build of the guest, in the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavour: Option<&'static str>,
    /// Whether it was asked to give the same bits on every machine.
    pub deterministic: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.engine)?;
        match (self.flavour, self.deterministic) {
            (Some(flavour), true) => write!(f, " in the sandbox ({flavour}, deterministic)"),
            (Some(flavour), false) => write!(f, " in the sandbox ({flavour})"),
            (None, true) => f.write_str(" (deterministic)"),
            (None, false) => Ok(()),
        }
    }
}

/// What runs a model, and what it took to get there.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What runs it.
    pub place: Place,
    /// The steps of loading in order, with the milliseconds that each took.
    pub load: Vec<(&'static str, f64)>,
    /// What it holds.
    pub memory: Memory,
}

/// What a model holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Memory {
    /// In this process.
    Native {
        /// Weights and the highest of intermediate results so far.
        peak_bytes: u64,
        /// The weights.
        weight_bytes: u64,
    },
    /// In the sandbox.
    Sandboxed {
        /// The memory image, which all instances share.
        image_bytes: u64,
        /// Memory of a fresh instance, image included.
        instance_bytes: u64,
        /// Most that an instance may have.
        memory_limit_bytes: u64,
        /// Whether the image came from the cache.
        from_cache: bool,
    },
}

impl Loaded {
    /// Verifies and loads the bundle that the command line names, where it says. Loading and runs stop on Ctrl-C. Runs are
    /// recorded if `observe` says so.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Usage`] if nothing says whom to trust; [`Error::Session`], [`Error::Sandbox`];
    /// [`Error::Interrupted`].
    pub fn open(args: &RunArgs, observe: bool, printer: &Printer) -> Result<Loaded, Error> {
        let (trust, place) = (input::required_trust(&args.trust)?, &args.place);
        if place.sandbox {
            let model = sandbox::load(args, trust, observe, printer)?;
            return Ok(Loaded::Sandboxed { model, deterministic: place.deterministic });
        }
        let defaults = if place.deterministic { Options::deterministic() } else { Options::default() };
        let options = Options {
            watch: Some(Arc::new(OnCtrlC)),
            memory_bytes: place.max_memory,
            deadline: place.timeout,
            observe,
            ..defaults
        };
        let session = Session::from_source(input::bundle_source(&args.bundle)?, &trust, &options);
        let session = session.map_err(|error| Error::from(error).in_file(&args.bundle))?;
        Ok(Loaded::Native { session, deterministic: place.deterministic })
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        match self {
            Loaded::Native { session, .. } => session.manifest(),
            Loaded::Sandboxed { model, .. } => model.manifest(),
        }
    }

    /// The lists of labels that the manifest's ports refer to.
    pub fn labels(&self) -> &[Vec<String>] {
        match self {
            Loaded::Native { session, .. } => session.labels(),
            Loaded::Sandboxed { model, .. } => model.labels(),
        }
    }

    /// Runs once with the state of a stream, and leaves the new state in it.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Sandbox`]: the inputs do not fit, a limit was exceeded, the run failed.
    pub fn step(&self, state: &mut State, inputs: Inputs<'_>) -> Result<Outputs, Error> {
        match self {
            Loaded::Native { session, .. } => Ok(session.step(state, inputs)?),
            Loaded::Sandboxed { model, .. } => {
                let options = RunOptions { watch: Some(Arc::new(OnCtrlC)), ..RunOptions::default() };
                Ok(model.step_with(state, inputs, &options)?)
            }
        }
    }

    /// What the runs were, if they are recorded.
    pub fn recorder(&self) -> Option<&Arc<Recorder>> {
        match self {
            Loaded::Native { session, .. } => session.recorder(),
            Loaded::Sandboxed { model, .. } => model.recorder(),
        }
    }

    /// Makes an instance that is ready to run, drops it, and says how long the making took. `None` where there are no
    /// instances.
    ///
    /// # Errors
    /// [`Error::Sandbox`].
    pub fn time_to_ready(&self) -> Result<Option<Duration>, Error> {
        let Loaded::Sandboxed { model, .. } = self else { return Ok(None) };
        let start = Instant::now();
        let instance = model.session()?;
        let elapsed = start.elapsed();
        drop(instance);
        Ok(Some(elapsed))
    }

    /// What runs the model, and what it took to get there.
    pub fn report(&self) -> Report {
        match self {
            Loaded::Native { session, deterministic } => native_report(session, *deterministic),
            Loaded::Sandboxed { model, deterministic } => sandbox::report(model, *deterministic),
        }
    }
}

fn native_report(session: &Session, deterministic: bool) -> Report {
    let report = session.report();
    let pannier::LoadTimes { verify_ms, read_ms, prepare_ms, self_test_ms } = report.load;
    Report {
        place: Place { engine: report.engine.to_owned(), target: "native", flavour: None, deterministic },
        load: vec![("verify", verify_ms), ("read", read_ms), ("prepare", prepare_ms), ("self_test", self_test_ms)],
        memory: Memory::Native {
            peak_bytes: report.memory.weight_bytes.saturating_add(report.memory.peak_bytes),
            weight_bytes: report.memory.weight_bytes,
        },
    }
}
