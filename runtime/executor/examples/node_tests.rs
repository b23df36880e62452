//! The ONNX standard's own tests of single operators, as bundles: `cargo run --example node_tests -- FOLDER [NAME..]`.
//!
//! The folder holds `NAME.pannier` and `NAME/evaluation.npz` for each test. Prints what is not right, and how many are.

#[path = "../tests/support/mod.rs"]
mod support;

use pannier_engine::{Code, DType, Engine, EngineError, Program, RunBudget, Tensor};
use pannier_executor::Executor;
use std::collections::BTreeMap;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, wanted)) = arguments.split_first() else {
        return eprintln!("usage: node_tests FOLDER [NAME..]");
    };
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".pannier")?.to_string()))
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect();
    names.sort();
    let executor = Executor::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &names {
        let (bundle, cases) =
            (Path::new(folder).join(format!("{name}.pannier")), Path::new(folder).join(name).join("evaluation.npz"));
        if !cases.is_file() {
            continue;
        }
        let program = support::program(&bundle);
        let (verdict, why) = match run(&executor, &program, &support::cases(&cases, 1).remove(0)) {
            Ok(None) => ("passed", String::new()),
            Ok(Some(why)) => ("wrong", why),
            Err(error) if error.code() == Code::UnsupportedOperator => ("unsupported", error.to_string()),
            Err(error) => ("error", error.to_string()),
        };
        *counts.entry(verdict).or_default() += 1;
        if verdict != "passed" {
            println!("{verdict} {name}: {why}");
        }
        if !wanted.is_empty() {
            println!("{}", program.graph);
        }
    }
    println!("{counts:?}");
}

/// `None`: the answers are right.
fn run(executor: &Executor, program: &Program, case: &support::Case) -> Result<Option<String>, EngineError> {
    let prepared = Engine::prepare(executor, program, &RunBudget::default())?;
    let inputs = program.graph.body.inputs.iter().map(|input| &case.inputs[program.graph.value_name(input.value)]);
    let inputs: Vec<_> = inputs.map(|tensor| tensor.view()).collect();
    let outputs = prepared.run(&inputs, &RunBudget::default())?;
    for (value, found) in program.graph.body.outputs.iter().zip(&outputs) {
        let name = program.graph.value_name(*value);
        if let Some(why) = differs(found, &case.outputs[name]) {
            return Ok(Some(format!("output `{name}`: {why}")));
        }
    }
    Ok(None)
}

fn differs(found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.dtype() != expected.dtype() || found.shape() != expected.shape() {
        return Some(format!("{found:?} instead of {expected:?}"));
    }
    let numbers = |tensor: &Tensor| -> Option<Vec<f64>> {
        match tensor.dtype() {
            DType::F32 => Some(tensor.as_slice::<f32>()?.iter().map(|x| f64::from(*x)).collect()),
            DType::F64 => Some(tensor.as_slice::<f64>()?.to_vec()),
            _ => None,
        }
    };
    let (Some(a), Some(b)) = (numbers(found), numbers(expected)) else {
        return (found != expected).then(|| format!("{found:?} instead of {expected:?}"));
    };
    let close = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7 + 1e-3 * b.abs();
    let at = a.iter().zip(&b).position(|pair| !close(pair))?;
    Some(format!("element {at} is {}, expected {}", a[at], b[at]))
}
