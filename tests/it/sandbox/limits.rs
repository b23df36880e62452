//! Models that want too much: stopped by the limit that they hit, in the middle of an operator if need be.

use crate::support::bundle::{signed, target};
use crate::support::onnx::{self, Onnx};
use crate::support::{Failures, sandbox, temp_dir};
use pannier::DType::{F32, I64};
use pannier::{Cancel, Code, Inputs, Tensor};
use pannier_wasmtime::{Error, Limits, LoadOptions, RunOptions, SandboxedModel};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More than any of these models needs when it behaves, far less than they ask for.
const MEMORY_BYTES: u64 = 256 << 20;
const DEADLINE: Duration = Duration::from_millis(300);
const OUTPUT_BYTES: u64 = 1 << 20;

type Given = Vec<(&'static str, Tensor)>;

/// A model that behaves with some inputs, and wants too much with others.
struct Greedy {
    name: &'static str,
    model: Onnx,
    modest: Given,
    greedy: Given,
    code: Code,
}

fn table() -> Vec<Greedy> {
    let i64s = |values: &[i64]| Tensor::from_slice([values.len()], values).expect("a tensor");
    let square = |side: usize| Tensor::from_slice([side, side], &vec![0.5_f32; side * side]).expect("a tensor");
    let column = |rows: usize| Tensor::from_slice([rows, 1], &vec![0.5_f32; rows]).expect("a tensor");
    let shaped = || Onnx::new(17).input("shape", I64, "1").node("ConstantOfShape", &["shape"], &["y"]);
    vec![
        Greedy {
            name: "a loop of four million steps",
            model: running_sum(),
            modest: vec![("xs", column(4))],
            greedy: vec![("xs", column(4 << 20))],
            code: Code::Deadline,
        },
        Greedy {
            name: "a hundred slow operators",
            model: products(100),
            modest: vec![("x", square(4))],
            greedy: vec![("x", square(512))],
            code: Code::Deadline,
        },
        Greedy {
            name: "one very slow operator",
            model: products(1),
            modest: vec![("x", square(4))],
            greedy: vec![("x", square(3000))],
            code: Code::Deadline,
        },
        Greedy {
            name: "a tensor of 1 GiB",
            model: shaped().output("y", F32, "n"),
            modest: vec![("shape", i64s(&[4]))],
            greedy: vec![("shape", i64s(&[1 << 28]))],
            code: Code::MemoryBudget,
        },
        Greedy {
            name: "a tensor that 32-bit addresses do not reach",
            model: shaped().output("y", F32, "n"),
            modest: vec![("shape", i64s(&[4]))],
            greedy: vec![("shape", i64s(&[1 << 40]))],
            code: Code::MemoryBudget,
        },
        Greedy {
            name: "a tensor that grows a thousandfold, three times",
            model: Onnx::new(17)
                .input("x", F32, "n")
                .input("repeats", I64, "1")
                .node("Tile", &["x", "repeats"], &["a"])
                .node("Tile", &["a", "repeats"], &["b"])
                .node("Tile", &["b", "repeats"], &["c"])
                .output("c", F32, "m"),
            modest: vec![("x", Tensor::from_slice([1], &[1.0_f32]).expect("a tensor")), ("repeats", i64s(&[2]))],
            greedy: vec![("x", Tensor::from_slice([1], &[1.0_f32]).expect("a tensor")), ("repeats", i64s(&[1000]))],
            code: Code::MemoryBudget,
        },
        Greedy {
            name: "an output of 8 MiB",
            model: shaped().output("y", F32, "n"),
            modest: vec![("shape", i64s(&[4]))],
            greedy: vec![("shape", i64s(&[2 << 20]))],
            code: Code::Limit,
        },
    ]
}

/// The sum of the rows, one after the other.
fn running_sum() -> Onnx {
    let body = Onnx::new(17)
        .input("sum", F32, "1")
        .input("x", F32, "1")
        .node("Add", &["sum", "x"], &["next"])
        .output("next", F32, "1")
        .into_graph();
    Onnx::new(17)
        .input("xs", F32, "rows,1")
        .floats("zero", "1", &[0.0])
        .node("Scan", &["zero", "xs"], &["y"])
        .with(onnx::int("num_scan_inputs", 1))
        .with(onnx::graph("body", body))
        .output("y", F32, "1")
}

/// A square matrix, multiplied with itself so many times.
fn products(times: usize) -> Onnx {
    let mut model = Onnx::new(17).input("x", F32, "n,n");
    let mut before = "x".to_owned();
    for index in 0..times {
        let after = format!("v{index}");
        model = model.node("MatMul", &[&before, "x"], &[&after]);
        before = after;
    }
    model.output(&before, F32, "n,n")
}

fn load(model: &Onnx) -> SandboxedModel {
    let folder = temp_dir();
    let bundle = signed(&target("greedy", &model.save(folder.path()))).expect("it builds");
    let limits = Limits {
        memory_bytes: Some(MEMORY_BYTES),
        deadline: Some(DEADLINE),
        output_bytes: Some(OUTPUT_BYTES),
        ..Limits::default()
    };
    sandbox::load(sandbox::fast(), &bundle, &LoadOptions { limits, ..LoadOptions::default() }).expect("it loads")
}

fn inputs<'a>(given: &'a Given) -> Inputs<'a> {
    given.iter().map(|(name, tensor)| (*name, tensor)).collect()
}

#[test]
fn a_greedy_run_is_stopped_by_its_limit_and_the_next_one_runs() {
    let mut failures = Failures::default();
    for row in table() {
        failures.check(row.name, || {
            let model = load(&row.model);
            model.run(inputs(&row.modest)).map_err(|error| format!("with modest inputs: {error}"))?;
            let started = Instant::now();
            let error = model.run(inputs(&row.greedy)).err().ok_or("ran to its end")?;
            let took = started.elapsed();
            if error.code() == Code::Deadline {
                println!(
                    "{}: {:.1} ms after its deadline",
                    row.name,
                    (took.saturating_sub(DEADLINE)).as_secs_f64() * 1e3
                );
            } else {
                println!("{}: {error}, after {:.1} ms", row.name, took.as_secs_f64() * 1e3);
            }
            if error.code() != row.code {
                return Err(format!("{}: {error}", error.code()));
            }
            model.run(inputs(&row.modest)).map_err(|error| format!("with modest inputs, afterwards: {error}"))?;
            Ok(())
        });
    }
    failures.assert_none();
}

#[test]
fn a_run_is_cancelled_half_way() {
    let (model, cancel) = (load(&products(100)), Arc::new(Cancel::new()));
    let x = Tensor::from_slice([1024, 1024], &vec![0.5_f32; 1024 * 1024]).expect("a tensor");
    let options = RunOptions { watch: Some(cancel.clone()), ..RunOptions::default() };
    let pressed = std::thread::spawn(move || {
        std::thread::sleep(DEADLINE / 3);
        cancel.cancel();
        Instant::now()
    });
    let given = vec![("x", x)];
    let error = model.run_with(inputs(&given), &options).expect_err("it was cancelled");
    let late = pressed.join().expect("it does not panic").elapsed();
    println!("cancelled: back {:.1} ms later", late.as_secs_f64() * 1e3);
    assert_eq!((error.code(), error), (Code::Interrupted, Error::Cancelled));
}

#[test]
fn a_session_is_lost_after_an_overrun_until_it_is_reset() {
    let model = load(&products(1));
    let mut session = model.session().expect("there is room for an instance");
    let small = vec![("x", Tensor::from_slice([1, 1], &[3.0_f32]).expect("a tensor"))];
    let large = vec![("x", Tensor::from_slice([3000, 3000], &vec![0.5_f32; 9_000_000]).expect("a tensor"))];
    assert_eq!(session.run(inputs(&large)).map_err(|error| error.code()).err(), Some(Code::Deadline));
    assert_eq!(session.run(inputs(&small)).err(), Some(Error::SessionLost));
    session.reset().expect("there is room for an instance");
    let outputs = session.run(inputs(&small)).expect("it runs again");
    assert_eq!(outputs.get("v0").and_then(|y| y.as_slice::<f32>().map(<[f32]>::to_vec)), Some(vec![9.0]));
}

/// 4 MB of weights that do not compress.
fn heavy() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 1_000_000.0
    };
    let weights: Vec<f32> = (0..1 << 20).map(|_| next()).collect();
    let model = Onnx::new(17)
        .input("x", F32, "1,1024")
        .floats("w", "1024,1024", &weights)
        .node("MatMul", &["x", "w"], &["y"])
        .output("y", F32, "1,1024");
    let folder = temp_dir();
    signed(&target("heavy", &model.save(folder.path()))).expect("it builds")
}

#[test]
fn a_bundle_larger_than_the_memory_limit_is_refused_before_it_is_decompressed() {
    let mut bundle = heavy();
    // A byte of the weights is wrong: whoever decompresses them finds out.
    let middle = bundle.len() / 2;
    bundle[middle] ^= 1;
    let code = |memory_bytes: Option<u64>| {
        let limits = Limits { memory_bytes, ..Limits::default() };
        let loaded = sandbox::load(sandbox::fast(), &bundle, &LoadOptions { limits, ..LoadOptions::default() });
        loaded.map(drop).map_err(|error| (error.code(), matches!(error, Error::TooLarge { .. }))).err()
    };
    assert_eq!(code(None), Some((Code::Corrupt, false)), "the damage is found");
    assert_eq!(code(Some(4 << 20)), Some((Code::MemoryBudget, true)), "the limit comes first");
}
