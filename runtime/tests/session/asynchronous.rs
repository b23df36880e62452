//! Engines that answer later: the same choice, the same self-test and the same runs for a caller that must not block.

use super::{FREE, Offset, bundle, floats, golden, options, running_sum, twice};
use pannier::{
    Cancel, Code, Engine, EngineError, Error, Executor, Inputs, LoadStep, Loader, MemoryUse, Options, Outputs, Program,
    RunOptions, Session, State, Tensor, TensorView, Trust, inputs,
};
use pannier_engine::{Answer, Prepared, RunBudget, Unsupported};
use pannier_graph::Graph;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// How often an engine is polled in vain before it answers.
const WAITS: usize = 3;

/// An engine for tests: answers what another one answers, but later, and never to a caller that blocks.
struct Later {
    engine: Arc<dyn Engine>,
    device: Arc<Device>,
}

/// What the engine runs on.
#[derive(Default)]
struct Device {
    is_lost: AtomicBool,
    has_compiled: AtomicBool,
}

struct LaterPrepared(Box<dyn Prepared>, Arc<Device>);

impl Engine for Later {
    fn name(&self) -> &'static str {
        "later"
    }

    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>> {
        self.engine.supports(graph)
    }

    fn prepare(&self, _: &Program, _: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        Err(failed("it cannot block"))
    }

    fn prepare_async<'a>(&'a self, program: Program, budget: RunBudget<'a>) -> Answer<'a, Box<dyn Prepared>> {
        Box::pin(async move {
            later().await;
            let prepared = self.engine.prepare_owned(program, &budget)?;
            Ok(Box::new(LaterPrepared(prepared, self.device.clone())) as Box<dyn Prepared>)
        })
    }
}

impl Prepared for LaterPrepared {
    fn run(&self, _: &[TensorView<'_>], _: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        Err(failed("it cannot block"))
    }

    fn run_async<'a>(&'a self, inputs: &'a [TensorView<'a>], budget: RunBudget<'a>) -> Answer<'a, Vec<Tensor>> {
        Box::pin(async move {
            later().await;
            if self.1.is_lost.load(Relaxed) {
                return Err(failed("the device was lost"));
            }
            // As an engine does that compiles what it meets for the first time.
            if let (Some(watch), false) = (budget.watch, self.1.has_compiled.swap(true, Relaxed)) {
                watch.compiled(1, 2);
                watch.compiled(2, 2);
            }
            self.0.run(inputs, &budget)
        })
    }

    fn memory(&self) -> MemoryUse {
        self.0.memory()
    }
}

fn failed(reason: &str) -> EngineError {
    EngineError::Failed { node: String::new(), reason: reason.into() }
}

/// Is done when it was polled once more than [`WAITS`] times.
async fn later() {
    let mut polls = 0;
    std::future::poll_fn(|_| {
        polls += 1;
        if polls > WAITS { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Polls until there is an answer, and tells how often that was in vain.
fn wait<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    for waits in 0..1000 {
        if let Poll::Ready(answer) = poll(future.as_mut()) {
            return (answer, waits);
        }
    }
    panic!("it never answers");
}

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// An engine that answers later, and its device.
fn lasting(engine: impl Engine + 'static) -> (Arc<dyn Engine>, Arc<Device>) {
    let device = Arc::new(Device::default());
    (Arc::new(Later { engine: Arc::new(engine), device: device.clone() }), device)
}

fn load(bytes: &[u8], options: Options) -> (Result<Session, Error>, usize) {
    let mut loader = Loader::new(Trust::AllowUnsigned, options).unwrap();
    loader.push(bytes).unwrap();
    wait(loader.finish_async())
}

async fn run(session: &Session, x: &[f32]) -> Result<Outputs, Error> {
    session.run_async(inputs! { "x" => floats(x) }, &RunOptions::default()).await
}

#[test]
fn an_engine_that_answers_later_is_chosen_tested_and_run() {
    let bytes = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    let (engine, _) = lasting(Executor::new());
    let (session, waits) = load(&bytes, options(vec![engine]));
    let session = session.unwrap();
    assert_eq!(waits, 2 * WAITS, "for preparing, and for the golden case");
    let report = session.report();
    assert_eq!((report.engine, report.rejected.len()), ("later", 0));
    assert_eq!(report.self_test.map(|test| test.cases), Some(1));
    let (outputs, waits) = wait(run(&session, &[1.5, -2.0]));
    assert_eq!((outputs.unwrap().get("y"), waits), (Some(&floats(&[3.0, -4.0])), WAITS));
}

#[test]
fn what_the_first_run_compiles_is_told_while_the_session_is_opened() {
    let steps: Arc<Mutex<Vec<LoadStep>>> = Arc::default();
    let told = Arc::clone(&steps);
    let on_step = Some(Arc::new(move |step| told.lock().unwrap().push(step)) as _);
    let (engine, _) = lasting(Executor::new());
    let bytes = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    load(&bytes, Options { on_step, watch: Some(Arc::new(Cancel::new())), ..options(vec![engine]) }).0.unwrap();
    let compile = |done| LoadStep::Compile { done, total: 2 };
    let expected = [LoadStep::Read, LoadStep::Prepare, LoadStep::SelfTest, compile(1), compile(2)];
    assert_eq!(*steps.lock().unwrap(), expected);
}

#[test]
fn runs_that_wait_at_the_same_time_do_not_disturb_each_other() {
    let (engine, _) = lasting(Executor::new());
    let session = load(&bundle(twice(FREE), None), options(vec![engine])).0.unwrap();
    let (mut first, mut second) = (pin!(run(&session, &[1.0])), pin!(run(&session, &[2.0, 3.0])));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    assert_eq!(wait(second).0.unwrap().get("y"), Some(&floats(&[4.0, 6.0])));
    assert_eq!(wait(first).0.unwrap().get("y"), Some(&floats(&[2.0])));
}

#[test]
fn engines_that_do_not_wait_answer_at_the_first_poll() {
    let (session, waits) = load(&bundle(twice(FREE), Some(golden(&[1.0], &[2.0]))), Options::default());
    let session = session.unwrap();
    assert_eq!((session.report().engine, waits), ("executor", 0));
    let (outputs, waits) = wait(run(&session, &[2.0]));
    assert_eq!((outputs.unwrap().get("y"), waits), (Some(&floats(&[4.0])), 0));
}

#[test]
fn a_later_answer_that_is_wrong_is_found_like_any_other() {
    let bytes = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    let (lies, _) = lasting(Offset { name: "lies", added: 1.0 });
    let session = load(&bytes, options(vec![lies.clone(), Arc::new(Executor::new())])).0.unwrap();
    let report = session.report();
    assert_eq!(report.engine, "executor");
    let rejected: Vec<_> = report.rejected.iter().map(|it| (it.engine, it.error.code())).collect();
    assert_eq!(rejected, [("later", Code::Accuracy)]);
    assert_eq!(wait(run(&session, &[2.0])).0.unwrap().get("y"), Some(&floats(&[4.0])));

    let alone = load(&bytes, options(vec![lies])).0.unwrap_err();
    assert_eq!(alone.code(), Code::Accuracy, "{alone}");
}

#[test]
fn a_device_that_is_lost_is_an_error_of_the_engine_wherever_it_happens() {
    let bytes = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    let (engine, device) = lasting(Executor::new());
    let session = load(&bytes, options(vec![engine.clone()])).0.unwrap();
    let mut running = pin!(run(&session, &[1.0]));
    assert!(poll(running.as_mut()).is_pending());
    device.is_lost.store(true, Relaxed);
    assert_eq!(wait(running).0, Err(Error::Engine(failed("the device was lost"))));

    let session = load(&bytes, options(vec![engine, Arc::new(Executor::new())])).0.unwrap();
    let report = session.report();
    assert_eq!(report.engine, "executor", "found by the self-test");
    assert_eq!(report.rejected[0].error, failed("the device was lost"));
}

#[test]
fn a_caller_that_blocks_is_served_by_the_engines_that_can() {
    let bytes = bundle(twice(FREE), None);
    let (engine, _) = lasting(Executor::new());
    let mut loader =
        Loader::new(Trust::AllowUnsigned, options(vec![engine.clone(), Arc::new(Executor::new())])).unwrap();
    loader.push(&bytes).unwrap();
    let session = loader.finish().unwrap();
    assert_eq!(session.report().rejected[0].error, failed("it cannot block"));
    assert!(session.run(inputs! { "x" => floats(&[1.0]) }).is_ok());

    let session = load(&bytes, options(vec![engine])).0.unwrap();
    assert_eq!(session.run(inputs! { "x" => floats(&[1.0]) }), Err(Error::Engine(failed("it cannot block"))));
}

#[test]
fn a_stream_keeps_its_state_until_its_step_is_done() {
    let (program, manifest) = running_sum();
    let (engine, device) = lasting(Executor::new());
    let session = load(&bundle((program, manifest), None), options(vec![engine])).0.unwrap();
    let mut state = State::new();
    let given = RunOptions::default();
    let x = |values: &[f32]| inputs! { "x" => floats(values) };
    let step = |state: &mut State, x: Inputs<'_>| {
        wait(session.step_async(state, x, &given)).0.map(|outputs| outputs.get("next").cloned())
    };
    assert_eq!(step(&mut state, x(&[1.0])), Ok(Some(floats(&[1.0]))));
    let before = state.clone();
    // Given up half way.
    assert!(poll(pin!(session.step_async(&mut state, x(&[10.0]), &given))).is_pending());
    assert_eq!(state, before);
    device.is_lost.store(true, Relaxed);
    assert!(step(&mut state, x(&[10.0])).is_err());
    assert_eq!(state, before);
    device.is_lost.store(false, Relaxed);
    assert_eq!(step(&mut state, x(&[10.0])), Ok(Some(floats(&[11.0]))));
}

#[test]
fn a_watch_reaches_an_engine_that_answers_later() {
    let (engine, _) = lasting(Executor::new());
    let bytes = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    let pressed = Arc::new(Cancel::new());
    pressed.cancel();
    let code = |error: Error| error.code();
    let cancelled =
        Options { watch: Some(pressed.clone()), ..options(vec![engine.clone(), Arc::new(Executor::new())]) };
    assert_eq!(load(&bytes, cancelled).0.err().map(code), Some(Code::Interrupted));

    let session = load(&bytes, options(vec![engine])).0.unwrap();
    let options = RunOptions { watch: Some(&*pressed), ..RunOptions::default() };
    let outcome = wait(session.run_async(inputs! { "x" => floats(&[1.0]) }, &options)).0;
    assert_eq!(outcome.err().map(code), Some(Code::Interrupted));
    assert!(wait(run(&session, &[1.0])).0.is_ok());
}
