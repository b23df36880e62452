//! A run allocates nothing but its results.

use pannier_engine::{DType, Dim, Engine, ProgramBuilder, RunBudget, Tensor};
use pannier_executor::Executor;
use pannier_graph::Attribute;

#[path = "../../tests/support/counting.rs"]
mod counting;

/// Convolutions with all that goes with them, as many times over as is asked for.
fn allocations(layers: usize) -> usize {
    let mut builder = ProgramBuilder::new();
    let input = |size: &[u64]| size.iter().map(|size| Dim::Fixed(*size)).collect::<Vec<_>>();
    let mut x = builder.input("x", DType::F32, &input(&[1, 8, 12, 12]));
    let weights = Tensor::from_slice([8, 8, 3, 3], &[0.01f32; 576]).unwrap();
    for layer in 0..layers {
        let w = builder.weight(&format!("w{layer}"), &weights);
        let before = x;
        x = builder.node_attributes("Conv", &[x, w], &[("pads", Attribute::Ints(vec![1; 4]))]);
        x = builder.node("Relu", &[x]);
        x = builder.node("Add", &[x, before]);
        let gate = builder.node("GlobalAveragePool", &[x]);
        x = builder.node("Mul", &[x, gate]);
        x = builder.node_attributes("Softmax", &[x], &[("axis", Attribute::Int(-1))]);
    }
    builder.output("y", x);
    let prepared = Executor::new().prepare(&builder.build(), &RunBudget::default()).unwrap();
    let x = Tensor::zeros(DType::F32, [1, 8, 12, 12]).unwrap();
    let inputs = [x.view()];
    prepared.run(&inputs, &RunBudget::default()).unwrap();
    let before = counting::allocations();
    let outputs = prepared.run(&inputs, &RunBudget::default()).unwrap();
    let count = counting::allocations() - before;
    drop(outputs);
    count
}

#[test]
fn a_run_allocates_as_much_for_many_operators_as_for_few() {
    let (few, many) = (allocations(1), allocations(12));
    assert_eq!(few, many);
    assert!(many <= 6, "{many} allocations for one result");
}
