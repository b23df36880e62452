//! Many instances, one after the other and at the same time.

use crate::support::bundle::{signed, target};
use crate::support::child::{is_child, this_test};
use crate::support::{Onnx, sandbox, temp_dir};
use pannier::DType::F32;
use pannier::{Tensor, inputs};
use pannier_wasmtime::{LoadOptions, SandboxedModel};

/// `relu(x @ w)` with a few thousand weights.
fn model() -> SandboxedModel {
    let weights: Vec<f32> = (0..64 * 64).map(|index| (index % 17) as f32 / 16.0 - 0.5).collect();
    let model = Onnx::new(17)
        .input("x", F32, "n,64")
        .floats("w", "64,64", &weights)
        .node("MatMul", &["x", "w"], &["product"])
        .node("Relu", &["product"], &["y"])
        .output("y", F32, "n,64");
    let folder = temp_dir();
    let bundle = signed(&target("small", &model.save(folder.path()))).expect("it builds");
    sandbox::load(sandbox::fast(), &bundle, &LoadOptions::default()).expect("it loads")
}

fn x(rows: usize, seed: usize) -> Tensor {
    let values: Vec<f32> = (0..rows * 64).map(|index| ((index * 7 + seed) % 31) as f32 / 8.0 - 2.0).collect();
    Tensor::from_slice([rows, 64], &values).expect("a tensor")
}

#[test]
fn threads_that_share_a_model_get_the_answers_of_one() {
    const THREADS: usize = 2;
    const RUNS: usize = 300;
    let model = model();
    let answer = |run: usize| {
        let outputs = model.run(inputs! { "x" => x(1 + run % 5, run) }).expect("it runs");
        outputs.get("y").expect("it has this output").clone()
    };
    let expected: Vec<Tensor> = (0..RUNS).map(answer).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (answer, expected) = (&answer, &expected);
            scope.spawn(move || {
                for run in 0..RUNS {
                    // Each in another order.
                    let run = (run * 7 + thread * 11) % RUNS;
                    assert_eq!(answer(run), expected[run], "thread {thread}, run {run}");
                }
            });
        }
    });
}

/// Instances that are made and dropped, every tenth with a run.
const INSTANCES: usize = 10_000;

/// What the process may grow by meanwhile: a fraction of what a thousand instances would hold.
#[cfg(target_os = "linux")]
const GROWTH_BYTES: u64 = 16 << 20;

/// In a process of its own: the other tests' memory is none of its business.
#[test]
#[cfg(target_os = "linux")]
fn instances_come_and_go_without_growth() {
    if !is_child() {
        let mut child = this_test("sandbox::instances::instances_come_and_go_without_growth", u64::MAX);
        let output = child.output().expect("this program starts again");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let model = model();
    let one = |index: usize| {
        let mut session = model.session().expect("there is room for an instance");
        if index.is_multiple_of(10) {
            session.run(inputs! { "x" => x(2, index) }).expect("it runs");
        }
    };
    (0..200).for_each(one);
    let (before, started) = (resident_bytes(), std::time::Instant::now());
    (0..INSTANCES).for_each(one);
    let (after, took) = (resident_bytes(), started.elapsed());
    println!("{INSTANCES} instances in {:.2} s: {before} bytes resident before, {after} after", took.as_secs_f64());
    assert!(after < before + GROWTH_BYTES, "{before} bytes before, {after} after");
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}
