//! Whole programs: shapes that stay on the CPU, budgets, refusals, asynchronous runs.

use crate::support::{F32, Numbers, list, run};
use pannier_engine::{
    Cancel, Code, DType, Dim, Engine, EngineError, Interrupt, ProgramBuilder, RunBudget, Tensor, Watch,
};
use pannier_engine_burn::Burn;
use pannier_graph::Attribute;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

fn symbols(names: &[&str]) -> Vec<Dim> {
    names.iter().map(|name| Dim::Symbol((*name).into())).collect()
}

/// `y = relu(x w + b)` over `[n, 3]`, with a shape that the graph computes: `[2, -1]`.
fn small() -> ProgramBuilder {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", F32, &[Dim::Symbol("n".into()), Dim::Fixed(3)]);
    let w = builder.weight("w", &Tensor::from_slice([3, 4], &[0.5f32; 12]).unwrap());
    let b = builder.weight("b", &Tensor::from_slice([4], &[0.0f32, -1.0, 1.0, -9.0]).unwrap());
    let product = builder.node("MatMul", &[x, w]);
    let sum = builder.node("Add", &[product, b]);
    let y = builder.node("Relu", &[sum]);
    let shape = builder.node("Shape", &[y]);
    let (zero, two) = (builder.weight("zero", &list(&[0])), builder.weight("two", &list(&[2])));
    let rows = builder.node("Gather", &[shape, zero]);
    let open = builder.node("Div", &[rows, two]);
    let four = builder.weight("four", &list(&[4]));
    let columns = builder.node("Mul", &[open, four]);
    let target = builder.node_attributes("Concat", &[two, columns], &[("axis", Attribute::Int(0))]);
    let y = builder.node("Reshape", &[y, target]);
    builder.output("y", y);
    builder.output("target", target);
    builder
}

fn rows(count: usize) -> Tensor {
    Tensor::from_slice([count, 3], &vec![1.0f32; count * 3]).unwrap()
}

#[test]
fn shapes_are_computed_where_they_are_known() {
    let outputs = run(&Burn::flex(), &small().build(), &[rows(4)]).unwrap();
    assert_eq!((outputs[0].shape(), outputs[1].as_slice::<i64>()), (&[2, 8][..], Some(&[2, 8][..])));
    let row = [1.5f32, 0.5, 2.5, 0.0];
    assert_eq!(outputs[0].as_slice::<f32>(), Some(&[row; 4].concat()[..]));
}

#[test]
fn a_run_that_must_not_block_gives_the_same_answer() {
    let prepared = Burn::flex().prepare(&small().build(), &RunBudget::default()).unwrap();
    let x = rows(2);
    let inputs = [x.view()];
    let answer = pin!(prepared.run_async(&inputs, RunBudget::default())).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(answer, Poll::Ready(prepared.run(&inputs, &RunBudget::default())));
}

#[test]
fn memory_is_counted_and_kept() {
    let prepared = Burn::flex().prepare(&small().build(), &RunBudget::default()).unwrap();
    assert_eq!(prepared.memory().weight_bytes, 4 * (12 + 4));
    let x = rows(2000);
    let inputs = [x.view()];
    prepared.run(&inputs, &RunBudget::default()).unwrap();
    // The input, and the operands and the result of one operator at a time.
    let (input, layer) = (2000 * 3 * 4, 2000 * 4 * 4);
    let peak_bytes = prepared.memory().peak_bytes;
    assert!((input + layer..=3 * layer + 1000).contains(&peak_bytes), "{peak_bytes}");
    let budget = RunBudget { memory_bytes: Some(input + layer - 1), watch: None };
    let error = prepared.run(&inputs, &budget).unwrap_err();
    assert!(matches!(&error, EngineError::MemoryBudget { node, .. } if node == "matmul_0"), "{error}");
    prepared.run(&inputs, &RunBudget { memory_bytes: Some(peak_bytes), watch: None }).unwrap();
}

/// Stops after so many questions.
struct After(AtomicUsize);

impl Watch for After {
    fn check(&self) -> Result<(), Interrupt> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Interrupt::Deadline)
    }
}

#[test]
fn a_watch_is_asked_between_operators_and_between_weights() {
    let program = small().build();
    let cancel = Cancel::new();
    cancel.cancel();
    let budget = RunBudget { memory_bytes: None, watch: Some(&cancel) };
    assert_eq!(Burn::flex().prepare(&program, &budget).err().map(|error| error.code()), Some(Code::Interrupted));
    let prepared = Burn::flex().prepare(&program, &RunBudget::default()).unwrap();
    let (x, watch) = (rows(2), After(AtomicUsize::new(2)));
    let error = prepared.run(&[x.view()], &RunBudget { memory_bytes: None, watch: Some(&watch) }).unwrap_err();
    assert_eq!(error, EngineError::Interrupted { node: "relu_2".into(), why: Interrupt::Deadline });
}

#[test]
fn what_is_missing_is_named_before_anything_runs() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", F32, &symbols(&["n"]));
    let y = builder.node("NonZero", &[x]);
    let target = builder.node_attributes("Cast", &[x], &[("to", Attribute::Int(7))]);
    let doubled = builder.node("Exp", &[x]);
    let computed = builder.node_attributes("Cast", &[doubled], &[("to", Attribute::Int(7))]);
    let z = builder.node("Reshape", &[x, computed]);
    builder.output("y", y);
    builder.output("z", z);
    builder.output("target", target);
    let missing = Burn::flex().supports(&builder.build().graph).unwrap_err();
    let found: Vec<_> = missing.iter().map(|missing| (missing.op.as_str(), missing.reason.as_str())).collect();
    assert_eq!(found, [("NonZero", "operator"), ("Reshape", "operand 1 depends on data")]);
}

#[test]
fn what_does_not_fit_is_an_error_and_no_panic() {
    let one = |op: &str, shapes: &[&[usize]], attributes: &[(&str, Attribute)]| {
        let mut builder = ProgramBuilder::new();
        let mut numbers = Numbers(9);
        let inputs: Vec<Tensor> = shapes.iter().map(|shape| numbers.floats(shape, 0.0, 1.0)).collect();
        let ids: Vec<_> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| {
                let shape: Vec<Dim> = input.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect();
                builder.input(&format!("x{index}"), F32, &shape)
            })
            .collect();
        let y = builder.node_attributes(op, &ids, attributes);
        builder.output("y", y);
        run(&Burn::flex(), &builder.build(), &inputs).map_err(|error| error.code())
    };
    let ints = |values: &[i64]| Attribute::Ints(values.to_vec());
    let huge = ints(&[i64::MAX; 4]);
    let cases: Vec<(&str, Result<Vec<Tensor>, Code>)> = vec![
        ("MatMul", one("MatMul", &[&[2, 3], &[4, 5]], &[])),
        ("MatMul of a scalar", one("MatMul", &[&[], &[4, 5]], &[])),
        ("Add", one("Add", &[&[2, 3], &[4]], &[])),
        ("no operand", one("Add", &[&[2, 3]], &[])),
        ("Conv, channels", one("Conv", &[&[1, 3, 4, 4], &[2, 4, 1, 1]], &[])),
        ("Conv, pads", one("Conv", &[&[1, 3, 4, 4], &[2, 3, 1, 1]], &[("pads", huge.clone())])),
        ("Conv, strides", one("Conv", &[&[1, 3, 4, 4], &[2, 3, 1, 1]], &[("strides", ints(&[0, 0]))])),
        ("Conv, kernel", one("Conv", &[&[1, 3, 4, 4], &[2, 3, 5, 5]], &[])),
        ("Conv, groups", one("Conv", &[&[1, 3, 4, 4], &[2, 3, 1, 1]], &[("group", Attribute::Int(0))])),
        ("ConvTranspose", one("ConvTranspose", &[&[1, 3, 4, 4], &[3, 3, 1, 1]], &[("strides", huge.clone())])),
        ("MaxPool", one("MaxPool", &[&[1, 3, 4, 4]], &[("kernel_shape", ints(&[9, 9]))])),
        ("MaxPool, kernel", one("MaxPool", &[&[1, 3, 4, 4]], &[("kernel_shape", ints(&[0, i64::MAX]))])),
        ("Softmax", one("Softmax", &[&[2]], &[("axis", Attribute::Int(5))])),
        ("Softmax, attribute", one("Softmax", &[&[2]], &[("axis", Attribute::Float(0.0))])),
        ("Transpose", one("Transpose", &[&[2, 3]], &[("perm", ints(&[0, 0]))])),
        ("Concat", one("Concat", &[&[2, 3], &[3, 2]], &[("axis", Attribute::Int(0))])),
        ("Flatten", one("Flatten", &[&[2, 3]], &[("axis", Attribute::Int(i64::MIN))])),
        ("LayerNormalization", one("LayerNormalization", &[&[2, 3], &[4]], &[])),
        ("Attention", one("Attention", &[&[2, 3], &[2, 3], &[2, 3]], &[])),
        ("DepthToSpace", one("DepthToSpace", &[&[1, 3, 2, 2]], &[("blocksize", Attribute::Int(i64::MAX))])),
        ("LSTM", one("LSTM", &[&[2, 3, 4], &[1, 5, 4], &[1, 5, 3]], &[])),
        ("Gemm", one("Gemm", &[&[2, 3, 4], &[4, 2]], &[])),
        (
            "GroupNormalization",
            one("GroupNormalization", &[&[1, 3, 2], &[3], &[3]], &[("num_groups", Attribute::Int(2))]),
        ),
    ];
    let panicked = |error: &Code| *error == Code::Failed;
    let wrong: Vec<_> = cases.iter().filter(|(_, found)| found.as_ref().err().is_none_or(panicked)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_tensor_beyond_the_budget_is_refused_before_it_is_allocated() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", F32, &[Dim::Fixed(1)]);
    let shape = builder.weight("shape", &list(&[1 << 20, 1 << 20]));
    let y = builder.node("Expand", &[x, shape]);
    builder.output("y", y);
    let prepared = Burn::flex().prepare(&builder.build(), &RunBudget::default()).unwrap();
    let x = Tensor::from_slice([1], &[1.0f32]).unwrap();
    let budget = RunBudget { memory_bytes: Some(1 << 30), watch: None };
    let error = prepared.run(&[x.view()], &budget).unwrap_err();
    assert_eq!(error.code(), Code::MemoryBudget, "{error}");
}

#[test]
fn constants_ranges_and_casts_of_integers_stay_on_the_cpu() {
    let mut builder = ProgramBuilder::new();
    let n = builder.input("n", DType::I64, &[]);
    let (zero, one) = (builder.weight("zero", &Tensor::scalar(0i64)), builder.weight("one", &Tensor::scalar(1i64)));
    let range = builder.node("Range", &[zero, n, one]);
    let constant = builder.node_attributes("Constant", &[], &[("value_ints", Attribute::Ints(vec![2, -1]))]);
    let table = builder.node("Reshape", &[range, constant]);
    let size = builder.node("Size", &[table]);
    let like = builder.weight("like", &Tensor::scalar(0f32));
    let halves = builder.node("CastLike", &[table, like]);
    let scaled = builder.node("Swish", &[halves]);
    let shape = builder.weight("shape", &list(&[2, 3]));
    let filled = builder.node("ConstantOfShape", &[shape]);
    let summed = builder.node("Add", &[scaled, filled]);
    let kept = builder.node("Dropout", &[summed]);
    builder.output("table", table);
    builder.output("size", size);
    builder.output("kept", kept);
    let outputs = run(&Burn::flex(), &builder.build(), &[Tensor::scalar(6i64)]).unwrap();
    assert_eq!(outputs[0], Tensor::from_slice([2, 3], &[0i64, 1, 2, 3, 4, 5]).unwrap());
    assert_eq!(outputs[1], Tensor::scalar(6i64));
    let expected: Vec<f32> = (0..6).map(|x| x as f32 / (1.0 + (-x as f32).exp())).collect();
    let found = outputs[2].as_slice::<f32>().unwrap();
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}, expected {expected:?}");
}
