//! Loading a bundle whose bytes arrive piece by piece.

use crate::error::Error;
use crate::load::{self, LoadLimit, Parts, Stopwatch};
use crate::observe::wants_baseline;
use crate::options::Options;
use crate::report::LoadTimes;
use crate::session::Session;
use crate::wait::{Async, Blocking, Wait, now};
use crate::{LoadStep, Trust};
use pannier_bundle::{Event, Manifest, Opened, Section, Stream};
use pannier_engine::golden::Golden;
use pannier_engine::{EngineError, Program};
use pannier_graph::{AlignedBytes, Graph};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Loads a bundle whose bytes arrive piece by piece, such as a download: each chunk is verified when its last byte has
/// arrived, and weights are decoded straight into their final place.
///
/// ```
/// use pannier::{Error, Loader, Options, Session, Trust};
///
/// fn load(download: impl Iterator<Item = Vec<u8>>, trust: Trust) -> Result<Session, Error> {
///     let mut loader = Loader::new(trust, Options::default())?;
///     for piece in download {
///         loader.push(&piece)?;
///     }
///     loader.finish()
/// }
/// ```
pub struct Loader {
    stream: Stream<AlignedBytes>,
    options: Options,
    /// Begins when the loader is made: waiting for bytes counts.
    limit: Option<LoadLimit>,
    opened: Option<Box<Opened>>,
    graph: Option<Graph>,
    golden: Option<Golden>,
    baseline: Option<Vec<u8>>,
    labels: Vec<Vec<String>>,
    weights: Vec<Arc<AlignedBytes>>,
    times: LoadTimes,
    /// Size of the section that there was no memory for.
    refused_bytes: Arc<AtomicU64>,
    failed: Option<Error>,
}

impl Loader {
    /// A loader that nothing has arrived of.
    ///
    /// # Errors
    /// [`Error::NoClock`].
    pub fn new(trust: Trust, options: Options) -> Result<Loader, Error> {
        let limit = LoadLimit::start(&options)?;
        let refused_bytes = Arc::new(AtomicU64::new(0));
        let allocate = allocator(options.memory_bytes, Arc::clone(&refused_bytes));
        let stream = Stream::with_buffers(options.limits.clone(), trust, options.now_unix_s, allocate);
        options.begin(LoadStep::Read);
        Ok(Loader {
            stream,
            options,
            limit,
            opened: None,
            graph: None,
            golden: None,
            baseline: None,
            labels: Vec::new(),
            weights: Vec::new(),
            times: LoadTimes::default(),
            refused_bytes,
            failed: None,
        })
    }

    /// Takes the next bytes of the file, as many as there are.
    ///
    /// # Errors
    /// Those of [`Session::open`] that are about reading a bundle, and [`Error::NoEngine`] as soon as the graph has arrived, if no
    /// engine supports it: long before the weights have. A loader that failed stays failed with the same error. Never panics.
    pub fn push(&mut self, arrived: &[u8]) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let start = Stopwatch::start(self.options.clock);
        let is_verifying = self.opened.is_none();
        let taken = self.take(arrived);
        match is_verifying {
            true => self.times.verify_ms += start.elapsed_ms(),
            false => self.times.read_ms += start.elapsed_ms(),
        }
        self.failed = taken.as_ref().err().cloned();
        taken
    }

    /// Prepares what has arrived: all of the bundle must be there.
    ///
    /// # Errors
    /// Those of [`Session::open`]. Never panics.
    pub fn finish(self) -> Result<Session, Error> {
        now(self.load::<Blocking>())
    }

    /// [`finish`](Loader::finish) for a caller that must not block, such as a page of a browser: waits for engines that compute
    /// elsewhere while it is polled.
    ///
    /// # Errors
    /// Those of [`Loader::finish`]. Never panics.
    pub async fn finish_async(self) -> Result<Session, Error> {
        self.load::<Async>().await
    }

    async fn load<W: Wait>(self) -> Result<Session, Error> {
        let Loader { stream, options, limit, opened, graph, golden, baseline, labels, weights, times, failed, .. } =
            self;
        if let Some(error) = failed {
            return Err(error);
        }
        stream.finish()?;
        let missing = || pannier_bundle::Error::NoSection { name: "graph".into() };
        let (opened, graph) = opened.zip(graph).ok_or_else(missing)?;
        let program = Program { graph: Arc::new(graph), sections: weights };
        let Opened { manifest, verdict, .. } = *opened;
        let parts = Parts { program, reread: None, manifest, labels, verdict: Some(verdict), golden, baseline, times };
        Session::from_parts::<W>(parts, limit.as_ref(), &options).await
    }

    /// What the bundle says of itself, as soon as it is trusted.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.opened.as_ref().map(|opened| &opened.manifest)
    }

    /// SHA-256 of everything before the body, which names the whole file, signatures included; known as soon as the bundle
    /// is trusted.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.opened.as_ref().map(|opened| opened.sha256)
    }

    /// Whether the graph has arrived, and an engine supports it: [`push`](Loader::push) will not refuse it any more.
    pub fn is_supported(&self) -> bool {
        self.graph.is_some()
    }

    /// Bytes that arrived so far.
    pub fn position_bytes(&self) -> u64 {
        self.stream.position_bytes()
    }

    /// Size of the whole file in bytes, once its first 24 have arrived.
    pub fn file_bytes(&self) -> Option<u64> {
        self.stream.file_bytes()
    }

    fn take(&mut self, arrived: &[u8]) -> Result<(), Error> {
        load::check(self.limit.as_ref(), LoadStep::Read)?;
        let events = self.stream.push(arrived).map_err(|error| self.explain(error))?;
        events.into_iter().try_for_each(|event| self.keep(event))
    }

    fn keep(&mut self, event: Event<AlignedBytes>) -> Result<(), Error> {
        match event {
            Event::Opened(opened) => self.opened = Some(opened),
            Event::Section { name, content } => match (name.as_str(), &self.opened) {
                ("graph", Some(opened)) => {
                    let sizes = load::weight_section_sizes(&opened.header);
                    let graph = load::decode_graph(&content, &sizes, &opened.manifest, &self.options)?;
                    load::check_support(&graph, &opened.manifest, &self.options)?;
                    self.graph = Some(graph);
                }
                ("golden", _) if self.options.self_test => self.golden = Some(Golden::decode(&content)?),
                ("baseline", _) if wants_baseline(&self.options) => self.baseline = Some(content.to_vec()),
                ("labels", _) => self.labels = load::decode_labels(&content)?,
                // They come in the order of their numbers.
                (name, _) if name.starts_with("weights/") => self.weights.push(Arc::new(content)),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// A section without memory is reported by the stream as one of the wrong size.
    fn explain(&self, error: pannier_bundle::Error) -> Error {
        match self.refused_bytes.load(Relaxed) {
            0 => Error::Bundle(error),
            needed_bytes => {
                let most = u64::try_from(isize::MAX).unwrap_or(u64::MAX);
                let budget_bytes = self.options.memory_bytes.unwrap_or(most);
                Error::Engine(EngineError::MemoryBudget { node: "weights".into(), needed_bytes, budget_bytes })
            }
        }
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.manifest().map_or("", |manifest| &manifest.name);
        write!(f, "Loader({name} at byte {})", self.position_bytes())
    }
}

/// Memory for a section, within what the caller allows. The manifest's own limit is looked at when the graph is there.
fn allocator(memory_bytes: Option<u64>, refused_bytes: Arc<AtomicU64>) -> impl FnMut(&Section) -> AlignedBytes {
    move |section| {
        let allowed = memory_bytes.is_none_or(|budget| section.content_bytes <= budget);
        let size = usize::try_from(section.content_bytes).ok().filter(|_| allowed);
        size.and_then(AlignedBytes::try_zeroed).unwrap_or_else(|| {
            refused_bytes.store(section.content_bytes, Relaxed);
            AlignedBytes::zeroed(0)
        })
    }
}
