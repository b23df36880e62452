//! A model that is loaded and ready to run.

use crate::error::Error;
use crate::inputs::{Inputs, Outputs};
use crate::load::{self, LoadLimit, Parts, Stopwatch};
use crate::observe::Observer;
use crate::options::{Options, RunOptions, stricter};
use crate::report::Report;
use crate::state::{self, State};
use crate::wait::{Async, Blocking, Wait, now};
use pannier_bundle::{Manifest, Source, Trust, Verdict};
use pannier_engine::{Clock, Deadline, EngineError, Prepared, Program, RunBudget, Tensor, TensorView, Watch};
use std::sync::Arc;
use std::time::Duration;

/// A verified model on an engine. `Send + Sync`: threads may run it at the same time, and a run changes nothing in it.
pub struct Session {
    manifest: Manifest,
    labels: Vec<Vec<String>>,
    verdict: Option<Verdict>,
    prepared: Box<dyn Prepared>,
    report: Report,
    /// Most bytes that the session with one run may hold.
    memory_bytes: Option<u64>,
    deadline: Option<Duration>,
    clock: Option<Clock>,
    watch: Option<Arc<dyn Watch + Send + Sync>>,
    observer: Observer,
}

impl Session {
    /// Opens, verifies and loads a bundle file.
    ///
    /// # Errors
    /// [`Error::Bundle`]: it cannot be read, is damaged or is not trusted; [`Error::Graph`], [`Error::Golden`],
    /// [`Error::Interface`]: what it holds is not valid; [`Error::NoEngine`]: no engine runs it;
    /// [`Error::Engine`]: its weights exceed the memory budget, or loading was cancelled; [`Error::LoadDeadline`];
    /// [`Error::NoClock`].
    pub fn open(path: impl AsRef<std::path::Path>, trust: &Trust, options: &Options) -> Result<Session, Error> {
        Session::from_source(pannier_bundle::FileSource::open(path)?, trust, options)
    }

    /// Verifies and loads a bundle that is in memory.
    ///
    /// # Errors
    /// Those of [`Session::open`].
    pub fn from_bytes(bytes: impl Into<Vec<u8>>, trust: &Trust, options: &Options) -> Result<Session, Error> {
        Session::from_source(bytes.into(), trust, options)
    }

    /// Verifies and loads a bundle from wherever its bytes are.
    ///
    /// # Errors
    /// Those of [`Session::open`].
    pub fn from_source<S: Source>(source: S, trust: &Trust, options: &Options) -> Result<Session, Error> {
        let limit = LoadLimit::start(options)?;
        let parts = load::read(source, trust, limit.as_ref(), options)?;
        now(Session::from_parts::<Blocking>(parts, limit.as_ref(), options))
    }

    /// Prepares a program that does not come from a bundle. There is nothing to verify it by and no golden case.
    ///
    /// # Errors
    /// Those of [`Session::open`] that are not about bundles.
    pub fn from_program(program: Program, manifest: Manifest, options: &Options) -> Result<Session, Error> {
        let limit = LoadLimit::start(options)?;
        now(Session::from_parts::<Blocking>(Parts::new(program, manifest), limit.as_ref(), options))
    }

    pub(crate) async fn from_parts<W: Wait>(
        mut parts: Parts<'_>,
        limit: Option<&LoadLimit>,
        options: &Options,
    ) -> Result<Session, Error> {
        let memory_bytes = stricter(options.memory_bytes, load::stated(parts.manifest.envelope.peak_memory_bytes));
        let stated = load::stated(u64::from(parts.manifest.envelope.deadline_ms)).map(Duration::from_millis);
        let deadline = stricter(options.deadline, stated);
        if let (Some(deadline), None) = (deadline, options.clock) {
            return Err(load::no_clock(deadline));
        }
        let chosen = load::choose::<W>(&mut parts, memory_bytes, limit, options).await?;
        // The engine has what it needs of the program: dropping it here is what keeps weights from being held twice.
        let Parts { manifest, labels, verdict, baseline, .. } = parts;
        let observer = Observer::new(&manifest, &labels, baseline.as_deref(), &chosen.report, options)?;
        Ok(Session {
            manifest,
            labels,
            verdict,
            prepared: chosen.prepared,
            report: chosen.report,
            memory_bytes,
            deadline,
            clock: options.clock,
            watch: options.watch.clone(),
            observer,
        })
    }

    /// Runs once.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session: pannier::Session = todo!();
    /// use pannier::{Tensor, inputs};
    /// let outputs = session.run(inputs! { "x" => Tensor::from_slice([1, 2], &[1.0f32, 2.0])? })?;
    /// let scores = outputs.get("scores").and_then(|tensor| tensor.as_slice::<f32>());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownInput`], [`Error::MissingInput`], [`Error::DuplicateInput`]; [`Error::Engine`]: an input's type
    /// or shape does not fit, the memory budget or the deadline was exceeded, an operator failed. Never panics.
    pub fn run<'i>(&self, inputs: impl AsRef<Inputs<'i>>) -> Result<Outputs, Error> {
        self.run_with(inputs, &RunOptions::default())
    }

    /// Runs once within limits of its own.
    ///
    /// # Errors
    /// Those of [`Session::run`]; [`Error::NoClock`].
    pub fn run_with<'i>(&self, inputs: impl AsRef<Inputs<'i>>, options: &RunOptions<'_>) -> Result<Outputs, Error> {
        now(self.observed(self.run_named::<Blocking>(inputs.as_ref(), options)))
    }

    /// [`run_with`](Session::run_with) for a caller that must not block, such as a page of a browser: waits for an engine that
    /// computes elsewhere while it is polled. An engine of this processor's computes at the first poll.
    ///
    /// # Errors
    /// Those of [`Session::run_with`].
    pub async fn run_async<'i>(
        &self,
        inputs: impl AsRef<Inputs<'i>>,
        options: &RunOptions<'_>,
    ) -> Result<Outputs, Error> {
        self.observed(self.run_named::<Async>(inputs.as_ref(), options)).await
    }

    /// Runs once with the state of a stream, and leaves the new state in it. Inputs that the manifest feeds from an
    /// output need not be given; if one is, it replaces the state's.
    ///
    /// After an error the state is what it was before.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn step<'i>(&self, state: &mut State, inputs: impl AsRef<Inputs<'i>>) -> Result<Outputs, Error> {
        self.step_with(state, inputs, &RunOptions::default())
    }

    /// Like [`Session::step`], within limits of its own.
    ///
    /// # Errors
    /// Those of [`Session::run_with`].
    pub fn step_with<'i>(
        &self,
        state: &mut State,
        inputs: impl AsRef<Inputs<'i>>,
        options: &RunOptions<'_>,
    ) -> Result<Outputs, Error> {
        now(self.observed(self.step_named::<Blocking>(state, inputs.as_ref(), options)))
    }

    /// [`step_with`](Session::step_with) for a caller that must not block, as [`run_async`](Session::run_async).
    ///
    /// # Errors
    /// Those of [`Session::run_with`].
    pub async fn step_async<'i>(
        &self,
        state: &mut State,
        inputs: impl AsRef<Inputs<'i>>,
        options: &RunOptions<'_>,
    ) -> Result<Outputs, Error> {
        self.observed(self.step_named::<Async>(state, inputs.as_ref(), options)).await
    }

    /// What the session did so far, for those who send it somewhere. `None` unless [`Options::observe`] asked for it.
    #[cfg(feature = "telemetry")]
    pub fn recorder(&self) -> Option<&Arc<pannier_telemetry::Recorder>> {
        self.observer.recorder()
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The lists of labels that the manifest's ports refer to.
    pub fn labels(&self) -> &[Vec<String>] {
        &self.labels
    }

    /// Who signed the bundle, and who of them is trusted. `None` for a program that is from no bundle.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Which engine runs the model and why, and what it takes.
    pub fn report(&self) -> Report {
        Report { memory: self.prepared.memory(), ..self.report.clone() }
    }

    /// Tells the observer of a run that fails, wherever it does.
    async fn observed(&self, run: impl Future<Output = Result<Outputs, Error>>) -> Result<Outputs, Error> {
        let start = Stopwatch::start(self.observer.clock());
        let outputs = run.await;
        self.observer.outcome(&start, outputs)
    }

    async fn run_named<W: Wait>(&self, inputs: &Inputs<'_>, options: &RunOptions<'_>) -> Result<Outputs, Error> {
        let inputs = self.arrange(inputs)?;
        let views = self
            .manifest
            .inputs
            .iter()
            .zip(inputs)
            .map(|(port, view)| view.ok_or_else(|| Error::MissingInput { name: port.name.clone() }));
        self.run_in_order::<W>(&views.collect::<Result<Vec<_>, _>>()?, options).await
    }

    async fn step_named<W: Wait>(
        &self,
        state: &mut State,
        inputs: &Inputs<'_>,
        options: &RunOptions<'_>,
    ) -> Result<Outputs, Error> {
        let given = self.arrange(inputs)?;
        let ports = &self.manifest.inputs;
        let symbols = state::bound(ports.iter().zip(&given).filter_map(|(port, view)| Some((port, (*view)?))));
        for (port, view) in ports.iter().zip(&given) {
            if view.is_none() && state::fed_by(port).is_some() && state.get(&port.name).is_none() {
                let zeros = state::zeros(port, &symbols).map_err(|why| invalid_input(&port.name, &why))?;
                state.set(&port.name, zeros);
            }
        }
        let views = ports.iter().zip(given).map(|(port, view)| {
            let carried = || state::fed_by(port).and_then(|_| state.get(&port.name)).map(Tensor::view);
            view.or_else(carried).ok_or_else(|| Error::MissingInput { name: port.name.clone() })
        });
        let outputs = self.run_in_order::<W>(&views.collect::<Result<Vec<_>, _>>()?, options).await?;
        for port in ports {
            if let Some(next) = state::fed_by(port).and_then(|output| outputs.get(output)) {
                state.set(&port.name, next.clone());
            }
        }
        Ok(outputs)
    }

    /// The given inputs in the model's order, `None` where one is not given.
    fn arrange<'v>(&self, inputs: &'v Inputs<'_>) -> Result<Vec<Option<TensorView<'v>>>, Error> {
        let ports = &self.manifest.inputs;
        let mut views = vec![None; ports.len()];
        for (name, view) in inputs.iter() {
            let slot = ports.iter().position(|port| port.name == name).and_then(|index| views.get_mut(index));
            let slot = slot.ok_or_else(|| Error::UnknownInput {
                name: name.to_string(),
                known: ports.iter().map(|port| port.name.clone()).collect(),
            })?;
            if slot.replace(view).is_some() {
                return Err(Error::DuplicateInput { name: name.to_string() });
            }
        }
        Ok(views)
    }

    async fn run_in_order<W: Wait>(
        &self,
        views: &[TensorView<'_>],
        options: &RunOptions<'_>,
    ) -> Result<Outputs, Error> {
        let deadline = stricter(self.deadline, options.deadline);
        let deadline = match (deadline, self.clock) {
            (Some(duration), Some(clock)) => Some(Deadline::after(duration, clock)),
            (Some(duration), None) => return Err(load::no_clock(duration)),
            (None, _) => None,
        };
        let watches = [
            deadline.as_ref().map(|deadline| deadline as &dyn Watch),
            self.watch.as_deref().map(|watch| watch as &dyn Watch),
            options.watch,
        ];
        let budget = RunBudget {
            memory_bytes: load::beside_weights(
                stricter(self.memory_bytes, options.memory_bytes),
                self.prepared.memory().weight_bytes,
            )?,
            watch: Some(&watches),
        };
        let start = Stopwatch::start(self.observer.clock());
        let outputs = W::run(&*self.prepared, views, budget).await?;
        self.observer.succeeded(&start, views, &outputs, &*self.prepared);
        let names = self.manifest.outputs.iter().map(|port| port.name.clone());
        Ok(names.zip(outputs).collect())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} {} on {})", self.manifest.name, self.manifest.version, self.report.engine)
    }
}

fn invalid_input(name: &str, why: &pannier_engine::TensorError) -> Error {
    let (expected, found) = ("a tensor that fits this machine".into(), why.to_string());
    Error::Engine(EngineError::InvalidInput { name: name.to_string(), expected, found })
}
