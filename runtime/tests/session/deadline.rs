//! Loading ends soon after its deadline, whatever the bundle holds.

use super::{FREE, bundle, floats, golden, manifest, open, port, twice};
use pannier::manifest::Content;
use pannier::{Code, DType, Dim, Engine, Error, LoadStep, Options, Program, Tensor};
use pannier_engine::ProgramBuilder;
use pannier_engine::golden::Golden;
use pannier_graph::{Attribute, Body, Node, ValueId};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Short enough that none of the programs here is prepared by tract or run in it, however fast the machine.
const DEADLINE: Duration = Duration::from_millis(100);

/// How much may be computed beyond the deadline: one step of preparing, or one operator. Not tight, since build servers are
/// slow.
const OVERRUN: Duration = Duration::from_secs(4);

/// Time that this thread has computed: unlike what a clock says, it does not grow while other programs have the processor.
fn computed() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = statistics.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
    // Elsewhere than on Linux the clock has to do.
    ns.map_or_else(|| STARTED.elapsed(), Duration::from_nanos)
}

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

fn within(deadline: Duration) -> Options {
    Options { load_deadline: Some(deadline), ..Options::default() }
}

/// A program with one input of this shape, written by `build`; and its bundle.
fn file(shape: &[u64], golden: Option<Golden>, build: impl FnOnce(&mut ProgramBuilder, ValueId) -> ValueId) -> Vec<u8> {
    let dims: Vec<Dim> = shape.iter().map(|size| Dim::Fixed(*size)).collect();
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims);
    let y = build(&mut builder, x);
    builder.output("y", y);
    sealed(builder.build(), &dims, golden)
}

fn sealed(program: Program, dims: &[Dim], golden: Option<Golden>) -> Vec<u8> {
    let ports = |name: &str| vec![port(name, dims, Content::Tensor)];
    bundle((program, manifest(ports("x"), ports("y"), FREE)), golden)
}

/// So many matrix products, each the square of the one before.
fn products(builder: &mut ProgramBuilder, x: ValueId, count: usize) -> ValueId {
    (0..count).fold(x, |x, _| builder.node("MatMul", &[x, x]))
}

/// A branch with so many matrix products in its body.
fn branch(builder: &mut ProgramBuilder, x: ValueId, count: usize) -> ValueId {
    let flag = builder.weight("flag", &Tensor::from_bools([], &[true]).unwrap());
    let mut body = |which: &str| {
        let mut last = x;
        let mut nodes = Vec::new();
        for index in 0..count {
            let name = format!("{which} {index}");
            let output = builder.value(&name);
            nodes.push(Node {
                name,
                domain: String::new(),
                op: "MatMul".into(),
                inputs: vec![Some(last), Some(last)],
                outputs: vec![Some(output)],
                attributes: vec![],
            });
            last = output;
        }
        Attribute::Body(Box::new(Body { nodes, outputs: vec![last], ..Body::default() }))
    };
    let branches = [("then_branch", body("then")), ("else_branch", body("else"))];
    builder.node_attributes("If", &[flag], &branches)
}

#[test]
fn preparing_ends_soon_after_the_deadline() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("10,000 matrix products", file(&[4, 4], None, |b, x| products(b, x, 10_000))),
        ("of higher rank", file(&[2, 3, 4, 4], None, |b, x| products(b, x, 10_000))),
        (
            "and as many transpositions",
            file(&[4, 4], None, |b, x| {
                (0..10_000).fold(x, |x, _| {
                    let y = b.node("Transpose", &[x]);
                    b.node("MatMul", &[y, x])
                })
            }),
        ),
        (
            "one input of 20,000 nodes",
            file(&[4, 4], None, |b, x| {
                let each: Vec<ValueId> = (0..20_000).map(|index| b.node(["Exp", "Relu"][index % 2], &[x])).collect();
                each.into_iter().reduce(|a, y| b.node("Add", &[a, y])).unwrap()
            }),
        ),
        (
            "constants of 64 MiB, folded one after the other",
            file(&[], None, |b, x| {
                let shape = b.weight("shape", &Tensor::from_slice([2], &[4096i64, 4096]).unwrap());
                (0..500).fold(x, |x, _| {
                    let large = b.node("ConstantOfShape", &[shape]);
                    let none = b.node_attributes("ReduceMax", &[large], &[("keepdims", Attribute::Int(0))]);
                    b.node("Add", &[x, none])
                })
            }),
        ),
        ("in a branch", file(&[4, 4], None, |b, x| branch(b, x, 5000))),
    ];
    let tract: Arc<dyn Engine> = Arc::new(pannier::TractEngine::new());
    for (name, bytes) in cases {
        let start = computed();
        let error = stops_soon(name, bytes.clone(), &Options { engines: vec![tract.clone()], ..within(DEADLINE) });
        let error = error.unwrap_or_else(|| panic!("{name}: prepared within {:?}", computed() - start));
        // On a busy machine reading alone may take so long.
        assert!(matches!(error, Error::LoadDeadline { step: LoadStep::Prepare | LoadStep::Read, .. }), "{name}");
        // The executor folds equal constants once, and so may be done before the deadline.
        stops_soon(name, bytes, &within(DEADLINE));
    }
}

/// Opens a bundle, which ends before the deadline or soon after it. The error if it was the deadline.
fn stops_soon(name: &str, bytes: Vec<u8>, options: &Options) -> Option<Error> {
    let start = computed();
    let outcome = open(bytes, options);
    let overrun = computed().saturating_sub(start + DEADLINE);
    assert!(overrun < OVERRUN, "{name}: {overrun:?}");
    let error = outcome.err()?;
    println!("{name}: {overrun:.1?} beyond {DEADLINE:?}: {error}");
    assert_eq!(error.code(), Code::Deadline, "{name}: {error}");
    Some(error)
}

#[test]
fn ten_thousand_nodes_are_prepared() {
    let start = computed();
    open(file(&[4, 4], None, |b, x| products(b, x, 10_000)), &Options::default()).unwrap();
    let took = computed().saturating_sub(start);
    println!("10,000 matrix products: prepared in {took:.1?}");
    // A minute and a half when every patch went through the whole model.
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn the_self_test_ends_soon_after_the_deadline() {
    // Prepared in milliseconds; its one golden case has too much to compute for any machine.
    let size = 1024;
    let mut builder = ProgramBuilder::new();
    let dims = [Dim::Symbol("n".into()), Dim::Symbol("n".into())];
    let x = builder.input("x", DType::F32, &dims);
    let y = products(&mut builder, x, 200);
    builder.output("y", y);
    let mut case = golden(&[0.0], &[0.0]);
    case.cases[0].inputs =
        vec![pannier_engine::golden::Stored::new(Tensor::zeros(DType::F32, [size, size]).unwrap().view())];
    let start = computed();
    let deadline = Duration::from_millis(500);
    let error = open(sealed(builder.build(), &dims, Some(case)), &within(deadline)).map(|_| ()).unwrap_err();
    let overrun = computed().saturating_sub(start + deadline);
    println!("self-test: {overrun:.1?} beyond {deadline:?}: {error}");
    assert_eq!(error, Error::LoadDeadline { step: LoadStep::SelfTest, deadline_ms: 500 });
    assert!(overrun < OVERRUN, "{overrun:?}");
}

#[test]
fn a_load_deadline_is_for_loading_alone() {
    let options = within(Duration::from_secs(600));
    let session = open(bundle(twice(FREE), Some(golden(&[1.0], &[2.0]))), &options).unwrap();
    assert!(session.run(pannier::inputs! { "x" => floats(&[1.0]) }).is_ok());

    let none = open(bundle(twice(FREE), None), &within(Duration::ZERO)).map(|_| ()).unwrap_err();
    assert_eq!(none, Error::LoadDeadline { step: LoadStep::Read, deadline_ms: 0 });
    assert_eq!(none.to_string(), "loading took longer than the 0 ms it may: stopped while reading the bundle");
    assert!(none.hint().is_some());

    // The deadline of a run does not count while loading: a first run makes plans.
    let hurried = Options { deadline: Some(Duration::ZERO), ..Options::default() };
    assert!(open(bundle(twice(FREE), Some(golden(&[1.0], &[2.0]))), &hurried).is_ok());

    let without_clock = Options { clock: None, ..within(DEADLINE) };
    let error = open(bundle(twice(FREE), None), &without_clock).map(|_| ()).unwrap_err();
    assert_eq!(error, Error::NoClock { deadline_ms: 100 });
}
