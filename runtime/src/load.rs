//! From a bundle's bytes to an engine: reading what is verified, choosing the engine, testing it.

use crate::error::{Error, LoadStep};
use crate::observe::wants_baseline;
use crate::options::{Options, stricter};
use crate::report::{LoadTimes, Rejected, Report};
use crate::wait::Wait;
use pannier_bundle::manifest::Port;
use pannier_bundle::{Bundle, Header, Manifest, Source, Trust, Verdict, Verified, decode_versioned};
use pannier_engine::golden::{Golden, SelfTest};
use pannier_engine::{Clock, Deadline, Engine, EngineError, Interrupt, MemoryUse, Prepared, Program, RunBudget, Watch};
use pannier_graph::{AlignedBytes, Graph, OPSET};
use std::sync::Arc;
use std::time::Duration;

/// Version of the `labels` section.
const LABELS_VERSION: u16 = 1;

/// Reads the sections of weights once more.
pub(crate) type Reread<'s> = Box<dyn Fn() -> Result<Vec<Arc<AlignedBytes>>, Error> + 's>;

/// What a bundle holds, once it is read.
pub(crate) struct Parts<'s> {
    pub(crate) program: Program,
    /// For an engine after one that was given the sections and failed; `None` where they can be had only once.
    pub(crate) reread: Option<Reread<'s>>,
    pub(crate) manifest: Manifest,
    pub(crate) labels: Vec<Vec<String>>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) golden: Option<Golden>,
    /// The section, where somebody compares with it.
    pub(crate) baseline: Option<Vec<u8>>,
    pub(crate) times: LoadTimes,
}

impl Parts<'_> {
    pub(crate) fn new(program: Program, manifest: Manifest) -> Self {
        let (labels, times) = (Vec::new(), LoadTimes::default());
        Parts { program, reread: None, manifest, labels, verdict: None, golden: None, baseline: None, times }
    }
}

/// The time that loading may take, from when this is made.
pub(crate) struct LoadLimit {
    duration: Duration,
    deadline: Deadline,
}

impl LoadLimit {
    /// `None` if the caller sets none.
    ///
    /// # Errors
    /// [`Error::NoClock`].
    pub(crate) fn start(options: &Options) -> Result<Option<LoadLimit>, Error> {
        let Some(duration) = options.load_deadline else { return Ok(None) };
        let clock = options.clock.ok_or_else(|| no_clock(duration))?;
        Ok(Some(LoadLimit { duration, deadline: Deadline::after(duration, clock) }))
    }

    fn passed(&self, step: LoadStep) -> Error {
        Error::LoadDeadline { step, deadline_ms: whole_ms(self.duration) }
    }
}

/// Whether there is time for another step.
pub(crate) fn check(limit: Option<&LoadLimit>, step: LoadStep) -> Result<(), Error> {
    match limit {
        Some(limit) => limit.deadline.check().map_err(|_| limit.passed(step)),
        None => Ok(()),
    }
}

/// Reads and verifies everything that running needs. Weights are decoded straight into their final place.
pub(crate) fn read<'s, S: Source + 's>(
    source: S,
    trust: &Trust,
    limit: Option<&LoadLimit>,
    options: &Options,
) -> Result<Parts<'s>, Error> {
    options.begin(LoadStep::Read);
    let start = Stopwatch::start(options.clock);
    let verified = Bundle::open(source, &options.limits)?.verify(trust, options.now_unix_s)?;
    let verify_ms = start.elapsed_ms();
    check(limit, LoadStep::Read)?;

    let start = Stopwatch::start(options.clock);
    let sizes = weight_section_sizes(verified.header());
    let graph = decode_graph(&verified.read("graph")?, &sizes, verified.manifest(), options)?;
    // The weights last: what was needed for a moment by then is free again.
    let golden = if options.self_test { optional(&verified, "golden")? } else { None };
    let golden = golden.map(|bytes| Golden::decode(&bytes)).transpose()?;
    let labels = optional(&verified, "labels")?;
    let labels = labels.map(|bytes| decode_labels(&bytes)).transpose()?.unwrap_or_default();
    let baseline = if wants_baseline(options) { optional(&verified, "baseline")? } else { None };
    let sections = read_sections(&verified, &sizes, || check(limit, LoadStep::Read))?;
    Ok(Parts {
        program: Program { graph: Arc::new(graph), sections },
        manifest: verified.manifest().clone(),
        labels,
        verdict: Some(verified.verdict().clone()),
        golden,
        baseline,
        times: LoadTimes { verify_ms, read_ms: start.elapsed_ms(), ..LoadTimes::default() },
        reread: Some(Box::new(move || read_sections(&verified, &sizes, || Ok(())))),
    })
}

/// The sections of weights. `next` is asked before each whether to go on.
fn read_sections<S: Source>(
    verified: &Verified<S>,
    sizes: &[u64],
    next: impl Fn() -> Result<(), Error>,
) -> Result<Vec<Arc<AlignedBytes>>, Error> {
    let section = |(index, size): (usize, &u64)| {
        next()?;
        let mut section = AlignedBytes::zeroed(usize::try_from(*size).unwrap_or(usize::MAX));
        verified.read_into(&format!("weights/{index}"), section.as_bytes_mut())?;
        Ok(Arc::new(section))
    };
    sizes.iter().enumerate().map(section).collect()
}

/// The graph, once it is clear that the weights that it wants are there and that there may be memory for them.
pub(crate) fn decode_graph(
    bytes: &[u8],
    weight_sizes: &[u64],
    manifest: &Manifest,
    options: &Options,
) -> Result<Graph, Error> {
    let graph = Graph::decode(bytes, &options.graph_limits)?;
    graph.check_sections(weight_sizes)?;
    let budget = stricter(options.memory_bytes, stated(manifest.envelope.peak_memory_bytes));
    beside_weights(budget, weight_sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)))?;
    Ok(graph)
}

/// Refuses a graph that is not the manifest's or that no engine supports, before anything is read that only a run needs.
pub(crate) fn check_support(graph: &Graph, manifest: &Manifest, options: &Options) -> Result<(), Error> {
    check_interface(graph, manifest)?;
    let mut rejected = Vec::new();
    for engine in &options.engines {
        let Err(nodes) = engine.supports(graph) else { return Ok(()) };
        let error = EngineError::Unsupported { engine: engine.name(), nodes };
        rejected.push(Rejected { engine: engine.name(), error });
    }
    Err(Error::NoEngine { rejected })
}

/// The lists of labels.
pub(crate) fn decode_labels(bytes: &[u8]) -> Result<Vec<Vec<String>>, Error> {
    decode_versioned(bytes, LABELS_VERSION)
        .map_err(|why| Error::Bundle(pannier_bundle::Error::Decode { what: "labels".into(), why }))
}

/// The engine that was taken.
pub(crate) struct Chosen {
    pub(crate) prepared: Box<dyn Prepared>,
    pub(crate) report: Report,
}

/// Takes the first engine that supports the graph and passes the golden cases.
pub(crate) async fn choose<W: Wait>(
    parts: &mut Parts<'_>,
    memory_bytes: Option<u64>,
    limit: Option<&LoadLimit>,
    options: &Options,
) -> Result<Chosen, Error> {
    check_interface(&parts.program.graph, &parts.manifest)?;
    let mut rejected = Vec::new();
    let start = Stopwatch::start(options.clock);
    let mut engines = options.engines.iter().peekable();
    while let Some(engine) = engines.next() {
        check(limit, LoadStep::Prepare)?;
        let graph = &parts.program.graph;
        if let Err(nodes) = engine.supports(graph) {
            let error = EngineError::Unsupported { engine: engine.name(), nodes };
            rejected.push(Rejected { engine: engine.name(), error });
            continue;
        }
        // An engine that can have the sections for itself needs less memory. Where they cannot be read once more, they
        // are kept for the engines that follow.
        let mut program = Program { graph: graph.clone(), sections: Vec::new() };
        if engines.peek().is_none() || parts.reread.is_some() {
            std::mem::swap(&mut program, &mut parts.program);
        } else {
            program = parts.program.clone();
        }
        match tested::<W>(&**engine, program, parts, memory_bytes, limit, options).await {
            Ok(Tested { prepared, self_test, self_test_ms }) => {
                let prepare_ms = start.elapsed_ms() - self_test_ms;
                let load = LoadTimes { prepare_ms, self_test_ms, ..parts.times };
                let memory = MemoryUse::default();
                let report = Report { engine: engine.name(), rejected, self_test, load, memory };
                return Ok(Chosen { prepared, report });
            }
            // Not the engine's fault: another one would not be wanted either.
            Err((step, EngineError::Interrupted { node, why })) => {
                // The caller's own watch may have spoken of a deadline, too.
                check(limit.filter(|_| why == Interrupt::Deadline), step)?;
                return Err(Error::Engine(EngineError::Interrupted { node, why }));
            }
            Err((_, error)) => rejected.push(Rejected { engine: engine.name(), error }),
        }
        if let (Some(reread), Some(_)) = (&parts.reread, engines.peek()) {
            check(limit, LoadStep::Prepare)?;
            parts.program.sections = reread()?;
        }
    }
    Err(Error::NoEngine { rejected })
}

/// An engine that may be taken.
struct Tested {
    prepared: Box<dyn Prepared>,
    self_test: Option<SelfTest>,
    self_test_ms: f64,
}

/// Prepares one engine and runs the golden cases, if there are any.
async fn tested<W: Wait>(
    engine: &dyn Engine,
    program: Program,
    parts: &Parts<'_>,
    memory_bytes: Option<u64>,
    limit: Option<&LoadLimit>,
    options: &Options,
) -> Result<Tested, (LoadStep, EngineError)> {
    let telling = Telling(options);
    let watches = [
        limit.map(|limit| &limit.deadline as &dyn Watch),
        options.watch.as_deref().map(|watch| watch as &dyn Watch),
        Some(&telling),
    ];
    let preparing = |error| (LoadStep::Prepare, error);
    let budget = RunBudget { memory_bytes, watch: Some(&watches) };
    options.begin(LoadStep::Prepare);
    let prepared = W::prepare(engine, program, budget).await.map_err(preparing)?;
    let memory_bytes = beside_weights(memory_bytes, prepared.memory().weight_bytes).map_err(preparing)?;
    if parts.golden.is_some() {
        options.begin(LoadStep::SelfTest);
    }
    let start = Stopwatch::start(options.clock);
    let budget = RunBudget { memory_bytes, ..budget };
    let self_test = match &parts.golden {
        Some(golden) => Some(W::check(&*prepared, &parts.program.graph, golden, budget).await),
        None => None,
    };
    let self_test = self_test.transpose().map_err(|error| (LoadStep::SelfTest, error))?;
    Ok(Tested { prepared, self_test, self_test_ms: start.elapsed_ms() })
}

/// Tells of what an engine compiles.
struct Telling<'a>(&'a Options);

impl Watch for Telling<'_> {
    fn check(&self) -> Result<(), Interrupt> {
        Ok(())
    }

    fn compiled(&self, done: usize, total: usize) {
        self.0.begin(LoadStep::Compile { done, total });
    }
}

/// A number of the envelope; 0 there says nothing.
pub(crate) fn stated(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// What of a memory budget is left for everything but weights.
pub(crate) fn beside_weights(budget_bytes: Option<u64>, weight_bytes: u64) -> Result<Option<u64>, EngineError> {
    let Some(budget_bytes) = budget_bytes else { return Ok(None) };
    match budget_bytes.checked_sub(weight_bytes) {
        Some(left) => Ok(Some(left)),
        None => Err(EngineError::MemoryBudget { node: "weights".into(), needed_bytes: weight_bytes, budget_bytes }),
    }
}

/// Sizes of `weights/0`, `weights/1`, ... in memory.
pub(crate) fn weight_section_sizes(header: &Header) -> Vec<u64> {
    (0..).map_while(|index| Some(header.section(&format!("weights/{index}"))?.content_bytes)).collect()
}

fn optional<S: Source>(verified: &Verified<S>, name: &str) -> Result<Option<Vec<u8>>, Error> {
    verified.section(name).is_some().then(|| verified.read(name)).transpose().map_err(Error::Bundle)
}

/// The manifest is what people and programs read, the graph is what runs: they must speak of the same thing.
fn check_interface(graph: &Graph, manifest: &Manifest) -> Result<(), Error> {
    let differ = |port: String, expected: String, found: String| Err(Error::Interface { port, expected, found });
    if manifest.opset != OPSET {
        let error = pannier_bundle::Error::Version { what: "the operator set", found: manifest.opset, known: OPSET };
        return Err(Error::Bundle(error));
    }
    let (inputs, outputs) = (&graph.body.inputs, &graph.body.outputs);
    if inputs.len() != manifest.inputs.len() || outputs.len() != manifest.outputs.len() {
        let count = |inputs: usize, outputs: usize| format!("{inputs} and {outputs}");
        let found = count(manifest.inputs.len(), manifest.outputs.len());
        return differ("number of inputs and outputs".into(), count(inputs.len(), outputs.len()), found);
    }
    for (index, (input, port)) in inputs.iter().zip(&manifest.inputs).enumerate() {
        let name = graph.value_name(input.value);
        let same = name == port.name && input.dtype == Some(port.dtype) && input.shape.as_ref() == Some(&port.shape);
        if !same {
            let expected = format!("`{name}` {:?} {:?}", input.dtype, input.shape);
            return differ(format!("input {index}"), expected, describe(port));
        }
    }
    for (index, (value, port)) in outputs.iter().zip(&manifest.outputs).enumerate() {
        let name = graph.value_name(*value);
        if name != port.name {
            return differ(format!("output {index}"), format!("`{name}`"), describe(port));
        }
    }
    Ok(())
}

/// The error for a deadline that nobody can keep.
pub(crate) fn no_clock(deadline: Duration) -> Error {
    Error::NoClock { deadline_ms: whole_ms(deadline) }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn describe(port: &Port) -> String {
    format!("`{}` {:?} {:?}", port.name, port.dtype, port.shape)
}

/// Measures with the caller's clock, if there is one.
pub(crate) struct Stopwatch(Option<(Clock, Duration)>);

impl Stopwatch {
    pub(crate) fn start(clock: Option<Clock>) -> Stopwatch {
        Stopwatch(clock.map(|clock| (clock, clock())))
    }

    pub(crate) fn elapsed_ms(&self) -> f64 {
        self.elapsed().map_or(0.0, |elapsed| elapsed.as_secs_f64() * 1e3)
    }

    pub(crate) fn elapsed(&self) -> Option<Duration> {
        self.0.map(|(clock, start)| clock().saturating_sub(start))
    }
}
