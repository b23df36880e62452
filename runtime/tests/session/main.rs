//! Sessions: what is verified, which engine is taken and why, what a run may use, how state is carried.

mod asynchronous;
mod deadline;
mod liar;
mod loader;

use pannier::manifest::{Content, Envelope, Manifest, Port, Reproducibility, Source};
use pannier::{
    Cancel, Code, DType, Dim, Engine, EngineError, Error, Inputs, MemoryUse, Options, Program, RunOptions, Session,
    State, Tensor, TensorView, TractEngine, Trust, inputs,
};
use pannier_bundle::encode_versioned;
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_engine::golden::{Case, Golden, Reference, Stored, Tolerance};
use pannier_engine::{Prepared, ProgramBuilder, RunBudget, Unsupported};
use pannier_graph::Graph;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

fn port(name: &str, shape: &[Dim], content: Content) -> Port {
    Port { name: name.into(), dtype: DType::F32, shape: shape.to_vec(), description: String::new(), content }
}

fn manifest(inputs: Vec<Port>, outputs: Vec<Port>, envelope: Envelope) -> Manifest {
    Manifest {
        name: "test".into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: "test".into(),
        bundle_id: [0; 32],
        opset: pannier_graph::OPSET,
        inputs,
        outputs,
        envelope,
        reproducibility: Reproducibility::Tolerance,
        target_hints: vec![],
        quantization: vec![],
        source: Source { format: "test".into(), sha256: [0; 32], opset: 25, options: vec![] },
    }
}

const FREE: Envelope = Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 };

fn envelope(peak_memory_bytes: u64, deadline_ms: u32) -> Envelope {
    Envelope { peak_memory_bytes, deadline_ms, ..FREE }
}

/// `y = x * 2`, where 2 is a weight.
fn twice(envelope: Envelope) -> (Program, Manifest) {
    let n = || vec![Dim::Symbol("n".into())];
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &n());
    let two = builder.weight("two", &Tensor::scalar(2f32));
    let y = builder.node("Mul", &[x, two]);
    builder.output("y", y);
    let ports = |name: &str| vec![port(name, &n(), Content::Tensor)];
    (builder.build(), manifest(ports("x"), ports("y"), envelope))
}

/// `sum' = sum + x`, of as many numbers as `x` has, where `sum` is state.
fn running_sum() -> (Program, Manifest) {
    let n = || vec![Dim::Symbol("n".into())];
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &n());
    let sum = builder.input("sum", DType::F32, &n());
    let next = builder.node("Add", &[sum, x]);
    builder.output("next", next);
    let manifest = manifest(
        vec![port("x", &n(), Content::Tensor), port("sum", &n(), Content::State { output: "next".into() })],
        vec![port("next", &n(), Content::NextState)],
        FREE,
    );
    (builder.build(), manifest)
}

fn floats(values: &[f32]) -> Tensor {
    Tensor::from_slice([values.len()], values).unwrap()
}

fn golden(input: &[f32], answer: &[f32]) -> Golden {
    let case = Case {
        name: "000".into(),
        inputs: vec![Stored::new(floats(input).view())],
        outputs: vec![Reference::sample(floats(answer).view(), 100)],
    };
    Golden { tolerance: Tolerance { absolute: 1e-3, relative: 0.0, norm: 0.0 }, cases: vec![case] }
}

/// An unsigned bundle.
fn bundle((program, mut manifest): (Program, Manifest), golden: Option<Golden>) -> Vec<u8> {
    let section = |name: &str, bytes: Vec<u8>| SectionContent {
        name: name.into(),
        bytes: bytes.into(),
        element_bytes: 1,
        cuts: vec![],
        critical: true,
    };
    let mut sections = vec![section("graph", program.graph.encode().unwrap())];
    sections.extend(golden.map(|golden| section("golden", golden.encode())));
    sections.push(section("labels", encode_versioned(1, &vec![vec!["cat".to_string(), "dog".to_string()]])));
    for (index, weights) in program.sections.iter().enumerate() {
        sections.push(section(&format!("weights/{index}"), weights.as_bytes().to_vec()));
    }
    manifest.bundle_id = content_id(&sections).unwrap();
    sections.push(section("manifest", encode_versioned(Manifest::VERSION, &manifest)));
    let sealed = seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(())).unwrap();
    sealed.assemble(&[]).unwrap()
}

/// An engine for tests: runs with tract and adds something to every number.
struct Offset {
    name: &'static str,
    added: f32,
}

struct OffsetPrepared(Box<dyn Prepared>, f32);

impl Engine for Offset {
    fn name(&self) -> &'static str {
        self.name
    }

    fn supports(&self, _: &Graph) -> Result<(), Vec<Unsupported>> {
        Ok(())
    }

    fn prepare(&self, program: &Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        Ok(Box::new(OffsetPrepared(TractEngine::new().prepare(program, budget)?, self.added)))
    }
}

impl Prepared for OffsetPrepared {
    fn run(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        let mut outputs = self.0.run(inputs, budget)?;
        for value in outputs.iter_mut().filter_map(|tensor| tensor.as_slice_mut::<f32>()).flatten() {
            *value += self.1;
        }
        Ok(outputs)
    }

    fn memory(&self) -> MemoryUse {
        self.0.memory()
    }
}

/// An engine that has no operator at all.
struct Empty;

impl Engine for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }

    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>> {
        let lacks = |node: &pannier_graph::Node| Unsupported {
            op: node.op.clone(),
            node: node.name.clone(),
            reason: "operator".into(),
        };
        Err(graph.body.nodes.iter().map(lacks).collect())
    }

    fn prepare(&self, program: &Program, _: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        let nodes = self.supports(&program.graph).err().unwrap_or_default();
        Err(EngineError::Unsupported { engine: "empty", nodes })
    }
}

fn options(engines: Vec<Arc<dyn Engine>>) -> Options {
    Options { engines, ..Options::default() }
}

fn open(bytes: Vec<u8>, options: &Options) -> Result<Session, Error> {
    Session::from_bytes(bytes, &Trust::AllowUnsigned, options)
}

#[test]
fn a_session_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Session>();
    let session = open(bundle(twice(FREE), None), &Options::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let session = &session;
            scope.spawn(move || {
                for n in 1..20 {
                    let x = floats(&vec![thread as f32; n]);
                    let outputs = session.run(inputs! { "x" => &x }).unwrap();
                    assert_eq!(outputs.get("y"), Some(&floats(&vec![2.0 * thread as f32; n])));
                }
            });
        }
    });
}

#[test]
fn a_bundle_is_verified_tested_and_run() {
    let session = open(bundle(twice(FREE), Some(golden(&[1.0, -3.0], &[2.0, -6.0]))), &Options::default()).unwrap();
    let mut outputs = session.run(inputs! { "x" => floats(&[0.5]) }).unwrap();
    assert_eq!(outputs.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["y"]);
    assert_eq!(outputs.take("y"), Some(floats(&[1.0])));
    assert_eq!((outputs.take("y"), outputs.is_empty()), (None, true));
    assert_eq!(session.manifest().name, "test");
    assert_eq!(session.labels(), [["cat", "dog"]]);
    assert_eq!(session.verdict().map(|verdict| verdict.is_trusted()), Some(false));
    let report = session.report();
    assert_eq!((report.engine, report.rejected.len()), ("executor", 0));
    assert_eq!(report.self_test.map(|test| (test.cases, test.elements)), Some((1, 2)));
    assert!(report.load.total_ms() > 0.0 && report.memory.peak_bytes > 0, "{report:?}");

    let unsigned = Session::from_bytes(bundle(twice(FREE), None), &Trust::Keys(vec![]), &Options::default());
    assert_eq!(unsigned.map_err(|error| error.code()).err(), Some(Code::Unsigned));
}

#[test]
fn an_engine_that_computes_wrongly_is_passed_over() {
    let file = || bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    let wrong = || Arc::new(Offset { name: "wrong", added: 0.1 }) as Arc<dyn Engine>;
    let right = || Arc::new(Offset { name: "right", added: 0.0 }) as Arc<dyn Engine>;

    let session = open(file(), &options(vec![Arc::new(Empty), wrong(), right()])).unwrap();
    let report = session.report();
    assert_eq!(report.engine, "right");
    let reasons: Vec<_> = report.rejected.iter().map(|it| (it.engine, it.error.code())).collect();
    assert_eq!(reasons, [("empty", Code::UnsupportedOperator), ("wrong", Code::Accuracy)]);
    assert!(report.rejected[1].error.to_string().contains("golden case `000`, output `y`"), "{report:?}");

    let none = open(file(), &options(vec![Arc::new(Empty), wrong()])).unwrap_err();
    assert_eq!(none.code(), Code::Accuracy, "what came farthest says most: {none}");
    assert!(none.to_string().contains("empty: 1 operator(s) not supported"), "{none}");
    let nothing = open(file(), &options(vec![])).unwrap_err();
    assert_eq!((nothing.code(), nothing.hint().is_some()), (Code::UnsupportedOperator, true));

    let untested = Options { self_test: false, ..options(vec![wrong()]) };
    assert_eq!(open(file(), &untested).unwrap().report().self_test, None, "the self-test can be switched off");
}

#[test]
fn inputs_are_given_by_name() {
    let session = open(bundle(twice(FREE), None), &Options::default()).unwrap();
    let x = || floats(&[1.0]);
    let cases: Vec<(Inputs<'_>, Code, &str)> = vec![
        (inputs! {}, Code::InvalidInput, "the input `x` is missing"),
        (inputs! { "z" => x() }, Code::InvalidInput, "the model has no input `z`; it has x"),
        (inputs! { "x" => x(), "x" => x() }, Code::InvalidInput, "the input `x` is given twice"),
        (inputs! { "x" => Tensor::scalar(1f32) }, Code::InvalidInput, "input `x`: expected [n], found []"),
        (inputs! { "x" => Tensor::scalar(1u8) }, Code::InvalidInput, "input `x`: expected float32, found uint8"),
    ];
    for (inputs, code, message) in cases {
        let error = session.run(inputs).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
        assert!(error.hint().is_some());
    }
    let collected: Inputs<'_> = [("x", x())].into_iter().collect();
    assert!(session.run(&collected).is_ok());
}

#[test]
fn the_stricter_of_all_limits_wins() {
    let envelope = |peak_memory_bytes, deadline_ms| Envelope { peak_memory_bytes, weight_bytes: 0, deadline_ms };
    let input = || floats(&[0.0; 1024]);
    let code = |envelope: Envelope, options: Options, run: RunOptions<'_>| {
        let session = open(bundle(twice(envelope), None), &options)?;
        session.run_with(inputs! { "x" => input() }, &run).map(|_| ())
    };
    let memory = |bytes| Options { memory_bytes: Some(bytes), ..Options::default() };
    let cancelled = Cancel::new();
    cancelled.cancel();
    // 8 KiB are alive: what goes in and what comes out.
    let cases: Vec<(&str, Result<(), Error>, Option<Code>)> = vec![
        ("no limit", code(FREE, Options::default(), RunOptions::default()), None),
        ("enough everywhere", code(envelope(1 << 20, 60_000), memory(1 << 20), RunOptions::default()), None),
        ("envelope", code(envelope(4096, 0), memory(1 << 20), RunOptions::default()), Some(Code::MemoryBudget)),
        ("session", code(envelope(1 << 20, 0), memory(4096), RunOptions::default()), Some(Code::MemoryBudget)),
        (
            "run",
            code(FREE, Options::default(), RunOptions { memory_bytes: Some(4096), ..RunOptions::default() }),
            Some(Code::MemoryBudget),
        ),
        ("weights alone", code(envelope(3, 0), Options::default(), RunOptions::default()), Some(Code::MemoryBudget)),
        (
            "no time at all",
            code(
                envelope(0, 60_000),
                Options { deadline: Some(Duration::ZERO), ..Options::default() },
                RunOptions::default(),
            ),
            Some(Code::Deadline),
        ),
        (
            "none for the run",
            code(FREE, Options::default(), RunOptions { deadline: Some(Duration::ZERO), ..RunOptions::default() }),
            Some(Code::Deadline),
        ),
        (
            "cancelled",
            code(FREE, Options::default(), RunOptions { watch: Some(&cancelled), ..RunOptions::default() }),
            Some(Code::Interrupted),
        ),
        (
            "a deadline without a clock",
            code(envelope(0, 1), Options { clock: None, ..Options::default() }, RunOptions::default()),
            Some(Code::Failed),
        ),
    ];
    for (name, found, expected) in cases {
        assert_eq!(found.as_ref().err().map(Error::code), expected, "{name}: {found:?}");
    }
}

#[test]
fn loading_can_be_cancelled() {
    let cancel = Arc::new(Cancel::new());
    cancel.cancel();
    let options = Options { watch: Some(cancel), ..Options::default() };
    let error = open(bundle(twice(FREE), Some(golden(&[1.0], &[2.0]))), &options).unwrap_err();
    assert_eq!(error.code(), Code::Interrupted, "{error}");
}

#[test]
fn the_manifest_speaks_of_the_graph() {
    let with = |change: &dyn Fn(&mut Manifest)| {
        let (program, mut manifest) = twice(FREE);
        change(&mut manifest);
        Session::from_program(program, manifest, &Options::default()).map(|_| ()).map_err(|error| error.code())
    };
    type Outcome = Result<(), Code>;
    let cases: [(&str, Outcome, Outcome); 6] = [
        ("same", with(&|_| {}), Ok(())),
        ("name", with(&|m| m.inputs[0].name = "z".into()), Err(Code::InvalidModel)),
        ("type", with(&|m| m.inputs[0].dtype = DType::F64), Err(Code::InvalidModel)),
        ("shape", with(&|m| m.inputs[0].shape = vec![]), Err(Code::InvalidModel)),
        ("count", with(&|m| m.outputs.clear()), Err(Code::InvalidModel)),
        ("operator set", with(&|m| m.opset = 24), Err(Code::UnsupportedVersion)),
    ];
    for (name, found, expected) in cases {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn state_is_zeros_at_first_and_then_what_came_out() {
    let (program, manifest) = running_sum();
    let session = Session::from_program(program, manifest, &Options::default()).unwrap();
    let mut state = State::new();
    let step = |state: &mut State, x: &[f32]| {
        session.step(state, inputs! { "x" => floats(x) }).map(|outputs| outputs.get("next").cloned())
    };
    assert_eq!(step(&mut state, &[1.0, 2.0]), Ok(Some(floats(&[1.0, 2.0]))));
    assert_eq!(step(&mut state, &[10.0, 20.0]), Ok(Some(floats(&[11.0, 22.0]))));
    let before = state.clone();
    assert_eq!(step(&mut state, &[1.0]).map_err(|error| error.code()), Err(Code::InvalidInput));
    assert_eq!(state, before, "a failed step changes nothing");
    state.set("sum", floats(&[100.0, 100.0]));
    assert_eq!(step(&mut state, &[1.0, 2.0]), Ok(Some(floats(&[101.0, 102.0]))));
    state.reset();
    assert_eq!(step(&mut state, &[3.0]), Ok(Some(floats(&[3.0]))));
    let given = session.step(&mut state, inputs! { "x" => floats(&[1.0]), "sum" => floats(&[5.0]) }).unwrap();
    assert_eq!(given.get("next"), Some(&floats(&[6.0])), "what is given replaces the state");
    let missing = session.step(&mut state, inputs! {}).unwrap_err();
    assert_eq!(missing.to_string(), "the input `x` is missing");
}
