//! Running files on a model.

use super::outcome::{FileOutcome, Outcome, Shape};
use crate::args::{InputFile, RunArgs};
use crate::content::{Case, Feed, Reading, answer};
use crate::error::Error;
use crate::input;
use crate::interrupt;
use crate::loaded::Loaded;
use crate::measure::{self, TOLERANCE};
use crate::printer::{Printer, Total};
use pannier::{Inputs, Outputs, State};
use pannier_bundle::manifest::Content;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Classes of an answer that are kept.
const TOP: usize = 5;

/// What is to be run.
pub struct Job<'a> {
    files: Files<'a>,
    carry_state: bool,
    threads: usize,
}

enum Files<'a> {
    /// Each file is a case or several.
    Each(Vec<&'a Path>),
    /// All together are one case.
    Named(Vec<(&'a str, &'a Path)>),
}

impl<'a> Job<'a> {
    /// What the command line asks for.
    ///
    /// # Errors
    /// [`Error::Usage`]: named and unnamed files are mixed, or two things are to come from stdin.
    pub fn new(args: &'a RunArgs) -> Result<Job<'a>, Error> {
        let stdins = args.inputs.iter().filter(|file| input::is_stdin(&file.path)).count();
        if stdins + usize::from(input::is_stdin(&args.bundle)) > 1 {
            return Err(Error::usage("only one file can come from stdin"));
        }
        let named: Vec<_> =
            args.inputs.iter().filter_map(|file| Some((file.name.as_deref()?, file.path.as_path()))).collect();
        let files = match named.len() {
            0 => Files::Each(args.inputs.iter().map(|file: &InputFile| file.path.as_path()).collect()),
            count if count == args.inputs.len() => Files::Named(named),
            _ => {
                return Err(Error::usage_with_hint(
                    "some files name their input and some do not",
                    "give INPUT=FILE for every input, or files alone; a path with an = in it is written ./a=b",
                ));
            }
        };
        Ok(Job { files, carry_state: args.carry_state, threads: usize::from(args.threads) })
    }

    /// Opens the files one after the other and gives each to `use_feed`, with its name.
    ///
    /// # Errors
    /// Those of the files and of `use_feed`.
    pub fn for_each(
        &self,
        model: &Loaded,
        mut use_feed: impl FnMut(&str, Feed) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.files {
            Files::Each(paths) => paths.iter().try_for_each(|path| use_feed(&shown(path), open(path, model)?)),
            Files::Named(files) => {
                let names: Vec<_> = files.iter().map(|(name, path)| format!("{name}={}", path.display())).collect();
                let feed = Feed::open_named(files, model.manifest()).map_err(Error::from)?;
                use_feed(&names.join(" "), feed)
            }
        }
    }

    /// Runs everything. The answers are in the order of the command line, however many threads there are.
    ///
    /// # Errors
    /// The first, in that order.
    pub fn run(&self, model: &Loaded, keep_outputs: bool, printer: &Printer) -> Result<Vec<FileOutcome>, Error> {
        match &self.files {
            Files::Each(paths) if paths.len() > 1 => {
                let progress = printer.progress("running", Total::Steps(paths.len() as u64));
                let done = |count: usize| progress.set(count as u64);
                parallel(paths.len(), self.threads, done, |index| {
                    let path = paths.get(index).copied().unwrap_or(Path::new(""));
                    self.run_feed(model, &shown(path), open(path, model)?, keep_outputs, 1, |_| ())
                })
            }
            _ => {
                let mut outcomes = Vec::new();
                self.for_each(model, |name, feed| {
                    let progress = printer.progress("running", Total::Steps(feed.len() as u64));
                    let done = |count: usize| progress.set(count as u64);
                    outcomes.push(self.run_feed(model, name, feed, keep_outputs, self.threads, done)?);
                    Ok(())
                })?;
                Ok(outcomes)
            }
        }
    }

    fn run_feed(
        &self,
        model: &Loaded,
        name: &str,
        mut feed: Feed,
        keep_outputs: bool,
        threads: usize,
        done: impl FnMut(usize),
    ) -> Result<FileOutcome, Error> {
        let in_file = |error: Error| error.in_file(name);
        let shape = match (feed.is_sequence(), feed.is_numbered()) {
            (true, _) => Shape::Sequence,
            (false, true) => Shape::Cases,
            (false, false) => Shape::One,
        };
        let first = feed.read(0).map_err(|error| in_file(error.into()))?;
        let has_own_state = model.manifest().inputs.iter().all(|port| {
            !matches!(port.content, Content::State { .. }) || first.inputs.iter().any(|(input, _)| *input == port.name)
        });
        let (count, scale) = (feed.len(), feed.scale());
        let starts: Vec<Option<f64>> = (0..count).map(|index| feed.start_s(index)).collect();
        let step = |case: Case, state: &mut State, index: usize| -> Result<Outcome, Error> {
            let mut outcome = run_case(model, case, state, self.carry_state && index > 0, scale, keep_outputs)?;
            outcome.start_s = starts.get(index).copied().flatten();
            Ok(outcome)
        };
        let mut done = done;
        let runs = if threads > 1 && !feed.is_sequence() && !self.carry_state && has_own_state {
            let feed = Mutex::new(feed);
            parallel(count, threads, &mut done, |index| {
                let case = feed.lock().unwrap_or_else(PoisonError::into_inner).read(index)?;
                step(case, &mut State::new(), index)
            })
        } else {
            let mut state = State::new();
            let run = |index: usize| {
                let case = if index == 0 { first.clone() } else { feed.read(index)? };
                let outcome = step(case, &mut state, index)?;
                done(index + 1);
                Ok(outcome)
            };
            (0..count).map(run).collect()
        };
        Ok(FileOutcome { file: name.to_owned(), shape, runs: runs.map_err(in_file)? })
    }
}

fn open(path: &Path, model: &Loaded) -> Result<Feed, Error> {
    Feed::open(path, model.manifest()).map_err(|error| Error::from(error).in_file(path))
}

fn shown(path: &Path) -> String {
    if input::is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// Runs one case and reads its answer.
fn run_case(
    model: &Loaded,
    case: Case,
    state: &mut State,
    drop_state: bool,
    scale: (f64, f64),
    keep_outputs: bool,
) -> Result<Outcome, Error> {
    let start = Instant::now();
    let outputs = step(model, &case, state, drop_state)?;
    let elapsed = start.elapsed();
    let reading = Reading { labels: model.labels(), top: TOP, scale };
    let mut outcome = Outcome { name: case.name.clone(), elapsed, label: case.label, ..Outcome::default() };
    for port in &model.manifest().outputs {
        let Some(tensor) = outputs.get(&port.name) else { continue };
        outcome.answers.extend(answer(port, tensor, &reading)?);
        if let Some((_, reference)) = case.outputs.iter().find(|(name, _)| *name == port.name) {
            let comparison = measure::compare(tensor, reference, TOLERANCE);
            outcome.differences.push((port.name.clone(), comparison));
        }
    }
    if keep_outputs {
        outcome.outputs = outputs.into_iter().collect();
    }
    Ok(outcome)
}

/// Runs a case with the state of its stream; `drop_state`: whatever state the case has of its own.
///
/// # Errors
/// Those of [`Loaded::step`].
pub fn step(model: &Loaded, case: &Case, state: &mut State, drop_state: bool) -> Result<Outputs, Error> {
    let is_state =
        |name: &str| model.manifest().input(name).is_some_and(|port| matches!(port.content, Content::State { .. }));
    let given = case.inputs.iter().filter(|(name, _)| !drop_state || !is_state(name));
    let inputs: Inputs<'_> = given.map(|(name, tensor)| (name.as_str(), tensor)).collect();
    model.step(state, inputs)
}

/// Does `count` pieces of work with some threads; results and errors are in order. `done` is told how many are done.
fn parallel<T: Send>(
    count: usize,
    threads: usize,
    mut done: impl FnMut(usize),
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let slots: Vec<Mutex<Option<Result<T, Error>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (sender, next, failed, slots, work) = (sender.clone(), &next, &failed, &slots, &work);
            scope.spawn(move || {
                while !failed.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = slots.get(index) else { break };
                    let result = interrupt::check().and_then(|()| work(index));
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    // Nobody listens any more only if the scope is being left.
                    let _ = sender.send(());
                }
            });
        }
        drop(sender);
        for (finished, ()) in receiver.iter().enumerate() {
            done(finished + 1);
        }
    });
    let results = slots.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    // A failure leaves later slots empty, never earlier ones.
    results.collect()
}
