//! The engine on small programs: what it runs, what it refuses and where it stops.

mod nested;

use pannier_engine::{
    Cancel, Code, DType, Dim, Engine, EngineError, Interrupt, Prepared, Program, ProgramBuilder, RunBudget, Tensor,
    TensorView, Watch,
};
use pannier_executor::Executor;
use pannier_graph::{Attribute, Body, Node, ValueId};
use std::sync::atomic::{AtomicUsize, Ordering};

fn symbol(name: &str) -> Dim {
    Dim::Symbol(name.into())
}

fn fixed(size: u64) -> Dim {
    Dim::Fixed(size)
}

fn prepare(program: &Program) -> Result<Box<dyn Prepared>, EngineError> {
    Executor::new().prepare(program, &RunBudget::default())
}

fn run_within(prepared: &dyn Prepared, inputs: &[Tensor], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
    let views: Vec<TensorView<'_>> = inputs.iter().map(Tensor::view).collect();
    prepared.run(&views, budget)
}

fn run(program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>, EngineError> {
    run_within(&*prepare(program)?, inputs, &RunBudget::default())
}

fn floats(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::from_slice([values.len()], values).unwrap()
}

/// A program with one node and the inputs `x0`, `x1`, ..., each given as type and shape.
fn one_node(op: &str, inputs: &[(DType, &[Dim])], attributes: &[(&str, Attribute)]) -> Program {
    let mut builder = ProgramBuilder::new();
    let inputs = inputs.iter().enumerate().map(|(at, (dtype, shape))| builder.input(&format!("x{at}"), *dtype, shape));
    let inputs: Vec<ValueId> = inputs.collect();
    let output = builder.node_attributes(op, &inputs, attributes);
    builder.output("y", output);
    builder.build()
}

#[test]
fn every_element_type_goes_in_and_comes_out() {
    let shapes: [&[usize]; 4] = [&[], &[3], &[2, 0, 4], &[1, 2, 3]];
    for dtype in DType::ALL {
        for shape in shapes {
            let dims: Vec<Dim> = shape.iter().map(|dim| fixed(*dim as u64)).collect();
            let mut builder = ProgramBuilder::new();
            let x = builder.input("x", *dtype, &dims);
            let y = builder.node("Identity", &[x]);
            builder.output("y", y);
            builder.output("x", x);
            let size = shape.iter().product::<usize>() * dtype.size_bytes();
            let tensor = Tensor::new(*dtype, shape, (0..size).map(|i| (i % 2) as u8).collect::<Vec<_>>()).unwrap();
            let answer = run(&builder.build(), std::slice::from_ref(&tensor));
            assert_eq!(answer, Ok(vec![tensor.clone(), tensor]), "{dtype:?} {shape:?}");
        }
    }
}

#[test]
fn everything_that_is_missing_is_listed_with_its_node() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[fixed(2), fixed(2)]);
    let flag = builder.input("flag", DType::Bool, &[fixed(2)]);
    let a = builder.node("Frobnicate", &[x]);
    let b = builder.node("Sqrt", &[flag]);
    let c = builder.node_attributes("Resize", &[x], &[("mode", Attribute::String(b"magic".to_vec()))]);
    let d = builder.node("NonZero", &[x]);
    let program = {
        for (name, value) in [("a", a), ("b", b), ("c", c), ("d", d)] {
            builder.output(name, value);
        }
        builder.build()
    };
    let missing = Executor::new().supports(&program.graph).unwrap_err();
    let found: Vec<_> = missing.iter().map(|it| (it.op.as_str(), it.node.as_str(), it.reason.as_str())).collect();
    assert_eq!(
        found,
        [
            ("Frobnicate", "frobnicate_0", "operator"),
            ("Sqrt", "sqrt_1", "element type bool"),
            ("Resize", "resize_2", "attribute mode=magic"),
            ("NonZero", "nonzero_3", "operand 0 depends on data"),
        ]
    );
    assert_eq!(prepare(&program).err().map(|error| error.code()), Some(Code::UnsupportedOperator));
}

#[test]
fn symbols_take_their_sizes_when_inputs_arrive() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[symbol("n"), fixed(2)]);
    let w = builder.weight("w", &floats(&[2, 1], &[1.0, 10.0]));
    let y = builder.node("MatMul", &[x, w]);
    builder.output("y", y);
    let shape = builder.node("Shape", &[y]);
    builder.output("shape", shape);
    let prepared = prepare(&builder.build()).unwrap();
    assert!(!prepared.memory().planned);
    // More sizes than plans are kept, and back to the first.
    for n in [1usize, 2, 3, 4, 5, 6, 1, 0] {
        let rows: Vec<f32> = (0..2 * n).map(|i| i as f32).collect();
        let expected: Vec<f32> = rows.chunks(2).map(|row| row[0] + 10.0 * row[1]).collect();
        let outputs = run_within(&*prepared, &[floats(&[n, 2], &rows)], &RunBudget::default());
        assert_eq!(outputs, Ok(vec![floats(&[n, 1], &expected), ints(&[n as i64, 1])]), "{n}");
    }
    assert!(prepared.memory().planned);
}

#[test]
fn inputs_that_steer_shapes_may_change_from_run_to_run() {
    let program = one_node("Reshape", &[(DType::F32, &[fixed(6)]), (DType::I64, &[fixed(2)])], &[]);
    let prepared = prepare(&program).unwrap();
    let data = floats(&[6], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for (target, expected) in [([2, 3], [2, 3]), ([3, -1], [3, 2]), ([2, 3], [2, 3]), ([0, 1], [6, 1])] {
        let outputs = run_within(&*prepared, &[data.clone(), ints(&target)], &RunBudget::default()).unwrap();
        assert_eq!(outputs, [data.clone().reshaped(expected).unwrap()], "{target:?}");
    }
    let wrong = run_within(&*prepared, &[data.clone(), ints(&[4, 4])], &RunBudget::default());
    assert_eq!(wrong.map_err(|error| error.code()), Err(Code::InvalidModel));
}

#[test]
fn a_condition_that_is_an_input_chooses_the_branch() {
    let mut builder = ProgramBuilder::new();
    let (flag, x) = (builder.input("flag", DType::Bool, &[]), builder.input("x", DType::F32, &[fixed(2)]));
    let mut branch = |op: &str| {
        let result = builder.value(op);
        let node = Node {
            name: op.into(),
            domain: String::new(),
            op: op.into(),
            inputs: vec![Some(x)],
            outputs: vec![Some(result)],
            attributes: vec![],
        };
        Attribute::Body(Box::new(Body { nodes: vec![node], outputs: vec![result], ..Body::default() }))
    };
    let bodies = [("else_branch", branch("Neg")), ("then_branch", branch("Relu"))];
    let y = builder.node_attributes("If", &[flag], &bodies);
    builder.output("y", y);
    let prepared = prepare(&builder.build()).unwrap();
    for (flag, expected) in [(true, [0.0, 2.0]), (false, [1.0, -2.0]), (true, [0.0, 2.0])] {
        let inputs = [Tensor::from_bools([], &[flag]).unwrap(), floats(&[2], &[-1.0, 2.0])];
        let outputs = run_within(&*prepared, &inputs, &RunBudget::default());
        assert_eq!(outputs, Ok(vec![floats(&[2], &expected)]));
    }
}

/// A chain of matrix products, which nothing fuses away.
fn chain(nodes: usize, size: u64) -> Program {
    let mut builder = ProgramBuilder::new();
    let mut x = builder.input("x", DType::F32, &[fixed(size), fixed(size)]);
    for _ in 0..nodes {
        x = builder.node("MatMul", &[x, x]);
    }
    builder.output("y", x);
    builder.build()
}

/// Says stop at the n-th question.
struct StopAt(AtomicUsize);

impl Watch for StopAt {
    fn check(&self) -> Result<(), Interrupt> {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 { Err(Interrupt::Deadline) } else { Ok(()) }
    }
}

#[test]
fn work_stops_between_operators_when_told_to() {
    let prepared = prepare(&chain(3, 2)).unwrap();
    let x = [floats(&[2, 2], &[1.0, 0.0, 0.0, 1.0])];
    for (question, node) in [(1, Some("matmul_0")), (3, Some("matmul_2")), (4, None)] {
        let watch = StopAt(AtomicUsize::new(question));
        let answer = run_within(&*prepared, &x, &RunBudget { memory_bytes: None, watch: Some(&watch) });
        match (answer, node) {
            (Err(EngineError::Interrupted { node, why: Interrupt::Deadline }), Some(expected)) => {
                assert_eq!(node, expected)
            }
            (Ok(_), None) => {}
            other => panic!("{question}: {other:?}"),
        }
    }
    let cancel = Cancel::new();
    cancel.cancel();
    let budget = RunBudget { memory_bytes: None, watch: Some(&cancel) };
    let stopped = Executor::new().prepare(&chain(3, 2), &budget);
    assert_eq!(stopped.err().map(|error| error.code()), Some(Code::Interrupted));
}

#[test]
fn memory_is_known_before_anything_runs_and_a_smaller_budget_is_an_error() {
    let prepared = prepare(&chain(4, 64)).unwrap();
    let memory = prepared.memory();
    assert!(memory.planned && memory.peak_bytes >= 2 * 64 * 64 * 4, "{memory:?}");
    let x = [Tensor::zeros(DType::F32, [64, 64]).unwrap()];
    for (budget_bytes, fits) in [(memory.peak_bytes, true), (memory.peak_bytes - 1, false)] {
        let answer = run_within(&*prepared, &x, &RunBudget { memory_bytes: Some(budget_bytes), watch: None });
        assert_eq!(answer.is_ok(), fits);
        if let Err(error) = answer {
            assert_eq!(error.code(), Code::MemoryBudget);
        }
    }
    let small = RunBudget { memory_bytes: Some(memory.peak_bytes - 1), watch: None };
    let refused = Executor::new().prepare(&chain(4, 64), &small);
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::MemoryBudget));
}

#[test]
fn runs_at_the_same_time_do_not_disturb_each_other() {
    let prepared = prepare(&chain(5, 16)).unwrap();
    let input =
        |seed: usize| floats(&[16, 16], &(0..256).map(|at| ((at + seed) % 7) as f32 / 40.0).collect::<Vec<_>>());
    let expected: Vec<_> = (0..4).map(|seed| run_within(&*prepared, &[input(seed)], &RunBudget::default())).collect();
    std::thread::scope(|scope| {
        for (seed, expected) in expected.iter().enumerate() {
            let prepared = &*prepared;
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(run_within(prepared, &[input(seed)], &RunBudget::default()), *expected);
                }
            });
        }
    });
}

#[test]
fn hostile_operands_are_errors() {
    let text = |value: &str| Attribute::String(value.as_bytes().to_vec());
    let f = |dims: &'static [u64]| dims.iter().map(|dim| fixed(*dim)).collect::<Vec<_>>();
    let numbers = |attribute: &[i64]| Attribute::Ints(attribute.to_vec());
    let huge = u64::MAX >> 8;
    type Case<'a> = (&'a str, Vec<(DType, Vec<Dim>)>, Vec<(&'a str, Attribute)>);
    let cases: Vec<Case<'_>> = vec![
        ("Transpose", vec![(DType::F32, f(&[2, 3]))], vec![("perm", numbers(&[0, 0]))]),
        ("Transpose", vec![(DType::F32, f(&[2, 3]))], vec![("perm", numbers(&[5, i64::MIN]))]),
        ("Concat", vec![(DType::F32, f(&[2, 3])), (DType::F32, f(&[2]))], vec![("axis", Attribute::Int(9))]),
        ("MatMul", vec![(DType::F32, f(&[2, 3])), (DType::F32, f(&[4, 2]))], vec![]),
        ("MatMul", vec![(DType::F32, f(&[])), (DType::F32, f(&[4]))], vec![]),
        ("Add", vec![(DType::F32, f(&[2])), (DType::F32, f(&[3]))], vec![]),
        ("Add", vec![(DType::F32, vec![fixed(huge), fixed(1)]), (DType::F32, vec![fixed(1), fixed(huge)])], vec![]),
        ("Conv", vec![(DType::F32, f(&[1, 2, 3])), (DType::F32, f(&[1, 2, 9]))], vec![]),
        ("Conv", vec![(DType::F32, f(&[1, 2, 9])), (DType::F32, f(&[1, 2, 3]))], vec![("strides", numbers(&[0]))]),
        ("Conv", vec![(DType::F32, f(&[1, 2, 9])), (DType::F32, f(&[1, 2, 3]))], vec![("group", Attribute::Int(0))]),
        (
            "Conv",
            vec![(DType::F32, f(&[1, 2, 9])), (DType::F32, f(&[1, 2, 3]))],
            vec![("pads", numbers(&[i64::MAX, 1]))],
        ),
        ("Conv", vec![(DType::F32, f(&[1, 2, 9])), (DType::F32, f(&[1, 2, 0]))], vec![]),
        ("MaxPool", vec![(DType::F32, f(&[1, 1, 2]))], vec![("kernel_shape", numbers(&[3]))]),
        ("MaxPool", vec![(DType::F32, f(&[1, 1, 2]))], vec![]),
        ("Split", vec![(DType::F32, f(&[3]))], vec![("axis", Attribute::Int(-7))]),
        ("Softmax", vec![(DType::F32, f(&[]))], vec![]),
        ("DepthToSpace", vec![(DType::F32, f(&[1, 3, 2, 2]))], vec![("blocksize", Attribute::Int(2))]),
        ("LSTM", vec![(DType::F32, f(&[1, 1, 1]))], vec![("hidden_size", Attribute::Int(i64::MAX))]),
        ("Resize", vec![(DType::F32, f(&[1]))], vec![("mode", text("linear"))]),
        ("Relu", vec![], vec![]),
        ("If", vec![], vec![]),
    ];
    for (op, inputs, attributes) in cases {
        let inputs: Vec<_> = inputs.iter().map(|(dtype, dims)| (*dtype, dims.as_slice())).collect();
        let program = one_node(op, &inputs, &attributes);
        let error = prepare(&program).err().unwrap_or_else(|| panic!("{op} {inputs:?} {attributes:?} was prepared"));
        let codes = [Code::InvalidModel, Code::UnsupportedOperator, Code::MemoryBudget];
        assert!(codes.contains(&error.code()), "{op}: {error}");
    }
}

#[test]
fn indices_in_data_are_checked_when_they_are_used() {
    let gather = one_node("Gather", &[(DType::F32, &[fixed(3)]), (DType::I64, &[fixed(1), fixed(1)])], &[]);
    let prepared = prepare(&gather).unwrap();
    for (index, fits) in [(0, true), (-3, true), (3, false), (-4, false), (i64::MIN, false), (i64::MAX, false)] {
        let inputs = [floats(&[3], &[1.0, 2.0, 3.0]), Tensor::from_slice([1, 1], &[index]).unwrap()];
        let answer = run_within(&*prepared, &inputs, &RunBudget::default());
        assert_eq!(answer.is_ok(), fits, "{index}: {answer:?}");
        if let Err(error) = answer {
            assert_eq!(error.code(), Code::Failed);
        }
    }
}

#[test]
fn huge_results_are_refused_before_they_are_allocated() {
    let mut builder = ProgramBuilder::new();
    let shape = builder.weight("shape", &ints(&[1 << 20, 1 << 20]));
    let y = builder.node("ConstantOfShape", &[shape]);
    builder.output("y", y);
    let budget = RunBudget { memory_bytes: Some(1 << 30), watch: None };
    let refused = Executor::new().prepare(&builder.build(), &budget);
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::MemoryBudget));
}

#[test]
fn slices_take_what_the_standard_says() {
    type Case<'a> = (&'a [i64], &'a [i64], &'a [i64], &'a [i64], &'a [f32]);
    let cases: [Case<'_>; 6] = [
        (&[1], &[3], &[0], &[1], &[1.0, 2.0]),
        (&[-2], &[i64::MAX], &[0], &[1], &[3.0, 4.0]),
        (&[4], &[i64::MIN], &[0], &[-2], &[4.0, 2.0, 0.0]),
        (&[i64::MAX], &[i64::MIN], &[-1], &[-1], &[4.0, 3.0, 2.0, 1.0, 0.0]),
        (&[3], &[1], &[0], &[1], &[]),
        (&[0], &[5], &[0], &[i64::MAX], &[0.0]),
    ];
    for (starts, ends, axes, steps, expected) in cases {
        let mut builder = ProgramBuilder::new();
        let x = builder.input("x", DType::F32, &[fixed(5)]);
        let lists = [("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps)];
        let lists: Vec<ValueId> = lists.iter().map(|(name, list)| builder.weight(name, &ints(list))).collect();
        let y = builder.node("Slice", &[&[x], lists.as_slice()].concat());
        builder.output("y", y);
        let answer = run(&builder.build(), &[floats(&[5], &[0.0, 1.0, 2.0, 3.0, 4.0])]);
        assert_eq!(answer, Ok(vec![floats(&[expected.len()], expected)]), "{starts:?} {ends:?} {steps:?}");
    }
}

#[test]
fn deterministic_answers_are_the_same_bits_each_time() {
    let program = chain(3, 24);
    let x = floats(&[24, 24], &(0..576).map(|at| ((at * 31) % 97) as f32 / 300.0).collect::<Vec<_>>());
    let answer = || {
        let prepared = Executor::deterministic().prepare(&program, &RunBudget::default()).unwrap();
        run_within(&*prepared, std::slice::from_ref(&x), &RunBudget::default()).unwrap()
    };
    assert_eq!(answer(), answer());
}
