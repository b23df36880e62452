//! Small programs, end to end.
use pannier_engine::{DType, Dim, Engine, ProgramBuilder, RunBudget, Tensor};
use pannier_engine_tract::TractEngine;

#[test]
fn adds() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[Dim::Symbol("n".into())]);
    let half = builder.weight("half", &Tensor::scalar(0.5f32));
    let y = builder.node("Mul", &[x, half]);
    builder.output("y", y);
    let shape = builder.node("Shape", &[y]);
    builder.output("shape", shape);
    let program = builder.build();
    let prepared = TractEngine::new().prepare(&program, &RunBudget::default());
    let prepared = prepared.map_err(|e| eprintln!("{e}")).unwrap();
    let out = prepared.run(&[Tensor::from_slice([3], &[1f32, 2., 3.]).unwrap().view()], &RunBudget::default());
    println!("{out:?} {:?}", TractEngine::new().infer(&program));
}
