//! The recorder of one session: told of each run, asked once a window.

use crate::baseline::{Baseline, Role};
use crate::ports::{self, Answer};
use crate::sketch::Sketch;
use crate::snapshot::{AnswersSnapshot, RunsSnapshot, Snapshot, TensorSnapshot};
use crate::tensor::{Histogram, Observed};
use pannier_bundle::{Code, Manifest};
use pannier_engine::TensorView;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Share of the time that runs take which may be spent on looking at tensors.
const SHARE: f64 = 0.01;
/// What looking at one element is taken to cost, in nanoseconds. `cargo bench -p pannier-telemetry` measures what it does: 6 to 10. It is
/// more behind a real run, which leaves other things in the caches: with 10, ocr-cls (0.27 ms, AMD EPYC) took 8 us a run longer.
const ELEMENT_NS: f64 = 25.0;
/// What it takes to record a run that is not looked at: paid from the same purse.
const RUN_NS: f64 = 100.0;
/// Without a clock one run of so many is looked at.
const BLIND_STEP: u64 = 64;

/// What is known of a session when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Name of the engine that runs the model.
    pub engine: String,
    /// Where it runs: `native`, `wasmtime` or `browser`.
    pub target: &'static str,
    /// How long loading took.
    pub load: Option<Duration>,
}

/// One run.
#[derive(Clone, Copy, Default)]
pub struct Run<'a> {
    /// How long it took. `None`: there is no clock.
    pub duration: Option<Duration>,
    /// How long it waited for its turn, where somebody measures that.
    pub queue: Option<Duration>,
    /// Tells the most memory of the session so far, in bytes. It is asked where the run is looked at.
    pub peak_memory_bytes: Option<&'a dyn Fn() -> u64>,
}

/// Adds up what a session does. Threads may share it; recording a run allocates nothing after the first one, and takes at
/// most 1 % of the time that runs take.
///
/// Each run is counted. Values are looked at where that is paid for: 1 % of the duration of each run is saved up, and when it
/// is enough for a look at [`crate::sample::ELEMENTS`] elements of every tensor, the run is looked at. So long runs are all
/// looked at, and of short ones every n-th.
#[derive(Debug)]
pub struct Recorder {
    about: About,
    identity: Identity,
    labels: Vec<Vec<String>>,
    state: Mutex<State>,
}

/// Which model it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the model.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the bundle's content.
    pub bundle_id: [u8; 32],
}

#[derive(Debug)]
struct State {
    /// Successful runs first, then failed ones by their codes.
    runs: Vec<(Option<Code>, Sketch)>,
    queue: Sketch,
    peak_memory_bytes: Option<u64>,
    installed_unix_s: Option<u64>,
    tensors: Vec<Observed>,
    /// Time that may be spent on looking, in nanoseconds.
    savings_ns: f64,
    seen: u64,
    looks: u64,
}

impl Recorder {
    /// A recorder for a model.
    pub fn new(manifest: &Manifest, labels: &[Vec<String>], baseline: Option<&Baseline>, about: About) -> Recorder {
        let tensors = ports::watched(&manifest.inputs, &manifest.outputs).map(|watched| {
            let baseline = baseline.and_then(|baseline| baseline.tensor(watched.role, watched.port));
            Observed::new(watched, baseline)
        });
        Recorder {
            about,
            identity: Identity {
                name: manifest.name.clone(),
                version: manifest.version.clone(),
                bundle_id: manifest.bundle_id,
            },
            labels: labels.to_vec(),
            state: Mutex::new(State {
                runs: vec![(None, Sketch::new())],
                queue: Sketch::new(),
                peak_memory_bytes: None,
                installed_unix_s: None,
                tensors: tensors.collect(),
                savings_ns: f64::MAX,
                seen: 0,
                looks: 0,
            }),
        }
    }

    /// Says when the bundle came to this machine, in seconds since 1970: bundles themselves have no time stamp.
    pub fn installed_at(&self, unix_s: u64) {
        self.lock().installed_unix_s = Some(unix_s);
    }

    /// A run that gave answers. Inputs and outputs are in the manifest's order.
    pub fn succeeded<'t>(
        &self,
        run: &Run<'_>,
        inputs: impl Iterator<Item = TensorView<'t>> + Clone,
        outputs: impl Iterator<Item = TensorView<'t>> + Clone,
    ) {
        let mut state = self.lock();
        state.count(run, None);
        state.look(run, inputs, outputs);
    }

    /// A run that failed.
    pub fn failed(&self, run: &Run<'_>, code: Code) {
        self.lock().count(run, Some(code));
    }

    /// Everything since the session began, and what the window that ends now looked like. The next window begins.
    pub fn close_window(&self) -> Snapshot {
        let mut state = self.lock();
        let tensors = state.tensors.iter_mut().map(|tensor| self.tensor_snapshot(tensor)).collect();
        let runs = state.runs.iter().filter(|(_, durations)| durations.count() > 0);
        Snapshot {
            identity: self.identity.clone(),
            about: self.about.clone(),
            runs: runs.map(|(error, durations)| RunsSnapshot { error: *error, durations: durations.clone() }).collect(),
            queue: Some(&state.queue).filter(|queue| queue.count() > 0).cloned(),
            peak_memory_bytes: state.peak_memory_bytes,
            installed_unix_s: state.installed_unix_s,
            tensors,
        }
    }

    fn tensor_snapshot(&self, tensor: &mut Observed) -> TensorSnapshot {
        let window = tensor.close_window();
        let labels = match tensor.watched.answer {
            Answer::Classes { labels, .. } => self.labels.get(labels).map(Vec::as_slice).unwrap_or_default(),
            _ => &[],
        };
        let name = |class: usize| labels.get(class).cloned().unwrap_or_else(|| class.to_string());
        let of_classes =
            |classes: &[(usize, u64)]| classes.iter().map(|(class, count)| (name(*class), *count)).collect();
        TensorSnapshot {
            name: tensor.watched.name.clone(),
            role: tensor.watched.role,
            values: tensor.values.clone(),
            baseline: tensor.baseline.as_ref().map(Histogram::of_baseline),
            invalid: tensor.invalid,
            answers: tensor.answers.as_ref().map(|answers| AnswersSnapshot {
                classes: of_classes(&answers.classes),
                other: answers.other,
                confidence: answers.confidence.clone(),
            }),
            window,
        }
    }

    /// A thread that panicked while it recorded may have left a count too few, and nothing worse.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, run: &Run<'_>, error: Option<Code>) {
        let place = self.runs.iter().position(|(known, _)| *known == error).unwrap_or_else(|| {
            self.runs.push((error, Sketch::new()));
            self.runs.len() - 1
        });
        if let Some((_, durations)) = self.runs.get_mut(place) {
            durations.record(run.duration.unwrap_or_default().as_secs_f64());
        }
        if let Some(queue) = run.queue {
            self.queue.record(queue.as_secs_f64());
        }
        self.seen += 1;
    }

    /// Looks at the tensors of a run, if that is paid for.
    fn look<'t>(
        &mut self,
        run: &Run<'_>,
        inputs: impl Iterator<Item = TensorView<'t>> + Clone,
        outputs: impl Iterator<Item = TensorView<'t>> + Clone,
    ) {
        let find = |role: Role, port: usize| match role {
            Role::Input | Role::InputDifferences => inputs.clone().nth(port),
            Role::Output => outputs.clone().nth(port),
        };
        match run.duration {
            Some(duration) => {
                let elements: usize = self
                    .tensors
                    .iter()
                    .filter_map(|tensor| Some(tensor.cost(find(tensor.watched.role, tensor.watched.port)?)))
                    .sum();
                let price_ns = elements as f64 * ELEMENT_NS;
                self.savings_ns += duration.as_nanos() as f64 * SHARE - RUN_NS;
                // At most two looks are saved up, and at most one is owed by runs too short to pay for being counted.
                self.savings_ns = self.savings_ns.clamp(-price_ns, 2.0 * price_ns);
                if self.savings_ns < price_ns {
                    return;
                }
                self.savings_ns -= price_ns;
            }
            None if !(self.seen - 1).is_multiple_of(BLIND_STEP) => return,
            None => {}
        }
        self.peak_memory_bytes = self.peak_memory_bytes.max(run.peak_memory_bytes.map(|peak| peak()));
        for tensor in &mut self.tensors {
            if let Some(view) = find(tensor.watched.role, tensor.watched.port) {
                tensor.look(view, self.looks);
            }
        }
        self.looks += 1;
    }
}

#[cfg(test)]
pub(crate) mod tests;
