//! An instance that is kept.

use crate::config::RunOptions;
use crate::error::Error;
use crate::instance::Instance;
use crate::model::SandboxedModel;
use crate::outputs::{arrange, complete};
use pannier::{Inputs, Outputs, TensorView};

/// An instance of a model that is kept from run to run: no start to pay for, and the state of one stream stays inside.
///
/// What one run leaves in the instance the next one can see: give every tenant a session of its own, or use
/// [`SandboxedModel::run`]. After an error that stops the guest in the middle of a call ([`Error::Trap`],
/// [`Error::Deadline`], [`Error::Cancelled`], [`Error::Memory`], [`Error::Guest`]) the instance is gone, and every call
/// is [`Error::SessionLost`] until [`SandboxedSession::reset`].
pub struct SandboxedSession {
    model: SandboxedModel,
    instance: Option<Instance>,
}

impl SandboxedSession {
    pub(crate) fn new(model: SandboxedModel, instance: Instance) -> SandboxedSession {
        SandboxedSession { model, instance: Some(instance) }
    }

    /// Runs once. State inputs are given like all others.
    ///
    /// # Errors
    /// Those of [`SandboxedModel::run`], and [`Error::SessionLost`].
    pub fn run<'i>(&mut self, inputs: impl AsRef<Inputs<'i>>) -> Result<Outputs, Error> {
        self.run_with(inputs, &RunOptions::default())
    }

    /// Runs once within limits of its own.
    ///
    /// # Errors
    /// Those of [`SandboxedSession::run`].
    pub fn run_with<'i>(&mut self, inputs: impl AsRef<Inputs<'i>>, options: &RunOptions) -> Result<Outputs, Error> {
        let views = arrange(&self.model.inner.manifest.inputs, inputs.as_ref())?;
        complete(&self.model.inner.manifest.inputs, &views, false)?;
        execute(&self.model, &mut self.instance, &views, Instance::run, options)
    }

    /// Runs once with the state that the run before left. State inputs need not be given; if one is, it replaces what
    /// is there. After [`Error::Input`], [`Error::Model`] and [`Error::Output`] the state is that of the last answer of
    /// the model.
    ///
    /// # Errors
    /// Those of [`SandboxedSession::run`].
    pub fn step<'i>(&mut self, inputs: impl AsRef<Inputs<'i>>) -> Result<Outputs, Error> {
        self.step_with(inputs, &RunOptions::default())
    }

    /// Like [`SandboxedSession::step`], within limits of its own.
    ///
    /// # Errors
    /// Those of [`SandboxedSession::run`].
    pub fn step_with<'i>(&mut self, inputs: impl AsRef<Inputs<'i>>, options: &RunOptions) -> Result<Outputs, Error> {
        let views = arrange(&self.model.inner.manifest.inputs, inputs.as_ref())?;
        complete(&self.model.inner.manifest.inputs, &views, true)?;
        execute(&self.model, &mut self.instance, &views, Instance::step, options)
    }

    /// Forgets everything that was run, as for a new stream: takes a fresh instance.
    ///
    /// # Errors
    /// Those of [`SandboxedModel::session`].
    pub fn reset(&mut self) -> Result<(), Error> {
        // The old one goes first, so that there is room for the new one.
        self.instance = None;
        self.instance = Some(self.model.instance()?);
        Ok(())
    }

    /// Size of the instance's linear memory in bytes: what is counted against [`Limits::memory_bytes`]. It never shrinks.
    /// 0 after the instance was lost.
    ///
    /// [`Limits::memory_bytes`]: crate::Limits::memory_bytes
    pub fn memory_bytes(&self) -> u64 {
        let bytes = self.instance.as_ref().map_or(0, |instance| instance.memory().len());
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The model that it is of.
    pub fn model(&self) -> &SandboxedModel {
        &self.model
    }
}

impl std::fmt::Debug for SandboxedSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SandboxedSession({:?})", self.model)
    }
}

fn execute(
    model: &SandboxedModel,
    slot: &mut Option<Instance>,
    views: &[Option<TensorView<'_>>],
    run: fn(&mut Instance) -> Result<(), Error>,
    options: &RunOptions,
) -> Result<Outputs, Error> {
    // Taken out, and put back only if it can be used again.
    let mut instance = slot.take().ok_or(Error::SessionLost)?;
    let result = model.execute(&mut instance, views, run, model.watch(options), options);
    let usable = matches!(result, Ok(_) | Err(Error::Input(_) | Error::Model { .. } | Error::Output { .. }));
    if usable {
        *slot = Some(instance);
    }
    result
}
