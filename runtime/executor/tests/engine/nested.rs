//! Operators with programs inside: `If`, `Loop` and `Scan`.

use super::{StopAt, fixed, floats, ints, prepare, run, run_within, symbol};
use pannier_engine::{Code, DType, Dim, EngineError, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_graph::{Attribute, Body, Input, Node, ValueId};

fn node(name: &str, op: &str, inputs: &[ValueId], outputs: &[ValueId]) -> Node {
    Node {
        name: name.into(),
        domain: String::new(),
        op: op.into(),
        inputs: inputs.iter().copied().map(Some).collect(),
        outputs: outputs.iter().copied().map(Some).collect(),
        attributes: vec![],
    }
}

fn input(value: ValueId) -> Input {
    Input { value, dtype: None, shape: None }
}

fn body(inputs: &[ValueId], nodes: Vec<Node>, outputs: &[ValueId]) -> Attribute {
    let inputs = inputs.iter().copied().map(input).collect();
    Attribute::Body(Box::new(Body { inputs, outputs: outputs.to_vec(), nodes, weights: vec![] }))
}

/// `x * two` if the sum of `x` is above zero, else `x + two`.
fn branches(same: bool, size: Dim) -> Program {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[size]);
    let two = builder.weight("two", &Tensor::scalar(2f32));
    let zero = builder.weight("zero", &Tensor::scalar(0f32));
    let axes = builder.weight("axes", &ints(&[0]));
    let sum = builder.node_attributes("ReduceSum", &[x, axes], &[("keepdims", Attribute::Int(0))]);
    let positive = builder.node("Greater", &[sum, zero]);
    let [product, total] = ["product", "total"].map(|name| builder.value(name));
    let other =
        if same { node("total", "Add", &[x, two], &[total]) } else { node("total", "Add", &[two, two], &[total]) };
    let bodies = [
        ("else_branch", body(&[], vec![other], &[total])),
        ("then_branch", body(&[], vec![node("product", "Mul", &[x, two], &[product])], &[product])),
    ];
    let y = builder.node_attributes("If", &[positive], &bodies);
    builder.output("y", y);
    builder.build()
}

#[test]
fn data_chooses_the_branch() {
    let prepared = prepare(&branches(true, fixed(2))).unwrap();
    for (x, expected) in [([3.0, 5.0], [6.0, 10.0]), ([-3.0, 1.0], [-1.0, 3.0]), ([1.0, 1.0], [2.0, 2.0])] {
        let outputs = run_within(&*prepared, &[floats(&[2], &x)], &RunBudget::default());
        assert_eq!(outputs, Ok(vec![floats(&[2], &expected)]), "{x:?}");
    }
    // With results of different shapes there is a plan for each value of a small input, and none for a large one.
    let outputs = run(&branches(false, fixed(2)), &[floats(&[2], &[-3.0, 1.0])]);
    assert_eq!(outputs, Ok(vec![Tensor::scalar(4f32)]));
    let large = run(&branches(false, symbol("n")), &[Tensor::zeros(DType::F32, [2000]).unwrap()]);
    assert_eq!(large.map_err(|error| error.code()), Err(Code::UnsupportedOperator));
}

/// The running sum of the rows of a sequence, from one end or the other, each row times a number from around the loop. The sequence
/// lies along `axis`.
fn running_sum(backward: bool, axis: i64) -> Program {
    let mut builder = ProgramBuilder::new();
    let start = builder.weight("start", &floats(&[2], &[0.0, 0.0]));
    let shape = if axis == 0 { [symbol("n"), fixed(2)] } else { [fixed(2), symbol("n")] };
    let x = builder.input("x", DType::F32, &shape);
    let factor = builder.input("factor", DType::F32, &[]);
    let [sum, item, scaled, next, out] = ["sum", "item", "scaled", "next", "out"].map(|name| builder.value(name));
    let nodes = vec![
        node("scaled", "Mul", &[item, factor], &[scaled]),
        node("add", "Add", &[sum, scaled], &[next]),
        node("out", "Identity", &[next], &[out]),
    ];
    let [last, sums] = ["last", "sums"].map(|name| builder.value(name));
    let direction = || Attribute::Ints(vec![i64::from(backward)]);
    builder.node_with(Node {
        attributes: vec![
            ("body".into(), body(&[sum, item], nodes, &[next, out])),
            ("num_scan_inputs".into(), Attribute::Int(1)),
            ("scan_input_axes".into(), Attribute::Ints(vec![axis])),
            ("scan_input_directions".into(), direction()),
            ("scan_output_axes".into(), Attribute::Ints(vec![axis - 2])),
            ("scan_output_directions".into(), direction()),
        ],
        ..node("scan", "Scan", &[start, x], &[last, sums])
    });
    builder.output("last", last);
    builder.output("sums", sums);
    builder.build()
}

#[test]
fn a_scan_goes_along_any_axis_from_either_end() {
    let two = Tensor::scalar(2f32);
    for (backward, sums) in
        [(false, [[2.0, 6.0, 12.0], [20.0, 42.0, 66.0]]), (true, [[12.0, 10.0, 6.0], [66.0, 46.0, 24.0]])]
    {
        let prepared = prepare(&running_sum(backward, 1)).unwrap();
        let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 10.0, 11.0, 12.0]);
        for _ in 0..2 {
            let outputs = run_within(&*prepared, &[x.clone(), two.clone()], &RunBudget::default());
            assert_eq!(
                outputs,
                Ok(vec![floats(&[2], &[12.0, 66.0]), floats(&[2, 3], sums.as_flattened())]),
                "{backward}"
            );
        }
        let prepared = prepare(&running_sum(backward, 0)).unwrap();
        for rows in [4_usize, 1, 0] {
            let values: Vec<f32> = (0..2 * rows).map(|i| i as f32).collect();
            let mut sums = vec![0.0; 2 * rows];
            let mut sum = [0.0, 0.0];
            for row in 0..rows {
                let row = if backward { rows - 1 - row } else { row };
                for col in 0..2 {
                    sum[col] += 2.0 * values[2 * row + col];
                    sums[2 * row + col] = sum[col];
                }
            }
            let outputs = run_within(&*prepared, &[floats(&[rows, 2], &values), two.clone()], &RunBudget::default());
            assert_eq!(outputs, Ok(vec![floats(&[2], &sum), floats(&[rows, 2], &sums)]), "{rows} rows, {backward}");
        }
    }
}

/// Two numbers that change places and grow in each step, and how it ends: after so many steps, and when the sum is above a limit.
fn exchange(counted: bool, limited: bool, collected: bool) -> Program {
    let mut builder = ProgramBuilder::new();
    let count = builder.input("count", DType::I64, &[]);
    let (a, b) = (builder.input("a", DType::F32, &[]), builder.input("b", DType::F32, &[]));
    let limit = builder.weight("limit", &Tensor::scalar(100f32));
    let one = builder.weight("one", &Tensor::scalar(1f32));
    let names = ["step", "going", "first", "second", "grown", "same", "sum", "below", "numbered"];
    let [step, going, first, second, grown, same, sum, below, numbered] = names.map(|name| builder.value(name));
    let mut nodes = vec![
        node("grown", "Add", &[second, one], &[grown]),
        node("same", "Identity", &[first], &[same]),
        node("sum", "Add", &[grown, same], &[sum]),
    ];
    let test = if limited {
        node("below", "Less", &[sum, limit], &[below])
    } else {
        node("below", "Identity", &[going], &[below])
    };
    nodes.push(test);
    nodes.push(Node {
        attributes: vec![("to".into(), Attribute::Int(1))],
        ..node("numbered", "Cast", &[step], &[numbered])
    });
    let mut results = vec![below, grown, same];
    let [x, y, steps] = ["x", "y", "steps"].map(|name| builder.value(name));
    let mut outputs = vec![x, y];
    if collected {
        results.push(numbered);
        outputs.push(steps);
    }
    let mut it = node("loop", "Loop", &[count, count, a, b], &outputs);
    it.inputs[1] = None;
    if !counted {
        it.inputs[0] = None;
    }
    it.attributes = vec![("body".into(), body(&[step, going, first, second], nodes, &results))];
    builder.node_with(it);
    builder.output("x", x);
    builder.output("y", y);
    if collected {
        builder.output("steps", steps);
    } else {
        let unused = builder.node("Identity", &[count]);
        builder.output("count", unused);
    }
    builder.build()
}

/// What [`exchange`] has in the end.
fn exchanged(most: usize, limit: f32) -> [Tensor; 2] {
    let (mut a, mut b) = (1f32, 50f32);
    for _ in 0..most {
        (a, b) = (b + 1.0, a);
        if a + b >= limit {
            break;
        }
    }
    [Tensor::scalar(a), Tensor::scalar(b)]
}

#[test]
fn a_loop_ends_after_so_many_steps_or_when_data_says_so() {
    let start = |count: i64| [Tensor::scalar(count), Tensor::scalar(1f32), Tensor::scalar(50f32)];
    for (counted, limited, most, limit) in
        [(true, false, 5, f32::INFINITY), (true, true, 5, 100.0), (true, true, 1000, 100.0), (false, true, 1000, 100.0)]
    {
        let prepared = prepare(&exchange(counted, limited, false)).unwrap();
        let count = i64::try_from(most).unwrap();
        let outputs = run_within(&*prepared, &start(count), &RunBudget::default()).unwrap();
        assert_eq!(outputs[..2], exchanged(most, limit), "{counted} {limited} {most}");
    }
    let prepared = prepare(&exchange(true, false, true)).unwrap();
    for count in [3_usize, 0, 2] {
        let numbers: Vec<f32> = (0..count).map(|step| step as f32).collect();
        let outputs = run_within(&*prepared, &start(count as i64), &RunBudget::default()).unwrap();
        assert_eq!(outputs[..2], exchanged(count, f32::INFINITY));
        assert_eq!(outputs[2], floats(&[count], &numbers));
    }
    assert!(run(&exchange(true, true, false), &start(-1)).is_ok_and(|outputs| outputs[..2] == exchanged(0, 0.0)));
    // How much is collected is not known, and what never ends is not begun.
    let refused = |program: &Program| prepare(program).err().map(|error| error.code());
    assert_eq!(refused(&exchange(true, true, true)), Some(Code::UnsupportedOperator));
    assert_eq!(refused(&exchange(false, false, false)), Some(Code::UnsupportedOperator));
}

#[test]
fn a_loop_stops_between_the_operators_of_its_body() {
    let prepared = prepare(&running_sum(false, 0)).unwrap();
    let inputs = [Tensor::zeros(DType::F32, [5, 2]).unwrap(), Tensor::scalar(1f32)];
    // The first run with inputs of a size plans for it.
    run_within(&*prepared, &inputs, &RunBudget::default()).unwrap();
    let mut stops = 0;
    for question in 1.. {
        let stop = StopAt(question.into());
        match run_within(&*prepared, &inputs, &RunBudget { watch: Some(&stop), ..RunBudget::default() }) {
            Ok(_) => break,
            Err(EngineError::Interrupted { node, .. }) if node == "scan" => stops += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(stops > 2 * 5, "{stops}");
}

#[test]
fn memory_of_programs_inside_is_planned() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[fixed(1)]);
    let zero = builder.weight("zero", &Tensor::scalar(0f32));
    let shape = builder.weight("shape", &ints(&[1 << 20]));
    let axes = builder.weight("axes", &ints(&[0]));
    let sum = builder.node_attributes("ReduceSum", &[x, axes], &[("keepdims", Attribute::Int(0))]);
    let positive = builder.node("Greater", &[sum, zero]);
    let names = ["large", "exponentials", "sum of them", "small"];
    let [large, exponentials, total, small] = names.map(|name| builder.value(name));
    let then = vec![
        node("large", "Expand", &[x, shape], &[large]),
        node("exponentials", "Exp", &[large], &[exponentials]),
        node("sum of them", "ReduceSum", &[exponentials, axes], &[total]),
    ];
    let bodies = [
        ("else_branch", body(&[], vec![node("small", "Exp", &[x], &[small])], &[small])),
        ("then_branch", body(&[], then, &[total])),
    ];
    let y = builder.node_attributes("If", &[positive], &bodies);
    builder.output("y", y);
    let prepared = prepare(&builder.build()).unwrap();
    let outputs = run_within(&*prepared, &[floats(&[1], &[-1.0])], &RunBudget::default()).unwrap();
    assert!((outputs[0].as_slice::<f32>().unwrap()[0] - (-1f32).exp()).abs() < 1e-6);
    assert!(prepared.memory().peak_bytes >= 4 << 20, "{:?}", prepared.memory());
    let small = RunBudget { memory_bytes: Some(64 << 10), ..RunBudget::default() };
    let refused = run_within(&*prepared, &[floats(&[1], &[1.0])], &small);
    assert_eq!(refused.map_err(|error| error.code()), Err(Code::MemoryBudget));
}
