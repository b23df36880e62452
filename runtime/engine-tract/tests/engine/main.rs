//! The tract engine on small programs: what it runs, what it refuses and where it stops.

mod integers;
mod nested;
mod stable;

use pannier_engine::{
    Cancel, Code, DType, Dim, Engine, EngineError, Interrupt, Prepared, Program, ProgramBuilder, RunBudget, Tensor,
    TensorView, Watch,
};
use pannier_engine_tract::TractEngine;
use pannier_graph::{Attribute, Body, Input, Literal, Node, ValueId};
use std::sync::atomic::{AtomicUsize, Ordering};

fn symbol(name: &str) -> Dim {
    Dim::Symbol(name.into())
}

fn fixed(size: u64) -> Dim {
    Dim::Fixed(size)
}

fn prepare(program: &Program) -> Result<Box<dyn Prepared>, EngineError> {
    TractEngine::new().prepare(program, &RunBudget::default())
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
    let inputs: Vec<ValueId> = inputs
        .iter()
        .enumerate()
        .map(|(index, (dtype, shape))| builder.input(&format!("x{index}"), *dtype, shape))
        .collect();
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
            if *dtype == DType::BF16 {
                let error = answer.unwrap_err();
                assert_eq!(error.code(), Code::UnsupportedOperator, "{error}");
                assert!(error.to_string().contains("element type bfloat16"), "{error}");
            } else {
                assert_eq!(answer, Ok(vec![tensor.clone(), tensor]), "{dtype:?} {shape:?}");
            }
        }
    }
}

#[test]
fn everything_that_is_missing_is_listed_with_its_node() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[fixed(2)]);
    let flag = builder.input("flag", DType::Bool, &[]);
    let a = builder.node("Frobnicate", &[x]);
    let b = builder.node("Abs", &[a]);
    let nested = builder.value("nested");
    let branch = || {
        let node = Node {
            name: "inner".into(),
            domain: String::new(),
            op: "Unheard".into(),
            inputs: vec![Some(b)],
            outputs: vec![Some(nested)],
            attributes: vec![],
        };
        Attribute::Body(Box::new(Body { nodes: vec![node], outputs: vec![nested], ..Body::default() }))
    };
    let c = builder.node_attributes("If", &[flag], &[("then_branch", branch()), ("else_branch", branch())]);
    builder.node_with(Node {
        name: "other".into(),
        domain: "com.example".into(),
        op: "Abs".into(),
        inputs: vec![Some(c)],
        outputs: vec![Some(ValueId(2))],
        attributes: vec![],
    });
    let program = builder.build();
    let missing = TractEngine::new().supports(&program.graph).unwrap_err();
    let found: Vec<_> = missing.iter().map(|it| (it.op.as_str(), it.node.as_str(), it.reason.as_str())).collect();
    assert_eq!(
        found,
        [
            ("Frobnicate", "frobnicate_0", "operator"),
            ("Unheard", "inner", "operator"),
            ("Unheard", "inner", "operator"),
            ("com.example.Abs", "other", "operator"),
        ]
    );
    assert_eq!(prepare(&program).err().map(|error| error.code()), Some(Code::UnsupportedOperator));
}

#[test]
fn inputs_are_checked_before_tract_sees_them() {
    let program =
        one_node("Add", &[(DType::F32, &[symbol("n"), fixed(2)]), (DType::F32, &[symbol("n"), fixed(2)])], &[]);
    let f = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    let cases = [
        (vec![f(&[3, 2]), f(&[3, 2])], None),
        (vec![f(&[3, 2]), f(&[4, 2])], Some("input `x1`: expected [n = 3, 2], found [4, 2]")),
        (vec![f(&[3, 2])], Some("input `x1`: expected 2 inputs, found 1")),
        (vec![ints(&[1]), f(&[3, 2])], Some("input `x0`: expected float32, found int64")),
        (vec![f(&[3]), f(&[3, 2])], Some("input `x0`: expected [n, 2], found [3]")),
    ];
    for (inputs, expected) in cases {
        let found = run(&program, &inputs).err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), expected, "{inputs:?}");
    }
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
    // More sizes than plans are kept, and back to the first.
    for n in [1usize, 2, 3, 4, 5, 6, 1, 0] {
        let rows: Vec<f32> = (0..2 * n).map(|i| i as f32).collect();
        let expected: Vec<f32> = rows.chunks(2).map(|row| row[0] + 10.0 * row[1]).collect();
        let outputs = run_within(&*prepared, &[floats(&[n, 2], &rows)], &RunBudget::default());
        assert_eq!(outputs, Ok(vec![floats(&[n, 1], &expected), ints(&[n as i64, 1])]), "{n}");
    }
}

#[test]
fn inputs_that_steer_shapes_may_change_from_run_to_run() {
    let shape = &[fixed(2)];
    let program = one_node("Reshape", &[(DType::F32, &[fixed(6)]), (DType::I64, shape)], &[]);
    let prepared = prepare(&program).unwrap();
    let data = floats(&[6], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for (target, expected) in [([2, 3], [2, 3]), ([3, -1], [3, 2]), ([2, 3], [2, 3]), ([0, 1], [6, 1])] {
        let outputs = run_within(&*prepared, &[data.clone(), ints(&target)], &RunBudget::default()).unwrap();
        assert_eq!(outputs, [data.clone().reshaped(expected).unwrap()], "{target:?}");
    }
    let wrong = run_within(&*prepared, &[data.clone(), ints(&[4, 4])], &RunBudget::default());
    assert_eq!(wrong.map_err(|error| error.code()), Err(Code::InvalidModel));
    let right = run_within(&*prepared, &[data.clone(), ints(&[6, 1])], &RunBudget::default());
    assert!(right.is_ok(), "a failed run changes nothing: {right:?}");
}

/// Says stop at the n-th question.
struct StopAt(AtomicUsize);

impl Watch for StopAt {
    fn check(&self) -> Result<(), Interrupt> {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 { Err(Interrupt::Deadline) } else { Ok(()) }
    }
}

/// A chain of matrix products, which nothing fuses or folds away.
fn chain(nodes: usize, size: u64) -> Program {
    let mut builder = ProgramBuilder::new();
    let mut x = builder.input("x", DType::F32, &[fixed(size), fixed(size)]);
    for _ in 0..nodes {
        x = builder.node("MatMul", &[x, x]);
    }
    builder.output("y", x);
    builder.build()
}

#[test]
fn a_run_stops_between_operators_when_told_to() {
    let prepared = prepare(&chain(3, 2)).unwrap();
    let input = [floats(&[2, 2], &[1.0, 0.0, 0.0, 1.0])];
    let stop_at = |question: usize| {
        let watch = StopAt(AtomicUsize::new(question));
        let budget = RunBudget { watch: Some(&watch), ..RunBudget::default() };
        run_within(&*prepared, &input, &budget).map_err(|error| match error {
            EngineError::Interrupted { node, why } => (node, why),
            error => panic!("{error}"),
        })
    };
    let stopped: Vec<_> = (1..40).map_while(|question| stop_at(question).err()).collect();
    assert!(stopped.len() >= 3, "asked before each of three operators: {stopped:?}");
    assert!(stopped.iter().all(|(_, why)| *why == Interrupt::Deadline), "{stopped:?}");
    assert!(stopped.iter().any(|(node, _)| node == "matmul_1"), "the node is named: {stopped:?}");

    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = run_within(&*prepared, &input, &RunBudget { watch: Some(&cancel), ..RunBudget::default() });
    assert_eq!(cancelled.map_err(|error| error.code()), Err(Code::Interrupted));
    let prepared =
        TractEngine::new().prepare(&chain(3, 2), &RunBudget { watch: Some(&cancel), ..RunBudget::default() });
    assert_eq!(prepared.err().map(|error| error.code()), Some(Code::Interrupted), "preparing can be stopped, too");
}

#[test]
fn preparing_stops_at_whatever_question_it_is_told_to() {
    let program = chain(20, 2);
    let stop_at = |question: usize| {
        let watch = StopAt(AtomicUsize::new(question));
        TractEngine::new().prepare(&program, &RunBudget { watch: Some(&watch), ..RunBudget::default() }).map(|_| ())
    };
    let errors: Vec<_> = (1..).map_while(|question| stop_at(question).err()).collect();
    assert!(errors.len() > 100, "asked at every node in every pass: {}", errors.len());
    let others: Vec<_> = errors.iter().filter(|error| error.code() != Code::Deadline).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(errors.iter().any(|error| error.to_string().contains("at node `matmul_7`")), "the node is named");
    assert_eq!(std::sync::Arc::strong_count(&program.graph), 1, "what was stopped is gone");
}

#[test]
fn a_run_stops_before_it_takes_more_memory_than_allowed() {
    // Two matrices of 4 KiB are alive at once, whatever the engine does about the input.
    let prepared = prepare(&chain(4, 32)).unwrap();
    let input = [Tensor::zeros(DType::F32, [32, 32]).unwrap()];
    let within = |memory_bytes: u64| {
        let budget = RunBudget { memory_bytes: Some(memory_bytes), ..RunBudget::default() };
        run_within(&*prepared, &input, &budget)
    };
    assert!(within(1 << 20).is_ok());
    let peak = prepared.memory().peak_bytes;
    assert!((8192..1 << 16).contains(&peak), "{peak}");
    assert!(within(peak).is_ok());
    match within(peak - 1) {
        Err(EngineError::MemoryBudget { needed_bytes, budget_bytes, .. }) => {
            assert!(needed_bytes > budget_bytes && budget_bytes == peak - 1);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_small_file_cannot_ask_for_a_terabyte() {
    let huge = 1i64 << 40;
    let scalar = |value: i64| Tensor::scalar(value);
    let mut cases: Vec<(&str, Program, Vec<Tensor>)> = Vec::new();

    let mut builder = ProgramBuilder::new();
    let shape = builder.weight("shape", &ints(&[huge]));
    let y = builder.node("ConstantOfShape", &[shape]);
    builder.output("y", y);
    cases.push(("a constant", builder.build(), vec![]));

    let mut builder = ProgramBuilder::new();
    let shape = builder.weight("shape", &ints(&[1 << 20, 1 << 20]));
    let x = builder.input("x", DType::F32, &[fixed(1)]);
    let y = builder.node("Expand", &[x, shape]);
    builder.output("y", y);
    cases.push(("an expansion", builder.build(), vec![floats(&[1], &[1.0])]));

    let mut builder = ProgramBuilder::new();
    let column = builder.weight("column", &Tensor::zeros(DType::F32, [1 << 18, 1]).unwrap());
    let row = builder.weight("row", &Tensor::zeros(DType::F32, [1, 1 << 18]).unwrap());
    let y = builder.node("Add", &[column, row]);
    builder.output("y", y);
    cases.push(("folding of two constants", builder.build(), vec![]));

    let shape = one_node("ConstantOfShape", &[(DType::I64, &[fixed(1)])], &[]);
    cases.push(("a shape that is an input", shape, vec![ints(&[huge])]));

    let scalars: [(DType, &[Dim]); 3] = [(DType::I64, &[]); 3];
    cases.push(("a range", one_node("Range", &scalars, &[]), vec![scalar(0), scalar(huge), scalar(1)]));

    let tile = one_node("Tile", &[(DType::F32, &[fixed(1)]), (DType::I64, &[fixed(1)])], &[]);
    cases.push(("repetition", tile, vec![floats(&[1], &[1.0]), ints(&[huge])]));

    // Its length is in no shape: the sum of what comes in.
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::I64, &[symbol("n")]);
    let axes = builder.weight("axes", &ints(&[0]));
    let keep = [("keepdims", Attribute::Int(0))];
    let end = builder.node_attributes("ReduceSum", &[x, axes], &keep);
    let (start, step) = (builder.weight("start", &scalar(0)), builder.weight("step", &scalar(1)));
    let y = builder.node("Range", &[start, end, step]);
    builder.output("y", y);
    cases.push(("a range of computed length", builder.build(), vec![ints(&vec![huge / 2048; 2048])]));

    for memory_bytes in [None, Some(1 << 20)] {
        let budget = RunBudget { memory_bytes, ..RunBudget::default() };
        for (name, program, inputs) in &cases {
            let outcome = TractEngine::new().prepare(program, &budget);
            let outcome = outcome.and_then(|prepared| run_within(&*prepared, inputs, &budget));
            let outcome = outcome.map(|outputs| outputs.len()).map_err(|error| (error.code(), error.to_string()));
            assert_eq!(
                outcome.clone().map_err(|it| it.0),
                Err(Code::MemoryBudget),
                "{name}, {memory_bytes:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn what_breaks_inside_tract_is_an_error() {
    let literal = |shape: Vec<u64>| Attribute::Tensor(Literal { dtype: DType::F32, shape, bytes: vec![0; 8] });
    let cases = [
        ("contradicting shapes", one_node("Add", &[(DType::F32, &[fixed(2)]), (DType::F32, &[fixed(3)])], &[])),
        ("an attribute is missing", one_node("Concat", &[(DType::F32, &[fixed(2)])], &[])),
        (
            "an attribute of another type",
            one_node("Softmax", &[(DType::F32, &[fixed(2)])], &[("axis", Attribute::Float(1.0))]),
        ),
        ("a literal of another size", one_node("Constant", &[], &[("value", literal(vec![5]))])),
        ("no input at all", one_node("Add", &[], &[])),
        (
            "a permutation that is none",
            one_node("Transpose", &[(DType::F32, &[fixed(2), fixed(2)])], &[("perm", Attribute::Ints(vec![0, 9]))]),
        ),
        (
            "strides of nothing",
            one_node(
                "MaxPool",
                &[(DType::F32, &[fixed(1), fixed(1), fixed(2)])],
                &[("kernel_shape", Attribute::Ints(vec![1])), ("strides", Attribute::Ints(vec![0]))],
            ),
        ),
    ];
    for (name, program) in cases {
        let inputs: Vec<Tensor> = program
            .graph
            .body
            .inputs
            .iter()
            .map(|input| {
                let shape: Vec<usize> = input
                    .shape
                    .iter()
                    .flatten()
                    .map(|dim| match dim {
                        Dim::Fixed(size) => *size as usize,
                        Dim::Symbol(_) => 1,
                    })
                    .collect();
                Tensor::zeros(DType::F32, shape).unwrap()
            })
            .collect();
        let outcome = run(&program, &inputs);
        let error = outcome.expect_err(name);
        println!("{name}: {error}");
        assert!(
            matches!(error.code(), Code::InvalidModel | Code::Failed | Code::UnsupportedOperator),
            "{name}: {error}"
        );
        assert!(error.to_string().len() < 700, "{name}: {error}");
    }
}

#[test]
fn what_tract_alone_gets_wrong_comes_out_right() {
    const INF: f32 = f32::INFINITY;
    let axes = |values: &[i64]| ints(values);
    // Each program: an operator, its inputs, attributes, and the answer.
    type Attributes = Vec<(&'static str, Attribute)>;
    let cases: Vec<(&str, &str, Vec<Tensor>, Attributes, Tensor)> = vec![
        ("a sum beyond 32 bits", "ReduceSum", vec![ints(&[1 << 33, 1, 2]), axes(&[0])], vec![], ints(&[(1 << 33) + 3])),
        (
            "the largest of -inf",
            "ReduceMax",
            vec![floats(&[2], &[-INF, -INF]), axes(&[0])],
            vec![],
            floats(&[1], &[-INF]),
        ),
        ("no overflow", "ReduceLogSumExp", vec![floats(&[2], &[1e4, -INF]), axes(&[0])], vec![], floats(&[1], &[1e4])),
        (
            "the smallest of nothing",
            "ReduceMin",
            vec![floats(&[0, 2], &[]), axes(&[0])],
            vec![("keepdims", Attribute::Int(0))],
            floats(&[2], &[INF, INF]),
        ),
        (
            "of both axes",
            "ReduceMax",
            vec![floats(&[2, 2], &[1.0, 4.0, 3.0, 2.0]), axes(&[-1, 0])],
            vec![],
            floats(&[1, 1], &[4.0]),
        ),
        (
            "of no axes",
            "ReduceMax",
            vec![floats(&[2], &[1.0, 2.0]), axes(&[])],
            vec![("noop_with_empty_axes", Attribute::Int(1))],
            floats(&[2], &[1.0, 2.0]),
        ),
        (
            "of booleans",
            "ReduceMin",
            vec![Tensor::from_bools([2], &[true, false]).unwrap(), axes(&[0])],
            vec![],
            Tensor::from_bools([1], &[false]).unwrap(),
        ),
        ("zeros of the standard's type", "ConstantOfShape", vec![ints(&[2])], vec![], floats(&[2], &[0.0, 0.0])),
        (
            "a compressed axis",
            "Compress",
            vec![floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), Tensor::from_bools([2], &[false, true]).unwrap()],
            vec![("axis", Attribute::Int(-1))],
            floats(&[2, 1], &[2.0, 4.0]),
        ),
        (
            "to the end, as exporters write it",
            "Slice",
            vec![floats(&[3], &[1.0, 2.0, 3.0]), ints(&[1]), ints(&[i64::MAX])],
            vec![],
            floats(&[2], &[2.0, 3.0]),
        ),
        (
            "backwards to the start",
            "Slice",
            vec![floats(&[3], &[1.0, 2.0, 3.0]), ints(&[-1]), ints(&[i64::MIN]), ints(&[0]), ints(&[-1])],
            vec![],
            floats(&[3], &[3.0, 2.0, 1.0]),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, op, inputs, attributes, expected) in cases {
        // Operands as inputs of the run, and as weights.
        for constant in [false, true] {
            let mut builder = ProgramBuilder::new();
            let mut values = Vec::new();
            for (index, input) in inputs.iter().enumerate() {
                let dims: Vec<Dim> = input.shape().iter().map(|dim| fixed(*dim as u64)).collect();
                values.push(match constant && (index > 0 || op == "ConstantOfShape") {
                    true => builder.weight(&format!("x{index}"), input),
                    false => builder.input(&format!("x{index}"), input.dtype(), &dims),
                });
            }
            let y = builder.node_attributes(op, &values, &attributes);
            builder.output("y", y);
            let program = builder.build();
            let given = &inputs[..program.graph.body.inputs.len()];
            let found = run(&program, given);
            if found != Ok(vec![expected.clone()]) {
                wrong.push(format!("{name} (constant: {constant}): {found:?}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn quantized_products_saturate_on_both_sides() {
    // y = saturate(round(a * b * 0.5 / 0.25)): one number each.
    let mut builder = ProgramBuilder::new();
    let (a, b) =
        (builder.input("a", DType::I8, &[fixed(1), fixed(1)]), builder.input("b", DType::I8, &[fixed(1), fixed(1)]));
    let half = builder.weight("half", &Tensor::scalar(0.5f32));
    let one = builder.weight("one", &Tensor::scalar(1f32));
    let quarter = builder.weight("quarter", &Tensor::scalar(0.25f32));
    let zero = builder.weight("zero", &Tensor::scalar(0i8));
    let y = builder.node("QLinearMatMul", &[a, half, zero, b, one, zero, quarter, zero]);
    builder.output("y", y);
    let prepared = prepare(&builder.build()).unwrap();
    for (a, b, expected) in [(3, 4, 24), (-3, 4, -24), (100, 100, 127), (-100, 100, -128), (-128, -128, 127)] {
        let inputs = [a, b].map(|value: i8| Tensor::from_slice([1, 1], &[value]).unwrap());
        let outputs = run_within(&*prepared, &inputs, &RunBudget::default());
        assert_eq!(outputs, Ok(vec![Tensor::from_slice([1, 1], &[expected as i8]).unwrap()]), "{a} {b}");
    }
}

#[test]
fn weights_may_be_outputs() {
    let mut builder = ProgramBuilder::new();
    let w = builder.weight("w", &ints(&[1, 2]));
    builder.output("w", w);
    assert_eq!(run(&builder.build(), &[]), Ok(vec![ints(&[1, 2])]));
}

#[test]
fn threads_share_a_prepared_program() {
    let prepared = prepare(&chain(6, 16)).unwrap();
    let input =
        |seed: usize| [floats(&[16, 16], &(0..256).map(|i| ((i * 7 + seed) % 13) as f32 * 0.01).collect::<Vec<_>>())];
    let expected: Vec<_> =
        (0..4).map(|seed| run_within(&*prepared, &input(seed), &RunBudget::default()).unwrap()).collect();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (prepared, expected) = (&*prepared, &expected[seed]);
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(run_within(prepared, &input(seed), &RunBudget::default()).as_ref(), Ok(expected));
                }
            });
        }
    });
}

#[test]
fn types_and_shapes_of_all_values_are_inferred() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[symbol("batch size"), fixed(3)]);
    let twice = builder.node_attributes("Concat", &[x, x], &[("axis", Attribute::Int(0))]);
    let shape = builder.node("Shape", &[twice]);
    let unknown = builder.node("Frobnicate", &[shape]);
    builder.output("y", unknown);
    let inferred = TractEngine::new().infer(&builder.build());
    assert_eq!(
        inferred,
        [
            Some((DType::F32, vec![symbol("batch size"), fixed(3)])),
            Some((DType::F32, vec![symbol("2*batch size"), fixed(3)])),
            Some((DType::I64, vec![fixed(2)])),
            None,
        ]
    );
}

#[test]
fn a_body_without_types_is_refused() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[]);
    let y = builder.node("Abs", &[x]);
    builder.output("y", y);
    let mut program = builder.build();
    let mut graph = (*program.graph).clone();
    graph.body.inputs = vec![Input { value: x, dtype: None, shape: None }];
    program.graph = graph.into();
    assert_eq!(prepare(&program).err().map(|error| error.code()), Some(Code::InvalidModel));
}
