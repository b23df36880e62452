//! Self-contained files of a small model and of magika, made once by `packager build`, with cases and native answers.

use crate::cli::fixture as cli;
use crate::support::{Failures, model, npz, packager, project_root};
use pannier::{Inputs, Options, Session, Tensor, Trust};
use serde_json::{Value, json};
use std::sync::OnceLock;
use tempfile::TempDir;

/// `|answer - native| <= ABSOLUTE + RELATIVE * |native|`: the same engine, on other instructions.
const ABSOLUTE: f64 = 1e-5;
const RELATIVE: f64 = 1e-4;

/// A model in three forms.
pub struct Built {
    /// Holds `NAME.pannier`, `NAME.wasm`, `NAME.component.wasm` and `publisher.pub`.
    pub folder: TempDir,
    /// The model's name, and the stem of its files.
    pub name: &'static str,
    /// Inputs, and what the native session answers.
    cases: Vec<(Named, Named)>,
}

type Named = Vec<(String, Tensor)>;

/// A matrix product with a symbolic batch: see the command line's tests.
pub fn small() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = cli::folder();
        let cases = npz::cases(&folder.path().join("cases.npz"), 3).into_iter().map(|case| case.inputs);
        let two = Tensor::from_slice([2, 4], &[3_i32, 1, 4, 1, 5, 9, 2, 6]).expect("eight values");
        let inputs = cases.chain([vec![("x".to_owned(), two)]]).collect();
        Built::new(folder, "notes", inputs)
    })
}

/// A real model with its example configuration.
pub fn magika() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = model("magika");
        let folder = cli::folder();
        for name in ["model.onnx", "labels.json"] {
            std::fs::copy(source.join(name), folder.path().join(name)).expect("a file can be copied");
        }
        let configuration = project_root().join("docs/examples/magika/packager.toml");
        std::fs::copy(configuration, folder.path().join("packager.toml")).expect("a file can be copied");
        let cases = npz::cases(&source.join("evaluation.npz"), 3);
        Built::new(folder, "magika", cases.into_iter().map(|case| case.inputs).collect())
    })
}

impl Built {
    fn new(folder: TempDir, name: &'static str, inputs: Vec<Named>) -> Built {
        for (format, ending) in [("pannier", "pannier"), ("wasm", "wasm"), ("component", "component.wasm")] {
            let file = format!("{name}.{ending}");
            packager(folder.path(), ["build", "--sign", "publisher.pem", "--format", format, "-o", &file]).expect(0);
        }
        let bundle = std::fs::read(folder.path().join(format!("{name}.pannier"))).expect("it was built");
        let session = Session::from_bytes(bundle, &Trust::AllowUnsigned, &Options::default()).expect("it loads");
        let with_answer = |inputs: Named| {
            let given: Inputs<'_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            let outputs = session.run(given).expect("it runs");
            let answer = outputs.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
            (inputs, answer)
        };
        Built { cases: inputs.into_iter().map(with_answer).collect(), folder, name }
    }

    /// The inputs of all cases: `[{ "x": { "dtype": "int32", "shape": [1, 2], "data": [0, 1] } }]`
    pub fn inputs(&self) -> Value {
        self.cases.iter().map(|(inputs, _)| document(inputs)).collect()
    }

    /// Compares what a host answered, in the form of [`Built::inputs`], with the native answers.
    pub fn assert_answers(&self, host: &str, answers: &Value) {
        let mut failures = Failures::default();
        for (index, (_, expected)) in self.cases.iter().enumerate() {
            failures
                .check(format!("{} in {host}, case {index}", self.name), || same(&answers[index], &document(expected)));
        }
        failures.assert_none();
    }
}

fn document(tensors: &Named) -> Value {
    let described =
        |tensor: &Tensor| json!({ "dtype": tensor.dtype().name(), "shape": tensor.shape(), "data": numbers(tensor) });
    tensors.iter().map(|(name, value)| (name.clone(), described(value))).collect::<serde_json::Map<_, _>>().into()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    if let Some(values) = tensor.as_slice::<f32>() {
        return values.iter().map(|value| f64::from(*value)).collect();
    }
    let values = tensor.as_slice::<i32>().expect("the cases have no other types");
    values.iter().map(|value| f64::from(*value)).collect()
}

fn same(found: &Value, expected: &Value) -> Result<(), String> {
    for (name, expected) in expected.as_object().into_iter().flatten() {
        let found = &found[name];
        if found["shape"] != expected["shape"] {
            return Err(format!("{name}: shape {}, expected {}", found["shape"], expected["shape"]));
        }
        let list = |value: &Value| value["data"].as_array().cloned().unwrap_or_default();
        let (found, expected) = (list(found), list(expected));
        if found.len() != expected.len() {
            return Err(format!("{name}: {} numbers, expected {}", found.len(), expected.len()));
        }
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (found, expected) = (found.as_f64().unwrap_or(f64::NAN), expected.as_f64().unwrap_or(f64::NAN));
            let difference = (found - expected).abs();
            let same = difference <= ABSOLUTE + RELATIVE * expected.abs();
            // A NaN is never the same.
            if !same {
                return Err(format!("{name}[{index}] is {found}, expected {expected}"));
            }
        }
    }
    Ok(())
}
