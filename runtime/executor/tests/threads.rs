//! Threads change no bit of an answer, however many there are and whatever they do.

mod support;

use pannier_engine::{DType, Dim, Prepared, Program, ProgramBuilder, RunBudget, Tensor, TensorView};
use pannier_executor::{Executor, ParkedThreads, ThreadPool};
use pannier_graph::Attribute;
use std::sync::Arc;

fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 500.0 - 0.1).collect();
    Tensor::from_slice(shape, &values).unwrap()
}

/// Everything that is shared: convolutions by rows and by channels, products by rows, columns and batches, elementwise work.
fn program() -> (Program, Vec<Tensor>) {
    let mut builder = ProgramBuilder::new();
    let (image, line) = (numbers(&[1, 3, 61, 67], 1), numbers(&[1, 48, 203], 2));
    let mut input = |name: &str, tensor: &Tensor| {
        let dims: Vec<Dim> = tensor.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect();
        builder.input(name, DType::F32, &dims)
    };
    let (x, z) = (input("x", &image), input("z", &line));
    let mut weights = 0;
    let mut weight = |builder: &mut ProgramBuilder, shape: &[usize]| {
        weights += 1;
        builder.weight(&format!("w{weights}"), &numbers(shape, weights))
    };
    let pads = |count| ("pads", Attribute::Ints(vec![1; count]));
    let w = weight(&mut builder, &[32, 3, 3, 3]);
    let y = builder.node_attributes("Conv", &[x, w], &[pads(4)]);
    let y = builder.node("Relu", &[y]);
    let w = weight(&mut builder, &[48, 32, 3, 3]);
    let wide = builder.node_attributes("Conv", &[y, w], &[pads(4)]);
    let w = weight(&mut builder, &[48, 1, 5, 5]);
    let deep = builder.node_attributes(
        "Conv",
        &[wide, w],
        &[("group", Attribute::Int(48)), ("pads", Attribute::Ints(vec![2; 4]))],
    );
    let both = builder.node("Add", &[wide, deep]);
    let w = weight(&mut builder, &[96, 48, 1, 1]);
    let y = builder.node("Conv", &[both, w]);
    let y = builder.node("HardSwish", &[y]);
    builder.output("image", y);
    let w = weight(&mut builder, &[200, 48, 5]);
    let y = builder.node("Conv", &[z, w]);
    let y = builder.node("Sigmoid", &[y]);
    let w = weight(&mut builder, &[199, 333]);
    let by_rows = builder.node("MatMul", &[y, w]);
    builder.output("line", by_rows);
    let turned = builder.node_attributes("Transpose", &[deep], &[("perm", Attribute::Ints(vec![0, 1, 3, 2]))]);
    let by_batch = builder.node("MatMul", &[deep, turned]);
    let by_batch = builder.node_attributes("Softmax", &[by_batch], &[("axis", Attribute::Int(-1))]);
    builder.output("batch", by_batch);
    let few = builder.node("GlobalAveragePool", &[deep]);
    let few = builder.node_attributes("Flatten", &[few], &[("axis", Attribute::Int(1))]);
    let w = weight(&mut builder, &[48, 40_000]);
    let by_columns = builder.node("MatMul", &[few, w]);
    builder.output("columns", by_columns);
    (builder.build(), vec![image, line])
}

/// Does what a pool must not: leaves numbers out, or comes twice.
#[derive(Debug)]
struct Unruly(usize);

impl ThreadPool for Unruly {
    fn threads(&self) -> usize {
        4
    }

    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        for index in (0..tasks + 3).filter(|index| index % 2 == self.0) {
            task(index);
            task(index);
        }
    }
}

fn answers(executor: &Executor, program: &Program, inputs: &[TensorView<'_>]) -> Vec<Tensor> {
    let prepared = executor.compile(program, &RunBudget::default()).unwrap();
    prepared.run(inputs, &RunBudget::default()).unwrap();
    prepared.run(inputs, &RunBudget::default()).unwrap()
}

fn pools() -> Vec<Arc<dyn ThreadPool>> {
    let parked = [1, 2, 3, 7].map(|threads| Arc::new(ParkedThreads::new(threads)) as Arc<dyn ThreadPool>);
    let unruly = [0, 1, 2].map(|kind| Arc::new(Unruly(kind)) as Arc<dyn ThreadPool>);
    parked.into_iter().chain(unruly).collect()
}

#[test]
fn answers_have_the_same_bits_with_any_number_of_threads() {
    let (program, inputs) = program();
    let inputs: Vec<_> = inputs.iter().map(Tensor::view).collect();
    for executor in [Executor::new(), Executor::deterministic()] {
        let expected = answers(&executor, &program, &inputs);
        for pool in pools() {
            let threads = pool.threads();
            let found = answers(&executor.clone().with_pool(pool), &program, &inputs);
            assert!(found == expected, "{threads} threads change an answer of {executor:?}");
        }
    }
}

#[test]
fn real_models_have_the_same_bits_with_two_threads() {
    for name in support::MODELS {
        let Ok((bundle, file)) = support::model(name) else { continue };
        let program = support::program(&bundle);
        let case = support::cases(&file, 1).remove(0);
        let inputs = program.graph.body.inputs.iter().map(|input| &case.inputs[program.graph.value_name(input.value)]);
        let inputs: Vec<_> = inputs.map(Tensor::view).collect();
        let pool = Arc::new(ParkedThreads::new(2));
        let expected = answers(&Executor::new(), &program, &inputs);
        assert!(answers(&Executor::new().with_pool(pool), &program, &inputs) == expected, "{name}");
    }
}

#[test]
fn runs_at_the_same_time_share_one_pool() {
    let (program, inputs) = program();
    let inputs: Vec<_> = inputs.iter().map(Tensor::view).collect();
    let executor = Executor::new().with_pool(Arc::new(ParkedThreads::new(3)));
    let prepared = executor.compile(&program, &RunBudget::default()).unwrap();
    let expected = prepared.run(&inputs, &RunBudget::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert!(prepared.run(&inputs, &RunBudget::default()).unwrap() == expected);
                }
            });
        }
    });
}
