//! What is promised about bits: integers are the same everywhere, and in deterministic mode everything is the same in
//! every instance.

use crate::conformance::subjects::{self, REAL, Subject};
use crate::support::bundle::{publisher, signed, target};
use crate::support::npz::Case;
use crate::support::onnx::{self, Onnx};
use crate::support::{Failures, sandbox, temp_dir};
use pannier::DType::{self, F32, F64, I8, I32, I64, U8};
use pannier::{Inputs, Options, Outputs, Session, State, Tensor, Trust};
use pannier_wasmtime::LoadOptions;

/// Cases of a real model that are run several times over.
const CASES: usize = 2;

fn given(case: &Case) -> Inputs<'_> {
    case.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

/// Names, types, shapes and bits.
fn same(a: &Outputs, b: &Outputs, what: &str) -> Result<(), String> {
    let differs = a.iter().zip(b.iter()).find(|(a, b)| a != b);
    match differs {
        _ if a.len() != b.len() => Err(format!("{what}: another number of outputs")),
        Some(((name, _), _)) => Err(format!("{what}: output `{name}` has other bits")),
        None => Ok(()),
    }
}

/// A graph of integers.
struct Integers {
    name: &'static str,
    model: Onnx,
    inputs: Vec<(&'static str, Tensor)>,
}

fn bytes(dtype: DType, shape: &[usize], seed: u8) -> Tensor {
    let count = shape.iter().product::<usize>() * dtype.size_bytes();
    let bytes: Vec<u8> = (0..count).map(|index| (index as u8).wrapping_mul(73).wrapping_add(seed)).collect();
    Tensor::new(dtype, shape, bytes).expect("a tensor")
}

/// Of both signs, with products that 32 bits hold: a debug build of the native engine panics where a sum wraps around.
fn numbers(seed: i32) -> Tensor {
    let values: Vec<i32> = (0..257).map(|index| (index * 7919 + seed) % 60_000 - 30_000).collect();
    Tensor::from_slice([257], &values).expect("a tensor")
}

fn integers() -> Vec<Integers> {
    vec![
        Integers {
            name: "products of bytes",
            model: Onnx::new(17)
                .input("a", U8, "4,64")
                .input("b", I8, "64,5")
                .initializer(onnx::tensor("a_zero", U8, "", vec![128]))
                .node("MatMulInteger", &["a", "b", "a_zero"], &["y"])
                .output("y", I32, "4,5"),
            inputs: vec![("a", bytes(U8, &[4, 64], 3)), ("b", bytes(I8, &[64, 5], 7))],
        },
        Integers {
            name: "convolution of bytes",
            model: Onnx::new(17)
                .input("x", U8, "1,3,9,9")
                .initializer(onnx::tensor("w", U8, "4,3,3,3", (0..108).map(|index| index * 2 + 1).collect()))
                .node("ConvInteger", &["x", "w"], &["y"])
                .output("y", I32, "1,4,7,7"),
            inputs: vec![("x", bytes(U8, &[1, 3, 9, 9], 11))],
        },
        Integers {
            name: "sums and products",
            model: Onnx::new(17)
                .input("a", I32, "257")
                .input("b", I32, "257")
                .node("Mul", &["a", "b"], &["product"])
                .node("Add", &["product", "a"], &["y"])
                .output("y", I32, "257"),
            inputs: vec![("a", numbers(1)), ("b", numbers(99))],
        },
        Integers {
            name: "64-bit sums, largest and where",
            model: Onnx::new(17)
                .input("a", I64, "8,16")
                .ints("axes", "1", &[1])
                .node("ReduceSum", &["a", "axes"], &["sum"])
                .node("ArgMax", &["a"], &["at"])
                .with(onnx::int("axis", 1))
                .node("Cast", &["a"], &["narrow"])
                .with(onnx::int("to", I8.onnx_number().into()))
                .output("sum", I64, "8,1")
                .output("at", I64, "8,1")
                .output("narrow", I8, "8,16"),
            inputs: vec![("a", bytes(I64, &[8, 16], 5))],
        },
    ]
}

#[test]
fn integer_graphs_give_the_bits_of_the_native_engine_in_every_mode() {
    let trust = Trust::Keys(vec![publisher().public_key().clone()]);
    let mut failures = Failures::default();
    for row in integers() {
        failures.check(row.name, || {
            let folder = temp_dir();
            let target = target("integers", &row.model.save(folder.path()));
            let bundle = signed(&target).map_err(|error| error.to_string())?;
            let inputs = || -> Inputs<'_> { row.inputs.iter().map(|(name, tensor)| (*name, tensor)).collect() };
            let session = Session::from_bytes(bundle.clone(), &trust, &Options::default());
            let native = session.and_then(|session| session.run(inputs())).map_err(|error| error.to_string())?;
            for (mode, sandbox) in [("fast", sandbox::fast()), ("deterministic", sandbox::deterministic())] {
                let model = sandbox::load(sandbox, &bundle, &LoadOptions::default());
                let outputs = model.and_then(|model| model.run(inputs())).map_err(|error| error.to_string())?;
                same(&outputs, &native, mode)?;
            }
            Ok(())
        });
    }
    failures.assert_none();
}

/// Fresh instances, a kept one, and one of a second load of the same bundle.
fn is_repeatable(subject: &Subject) -> Result<(), String> {
    let load = || {
        let loaded = sandbox::load(sandbox::deterministic(), &subject.bundle, &LoadOptions::default());
        loaded.map_err(|error| error.to_string())
    };
    let (model, again) = (load()?, load()?);
    let mut kept = model.session().map_err(|error| error.to_string())?;
    let (mut state, mut state_again) = (State::new(), State::new());
    for case in subject.cases.iter().take(CASES) {
        let run = |outputs: Result<Outputs, pannier_wasmtime::Error>| outputs.map_err(|error| error.to_string());
        let first = run(model.run(given(case)))?;
        same(&run(model.run(given(case)))?, &first, "a second fresh instance")?;
        same(&run(again.run(given(case)))?, &first, "an instance of a second load")?;
        same(&run(kept.run(given(case)))?, &first, "a kept instance")?;
        same(&run(kept.run(given(case)))?, &first, "a kept instance, again")?;
        let step = run(model.step(&mut state, given(case)))?;
        same(&step, &first, "a step of a stream")?;
        same(&run(again.step(&mut state_again, given(case)))?, &step, "a step of another stream")?;
    }
    if state != state_again {
        return Err("two streams with the same inputs are in different states".to_owned());
    }
    Ok(())
}

#[test]
fn deterministic_answers_have_the_same_bits_in_every_instance() {
    let mut failures = Failures::default();
    for name in REAL {
        failures.check(name, || is_repeatable(&subjects::real(name)));
    }
    for subject in subjects::small() {
        failures.check(&subject.name, || is_repeatable(&subject));
    }
    failures.assert_none();
}

#[test]
fn deterministic_answers_have_one_kind_of_nan() {
    let mut model = Onnx::new(17);
    let values = [0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let mut inputs = Vec::new();
    for (name, dtype) in [("single", F32), ("double", F64)] {
        let (minus, sum, root) = (format!("{name}_minus"), format!("{name}_sum"), format!("{name}_root"));
        model = model.input(name, dtype, "6").node("Neg", &[name], &[&minus]).node("Add", &[name, &minus], &[&sum]);
        model = model.node("Sqrt", &[name], &[&root]).output(&sum, dtype, "6").output(&root, dtype, "6");
    }
    inputs.push(("single", Tensor::from_slice([6], &values.map(|value| value as f32)).expect("a tensor")));
    inputs.push(("double", Tensor::from_slice([6], &values).expect("a tensor")));
    let folder = temp_dir();
    let bundle = signed(&target("nan", &model.save(folder.path()))).expect("it builds");
    let model = sandbox::load(sandbox::deterministic(), &bundle, &LoadOptions::default()).expect("it loads");
    let given: Inputs<'_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let outputs = model.run(given).expect("it runs");
    let mut seen = 0;
    for (name, tensor) in outputs.iter() {
        let singles = tensor.as_slice::<f32>().into_iter().flatten().filter(|value| value.is_nan());
        let doubles = tensor.as_slice::<f64>().into_iter().flatten().filter(|value| value.is_nan());
        let bits: Vec<u64> = singles.map(|value| u64::from(value.to_bits()) << 32).collect();
        let bits: Vec<u64> = bits.into_iter().chain(doubles.map(|value| value.to_bits())).collect();
        seen += bits.len();
        let canonical = if tensor.dtype() == F32 { 0x7fc0_0000 << 32 } else { 0x7ff8_0000_0000_0000 };
        assert!(bits.iter().all(|found| *found == canonical), "{name}: {bits:x?}");
    }
    assert!(seen >= 12, "only {seen} NaNs came out");
}
