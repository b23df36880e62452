//! The five real models give the answers of ONNX Runtime.

mod support;

use pannier_engine::{Prepared, RunBudget};
use pannier_executor::Executor;
use support::{MODELS, cases, excess, model, program};

fn answers_like_onnx_runtime(executor: &Executor, name: &str, most: usize) {
    let (bundle, file) = match model(name) {
        Ok(paths) => paths,
        Err(reason) => return eprintln!("{name}: skipped: {reason}"),
    };
    let program = program(&bundle);
    let prepared = executor.compile(&program, &RunBudget::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut worst = 0.0f32;
    for (index, case) in cases(&file, most).iter().enumerate() {
        let inputs = program.graph.body.inputs.iter().map(|input| &case.inputs[program.graph.value_name(input.value)]);
        let inputs: Vec<_> = inputs.map(|tensor| tensor.view()).collect();
        let outputs = prepared.run(&inputs, &RunBudget::default());
        let outputs = outputs.unwrap_or_else(|error| panic!("{name}, case {index}: {error}"));
        for (value, found) in program.graph.body.outputs.iter().zip(&outputs) {
            let output = program.graph.value_name(*value);
            let (excess, difference) = excess(found, &case.outputs[output]);
            assert!(excess <= 0.0, "{name}, case {index}, output `{output}`: differs by {difference:e}");
            worst = worst.max(difference);
        }
    }
    let memory = prepared.memory();
    assert!(memory.planned && memory.peak_bytes > 0, "{name}: {memory:?}");
    eprintln!("{name}: largest difference {worst:.1e}, {memory:?}");
}

#[test]
fn real_models_answer_like_onnx_runtime() {
    for name in MODELS {
        answers_like_onnx_runtime(&Executor::new(), name, 8);
    }
}

#[test]
fn deterministic_kernels_answer_like_onnx_runtime() {
    for name in MODELS {
        answers_like_onnx_runtime(&Executor::deterministic(), name, 1);
    }
}
