//! Models that are valid and want too much: stopped by a budget when they run, never by the machine.

use super::table::shape_weight;
use crate::support::onnx::{self, Onnx};
use crate::support::packager::packager;
use crate::support::program::session;
use crate::support::{Failures, temp_dir};
use pannier::{Code, Inputs, Options};
use pannier_engine::Tensor;
use pannier_engine_tract::TractEngine;
use pannier_graph::DType::{Bool, F32, I64};
use pannier_packager::import::{self, ImportOptions};
use std::time::{Duration, Instant};

/// More than any of these models needs when it behaves, far less than they ask for.
const MEMORY_BYTES: u64 = 64 << 20;
const DEADLINE: Duration = Duration::from_millis(500);
/// Budgets are checked between operators, so a run may be late by one of them.
const LATE: Duration = Duration::from_secs(10);

/// Rows and columns of the matrices of the slow operators: milliseconds for each product.
const SIDE: usize = 512;

struct Greedy {
    name: &'static str,
    model: Onnx,
    inputs: Vec<(&'static str, Tensor)>,
    codes: &'static [Code],
}

fn table() -> Vec<Greedy> {
    let shape = |dims: &[i64]| Tensor::from_slice([dims.len()], dims).expect("a shape");
    let one = || Tensor::from_slice([1], &[1.0_f32]).expect("a tensor");
    const REFUSED: &[Code] = &[Code::MemoryBudget, Code::UnsupportedOperator];
    vec![
        Greedy {
            name: "ConstantOfShape with 2^40 elements",
            model: Onnx::new(17)
                .input("shape", I64, "1")
                .node("ConstantOfShape", &["shape"], &["y"])
                .output("y", F32, "n"),
            inputs: vec![("shape", shape(&[1 << 40]))],
            codes: REFUSED,
        },
        Greedy {
            name: "ConstantOfShape with 2^63 elements",
            model: Onnx::new(17)
                .input("shape", I64, "2")
                .node("ConstantOfShape", &["shape"], &["y"])
                .output("y", F32, "n,m"),
            inputs: vec![("shape", shape(&[1 << 32, 1 << 31]))],
            codes: &[Code::MemoryBudget, Code::UnsupportedOperator, Code::Failed],
        },
        Greedy {
            name: "a constant shape of 2^40 elements is not folded into the bundle",
            model: Onnx::new(17)
                .input("x", F32, "1")
                .initializer(shape_weight(&[1 << 40]))
                .node("ConstantOfShape", &["shape"], &["c"])
                .node("Add", &["x", "c"], &["y"])
                .output("y", F32, "n"),
            inputs: vec![("x", one())],
            codes: REFUSED,
        },
        Greedy {
            name: "Expand to 2^40 elements",
            model: Onnx::new(17)
                .input("x", F32, "1")
                .initializer(shape_weight(&[1 << 20, 1 << 20]))
                .node("Expand", &["x", "shape"], &["c"])
                .node("Neg", &["c"], &["y"])
                .output("y", F32, "n,m"),
            inputs: vec![("x", one())],
            codes: REFUSED,
        },
        Greedy {
            name: "Tile that grows a hundredfold, five times",
            model: Onnx::new(17)
                .input("x", F32, "1")
                .ints("repeats", "1", &[100])
                .node("Tile", &["x", "repeats"], &["a"])
                .node("Tile", &["a", "repeats"], &["b"])
                .node("Tile", &["b", "repeats"], &["c"])
                .node("Tile", &["c", "repeats"], &["d"])
                .node("Tile", &["d", "repeats"], &["y"])
                .output("y", F32, "n"),
            inputs: vec![("x", one())],
            codes: REFUSED,
        },
        Greedy {
            name: "a Loop that never ends",
            model: endless_loop(),
            inputs: vec![("x", one())],
            codes: &[Code::Deadline, Code::UnsupportedOperator],
        },
        Greedy {
            name: "three thousand slow operators",
            model: slow_chain(3000),
            inputs: vec![("x", Tensor::from_slice([SIDE, SIDE], &vec![0.5_f32; SIDE * SIDE]).expect("a tensor"))],
            codes: &[Code::Deadline],
        },
    ]
}

/// `while true { x = -x }`
fn endless_loop() -> Onnx {
    let body = Onnx::new(17)
        .input("i", I64, "")
        .input("go_on", Bool, "")
        .input("carried", F32, "1")
        .node("Identity", &["go_on"], &["still"])
        .node("Neg", &["carried"], &["next"])
        .output("still", Bool, "")
        .output("next", F32, "1")
        .into_graph();
    Onnx::new(17)
        .input("x", F32, "1")
        .ints("trips", "", &[i64::MAX])
        .initializer(onnx::tensor("true", Bool, "", vec![1]))
        .node("Loop", &["trips", "true", "x"], &["y"])
        .with(onnx::graph("body", body))
        .output("y", F32, "1")
}

/// A matrix, multiplied with itself again and again.
fn slow_chain(length: usize) -> Onnx {
    let shape = format!("{SIDE},{SIDE}");
    let mut model = Onnx::new(17).input("x", F32, &shape);
    let mut before = "x".to_owned();
    for index in 0..length {
        let after = format!("v{index}");
        model = model.node("MatMul", &[&before, "x"], &[&after]);
        before = after;
    }
    model.output(&before, F32, &shape)
}

#[test]
fn a_greedy_model_is_stopped_by_its_budget() {
    let mut failures = Failures::default();
    for greedy in table() {
        failures.check(greedy.name, || {
            let started = Instant::now();
            let outcome = run(&greedy);
            let took = started.elapsed();
            match outcome {
                Ok(()) => Err("ran to its end".to_owned()),
                Err((code, message)) if !greedy.codes.contains(&code) => Err(format!("{code}: {message}")),
                Err(_) if took > DEADLINE + LATE => Err(format!("stopped only after {took:?}")),
                Err(_) => Ok(()),
            }
        });
    }
    failures.assert_none();
}

/// A build runs a model to make its self-test. One that wants too much gets a bundle without, or a clean refusal.
#[test]
fn packager_build_survives_a_greedy_model() {
    let mut failures = Failures::default();
    for greedy in table() {
        failures.check(greedy.name, || {
            let folder = temp_dir();
            greedy.model.save(folder.path());
            let ran = packager(folder.path(), ["build", "model.onnx", "-o", "out.pannier"]);
            let clean = [Code::MemoryBudget, Code::Deadline, Code::UnsupportedOperator].map(Code::exit_status);
            let written = folder.path().join("out.pannier").exists();
            match ran.status {
                Some(0) if written => Ok(()),
                Some(status) if clean.map(i32::from).contains(&status) && !written => Ok(()),
                status => Err(format!("exit status {status:?}, written: {written}: {}", ran.stderr)),
            }
        });
    }
    failures.assert_none();
}

fn run(greedy: &Greedy) -> Result<(), (Code, String)> {
    let folder = temp_dir();
    let path = greedy.model.save(folder.path());
    let imported = import::import(&path, &ImportOptions::default(), &TractEngine::new())
        .map_err(|error| (error.code(), error.to_string()))?;
    let options = Options { memory_bytes: Some(MEMORY_BYTES), deadline: Some(DEADLINE), ..Options::default() };
    let session = session(imported, &options).map_err(|error| (error.code(), error.to_string()))?;
    let inputs: Inputs<'_> = greedy.inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    session.run(inputs).map(drop).map_err(|error| (error.code(), error.to_string()))
}
