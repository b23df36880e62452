//! Loops and branches: their answers, and that budgets hold inside of them.

use super::{StopAt, fixed, floats, prepare, run, run_within, symbol};
use pannier_engine::{Code, DType, EngineError, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_graph::{Attribute, Body, Input, Node, ValueId};
use std::collections::BTreeMap;

fn node(name: &str, op: &str, inputs: &[ValueId], output: ValueId) -> Node {
    Node {
        name: name.into(),
        domain: String::new(),
        op: op.into(),
        inputs: inputs.iter().copied().map(Some).collect(),
        outputs: vec![Some(output)],
        attributes: vec![],
    }
}

#[test]
fn branches_see_the_values_around_them() {
    let mut builder = ProgramBuilder::new();
    let flag = builder.input("flag", DType::Bool, &[]);
    let x = builder.input("x", DType::F32, &[fixed(2)]);
    let two = builder.weight("two", &Tensor::scalar(2f32));
    let mut branch = |op: &str| {
        let output = builder.value(&format!("{op} of x"));
        let node = Node {
            name: op.into(),
            domain: String::new(),
            op: op.into(),
            inputs: vec![Some(x), Some(two)],
            outputs: vec![Some(output)],
            attributes: vec![],
        };
        Attribute::Body(Box::new(Body { nodes: vec![node], outputs: vec![output], ..Body::default() }))
    };
    let branches = [("then_branch", branch("Mul")), ("else_branch", branch("Add"))];
    let y = builder.node_attributes("If", &[flag], &branches);
    builder.output("y", y);
    let program = builder.build();
    for (flag, expected) in [(true, [6.0, 10.0]), (false, [5.0, 7.0])] {
        let inputs = [Tensor::from_bools([], &[flag]).unwrap(), floats(&[2], &[3.0, 5.0])];
        assert_eq!(run(&program, &inputs), Ok(vec![floats(&[2], &expected)]), "{flag}");
    }
}

/// The running sum of a sequence of numbers from one end or the other.
fn running_sum(backward: bool) -> Program {
    let mut builder = ProgramBuilder::new();
    let start = builder.weight("start", &Tensor::scalar(0f32));
    let x = builder.input("x", DType::F32, &[symbol("n")]);
    let [sum, item, next, out] = ["sum", "item", "next", "out"].map(|name| builder.value(name));
    let input = |value| Input { value, dtype: Some(DType::F32), shape: Some(vec![]) };
    let body = Body {
        inputs: vec![input(sum), input(item)],
        outputs: vec![next, out],
        nodes: vec![node("add", "Add", &[sum, item], next), node("out", "Identity", &[next], out)],
        weights: vec![],
    };
    let [last, sums] = ["last", "sums"].map(|name| builder.value(name));
    let direction = || Attribute::Ints(vec![i64::from(backward)]);
    builder.node_with(Node {
        outputs: vec![Some(last), Some(sums)],
        attributes: vec![
            ("body".into(), Attribute::Body(Box::new(body))),
            ("num_scan_inputs".into(), Attribute::Int(1)),
            ("scan_input_directions".into(), direction()),
            ("scan_output_directions".into(), direction()),
        ],
        ..node("scan", "Scan", &[start, x], last)
    });
    builder.output("last", last);
    builder.output("sums", sums);
    builder.build()
}

#[test]
fn loops_start_afresh_in_every_run() {
    for (backward, sums) in [(false, [1.0, 3.0, 6.0]), (true, [6.0, 5.0, 3.0])] {
        let prepared = prepare(&running_sum(backward)).unwrap();
        for _ in 0..3 {
            let outputs = run_within(&*prepared, &[floats(&[3], &[1.0, 2.0, 3.0])], &RunBudget::default());
            assert_eq!(outputs, Ok(vec![Tensor::scalar(6f32), floats(&[3], &sums)]), "{backward}");
        }
        let one = run_within(&*prepared, &[floats(&[1], &[4.0])], &RunBudget::default());
        assert_eq!(one, Ok(vec![Tensor::scalar(4f32), floats(&[1], &[4.0])]), "{backward}");
    }
}

#[test]
fn a_loop_stops_between_the_operators_of_its_body() {
    let prepared = prepare(&running_sum(false)).unwrap();
    let items = 5;
    let x = Tensor::zeros(DType::F32, [items]).unwrap();
    // The first run with inputs of a size plans for it.
    prepared.run(&[x.view()], &RunBudget::default()).unwrap();
    let mut stops = BTreeMap::new();
    for question in 1.. {
        let stop = StopAt(question.into());
        match prepared.run(&[x.view()], &RunBudget { watch: Some(&stop), ..RunBudget::default() }) {
            Ok(_) => break,
            Err(EngineError::Interrupted { node, .. }) => *stops.entry(node).or_insert(0) += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(stops.get("add") >= Some(&items), "{stops:?}");
    // Whatever is asked before is named by an operator of the program, too, and by none of the values between them.
    assert!(stops.keys().all(|node| ["add", "out", "scan"].contains(&node.as_str())), "{stops:?}");
}

#[test]
fn memory_is_counted_inside_of_branches() {
    let mut builder = ProgramBuilder::new();
    let flag = builder.input("flag", DType::Bool, &[]);
    let x = builder.input("x", DType::F32, &[fixed(1)]);
    let shape = builder.weight("shape", &super::ints(&[1 << 20]));
    let axes = builder.weight("axes", &super::ints(&[0]));
    let names = ["large", "exponentials", "sum", "small"];
    let [large, exponentials, sum, small] = names.map(|name| builder.value(name));
    let body =
        |nodes: Vec<Node>, output| Attribute::Body(Box::new(Body { nodes, outputs: vec![output], ..Body::default() }));
    let then = vec![
        node("large", "Expand", &[x, shape], large),
        node("exponentials", "Exp", &[large], exponentials),
        node("sum", "ReduceSum", &[exponentials, axes], sum),
    ];
    let branches =
        [("then_branch", body(then, sum)), ("else_branch", body(vec![node("small", "Exp", &[x], small)], small))];
    let y = builder.node_attributes("If", &[flag], &branches);
    builder.output("y", y);
    let prepared = prepare(&builder.build()).unwrap();
    let within = |flag: bool, memory_bytes| {
        let inputs = [Tensor::from_bools([], &[flag]).unwrap(), floats(&[1], &[0.0])];
        run_within(&*prepared, &inputs, &RunBudget { memory_bytes: Some(memory_bytes), ..RunBudget::default() })
    };
    assert_eq!(within(true, 64 << 20), Ok(vec![floats(&[1], &[1_048_576.0])]));
    assert_eq!(within(false, 64 << 10), Ok(vec![floats(&[1], &[1.0])]));
    assert_eq!(within(true, 64 << 10).map_err(|error| error.code()), Err(Code::MemoryBudget));
    assert!(prepared.memory().peak_bytes >= 4 << 20, "{:?}", prepared.memory());
}
