//! In the `wasmtime` command: the module and the component as somebody without Pannier runs them.
//!
//! Slow, because the tool has to be compiled once: `cargo xtask test --all` installs it and runs these.

use super::fixture::{Built, magika, small};
use crate::support::web::wasmtime;
use serde_json::{Value, json};
use std::process::Command;

#[test]
#[ignore = "needs the wasmtime command: cargo xtask test --all"]
fn the_module_starts() {
    for built in [small(), magika()] {
        assert_eq!(invoke(built, "wasm", "pannier_abi").trim(), "1");
        // The description is there and can be read.
        assert_eq!(invoke(built, "wasm", "pannier_describe").trim(), "0");
    }
}

#[test]
#[ignore = "needs the wasmtime command: cargo xtask test --all"]
fn the_component_describes_its_model() {
    for built in [small(), magika()] {
        let described = invoke(built, "component.wasm", "describe()");
        assert!(described.contains(&format!("name: \"{}\"", built.name)), "{described}");
    }
}

#[test]
#[ignore = "needs the wasmtime command: cargo xtask test --all"]
fn the_component_runs_its_model() {
    for built in [small(), magika()] {
        let inputs = built.inputs();
        let answers = inputs.as_array().expect("a list").iter().map(|inputs| run(built, inputs));
        built.assert_answers("wasmtime", &answers.collect());
    }
}

/// One call with values in the component model's text form.
fn run(built: &Built, inputs: &Value) -> Value {
    let tensors = inputs.as_object().expect("tensors by name").iter().map(|(name, tensor)| {
        let numbers =
            tensor["data"].as_array().expect("numbers").iter().map(|number| number.as_f64().expect("a number"));
        let bytes: Vec<u8> = match tensor["dtype"].as_str() {
            Some("int32") => numbers.flat_map(|number| (number as i32).to_le_bytes()).collect(),
            Some("float32") => numbers.flat_map(|number| (number as f32).to_le_bytes()).collect(),
            other => panic!("no case has {other:?}"),
        };
        let (dtype, shape) = (tensor["dtype"].as_str().expect("a type"), &tensor["shape"]);
        format!("{{name: \"{name}\", tensor: {{element-type: {dtype}, shape: {shape}, data: {bytes:?}}}}}")
    });
    let tensors: Vec<String> = tensors.collect();
    let answer = invoke(built, "component.wasm", &format!("run([{}])", tensors.join(", ")));
    outputs(&answer)
}

/// `ok([{name: "y", tensor: {element-type: float32, shape: [1, 3], data: [0, 0, 32, 64]}}])`
fn outputs(answer: &str) -> Value {
    let parts = answer.split("name: \"").skip(1).map(|part| {
        let name = part.split('"').next().expect("a name");
        let bytes: Vec<u8> = list(part, "data").into_iter().map(|byte| u8::try_from(byte).expect("a byte")).collect();
        let numbers = bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
        (name.to_owned(), json!({ "shape": list(part, "shape"), "data": numbers.collect::<Vec<f64>>() }))
    });
    parts.collect::<serde_json::Map<_, _>>().into()
}

fn list(text: &str, field: &str) -> Vec<u64> {
    let (_, rest) = text.split_once(&format!("{field}: [")).unwrap_or_else(|| panic!("no {field} in {text}"));
    let (items, _) = rest.split_once(']').expect("a list ends");
    items
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| item.parse().expect("a number"))
        .collect()
}

fn invoke(built: &Built, ending: &str, call: &str) -> String {
    let file = built.folder.path().join(format!("{}.{ending}", built.name));
    let output = Command::new(wasmtime()).args(["run", "--invoke", call]).arg(file).output().expect("wasmtime starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{call}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}
