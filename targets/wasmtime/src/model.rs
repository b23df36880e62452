//! A loaded model: fresh instances, one run each.

use crate::clock::Watch;
use crate::config::RunOptions;
use crate::error::Error;
use crate::instance::Instance;
use crate::limits::{Effective, strictest};
use crate::outputs::{arrange, complete, fed_by, give, take};
use crate::report::Report;
use crate::sandbox::Sandbox;
use crate::session::SandboxedSession;
use pannier::{Inputs, Manifest, Outputs, State, Tensor, TensorView, Verdict};
use pannier_wasm_module::MemoryImage;
use std::sync::Arc;
use wasmtime::Module;

/// A bundle that was verified, loaded, tested and turned into a memory image. `Send + Sync`; cloning is cheap and gives
/// the same model. It holds no instance: those are made from the image when they are needed.
#[derive(Clone)]
pub struct SandboxedModel {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) sandbox: Sandbox,
    /// The guest's memory with the model in it.
    pub(crate) memory: Module,
    pub(crate) manifest: Manifest,
    pub(crate) labels: Vec<Vec<String>>,
    pub(crate) verdict: Verdict,
    pub(crate) limits: Effective,
    pub(crate) report: Report,
    #[cfg(feature = "telemetry")]
    pub(crate) recorder: Option<Arc<pannier::telemetry::Recorder>>,
}

impl SandboxedModel {
    /// Runs once, in an instance of its own that is gone afterwards.
    ///
    /// # Errors
    /// [`Error::Input`], [`Error::Model`]: the inputs do not fit, or the run failed; [`Error::Memory`],
    /// [`Error::Deadline`], [`Error::Cancelled`], [`Error::Output`]: it exceeded a limit; [`Error::Busy`];
    /// [`Error::Trap`], [`Error::Guest`]. Never panics.
    pub fn run<'i>(&self, inputs: impl AsRef<Inputs<'i>>) -> Result<Outputs, Error> {
        self.run_with(inputs, &RunOptions::default())
    }

    /// Runs once within limits of its own.
    ///
    /// # Errors
    /// Those of [`SandboxedModel::run`].
    pub fn run_with<'i>(&self, inputs: impl AsRef<Inputs<'i>>, options: &RunOptions) -> Result<Outputs, Error> {
        let views = arrange(&self.inner.manifest.inputs, inputs.as_ref())?;
        complete(&self.inner.manifest.inputs, &views, false)?;
        let watch = self.watch(options);
        self.execute(&mut self.instance()?, &views, Instance::run, watch, options)
    }

    /// Runs once with the state of a stream, which the caller keeps, and leaves the new state in it. The instance is
    /// gone afterwards. Inputs that the manifest feeds from an output need not be given; if one is, it replaces the
    /// state's.
    ///
    /// After an error the state is what it was before.
    ///
    /// # Errors
    /// Those of [`SandboxedModel::run`].
    pub fn step<'i>(&self, state: &mut State, inputs: impl AsRef<Inputs<'i>>) -> Result<Outputs, Error> {
        self.step_with(state, inputs, &RunOptions::default())
    }

    /// Like [`SandboxedModel::step`], within limits of its own.
    ///
    /// # Errors
    /// Those of [`SandboxedModel::run`].
    pub fn step_with<'i>(
        &self,
        state: &mut State,
        inputs: impl AsRef<Inputs<'i>>,
        options: &RunOptions,
    ) -> Result<Outputs, Error> {
        let ports = &self.inner.manifest.inputs;
        let mut views = arrange(ports, inputs.as_ref())?;
        complete(ports, &views, true)?;
        for (port, view) in ports.iter().zip(&mut views) {
            if view.is_none() {
                // A state that is empty yet is left to the guest, which knows what shape its zeros have.
                *view = fed_by(port).and_then(|_| state.get(&port.name)).map(Tensor::view);
            }
        }
        let watch = self.watch(options);
        let outputs = self.execute(&mut self.instance()?, &views, Instance::step, watch, options)?;
        drop(views);
        for port in ports {
            if let Some(next) = fed_by(port).and_then(|output| outputs.get(output)) {
                state.set(&port.name, next.clone());
            }
        }
        Ok(outputs)
    }

    /// An instance that is kept from run to run, with the state of one stream in it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Setup`].
    pub fn session(&self) -> Result<SandboxedSession, Error> {
        Ok(SandboxedSession::new(self.clone(), self.instance()?))
    }

    /// The memory of the guest with the model in it, for a module that needs no loading any more.
    ///
    /// # Errors
    /// Those of [`SandboxedModel::session`].
    pub fn memory_image(&self) -> Result<MemoryImage, Error> {
        Ok(MemoryImage::of(self.instance()?.memory()))
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// The lists of labels that the manifest's ports refer to.
    pub fn labels(&self) -> &[Vec<String>] {
        &self.inner.labels
    }

    /// Who signed the bundle, and who of them is trusted.
    pub fn verdict(&self) -> &Verdict {
        &self.inner.verdict
    }

    /// What runs the model, and what loading it took.
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// What the model did so far in all its instances, for those who send it somewhere. `None` unless
    /// [`LoadOptions::observe`](crate::LoadOptions::observe) asked for it.
    #[cfg(feature = "telemetry")]
    pub fn recorder(&self) -> Option<&Arc<pannier::telemetry::Recorder>> {
        self.inner.recorder.as_ref()
    }

    /// A fresh instance with the model in it.
    pub(crate) fn instance(&self) -> Result<Instance, Error> {
        self.inner.sandbox.inner.instance(&self.inner.memory, self.inner.limits.memory_bytes)
    }

    /// What a run is asked at every tick, from now on.
    pub(crate) fn watch(&self, options: &RunOptions) -> Watch {
        Watch::start(strictest([self.inner.limits.deadline, options.deadline]), options.watch.clone())
    }

    /// Gives the inputs, runs and takes the outputs; and records that, on this side of the wall.
    pub(crate) fn execute(
        &self,
        instance: &mut Instance,
        views: &[Option<TensorView<'_>>],
        run: fn(&mut Instance) -> Result<(), Error>,
        watch: Watch,
        options: &RunOptions,
    ) -> Result<Outputs, Error> {
        #[cfg(feature = "telemetry")]
        let start = std::time::Instant::now();
        let outputs = self.execute_unobserved(instance, views, run, watch, options);
        #[cfg(feature = "telemetry")]
        if let Some(recorder) = &self.inner.recorder {
            crate::observe::record(recorder, start.elapsed(), instance.memory().len(), views, &outputs);
        }
        outputs
    }

    fn execute_unobserved(
        &self,
        instance: &mut Instance,
        views: &[Option<TensorView<'_>>],
        run: fn(&mut Instance) -> Result<(), Error>,
        watch: Watch,
        options: &RunOptions,
    ) -> Result<Outputs, Error> {
        let inner = &*self.inner;
        let _running = instance.begin(&inner.sandbox.inner.ticker, watch)?;
        give(instance, &inner.manifest.inputs, views)?;
        run(instance)?;
        let limit_bytes =
            options.output_bytes.map_or(inner.limits.output_bytes, |stated| stated.min(inner.limits.output_bytes));
        take(instance, &inner.manifest.outputs, limit_bytes)
    }
}

impl std::fmt::Debug for SandboxedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { manifest, report, .. } = &*self.inner;
        write!(f, "SandboxedModel({} {} on {})", manifest.name, manifest.version, report.engine)
    }
}
