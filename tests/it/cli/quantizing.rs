//! What `packager quantize` says of files and budgets that are of no use, and of good ones.

use super::fixture::told;
use crate::support::{Onnx, packager, temp_dir};
use pannier::Tensor;
use pannier_graph::DType;
use pannier_packager::content::write_npz;
use std::path::Path;
use tempfile::TempDir;

const CONFIGURATION: &str = r#"[model.sums]
source = "model.onnx"

[model.sums.outputs.y]
kind = "classes"
labels = "labels.json"
"#;

/// `y = x @ w`, four floats in, scores of two classes out: the first where the first two are larger than the others.
fn model() -> Vec<u8> {
    Onnx::new(17)
        .input("x", DType::F32, "1,4")
        .floats("w", "4,2", &[1.0, 0.25, 1.0, 0.5, 0.5, 1.0, 0.25, 1.0])
        .node("MatMul", &["x", "w"], &["y"])
        .output("y", DType::F32, "1,2")
        .bytes()
}

/// Cases of inputs and the indices of their classes.
fn write_cases(path: &Path, cases: &[([f32; 4], i64)]) {
    let mut arrays = Vec::new();
    for (index, (input, label)) in cases.iter().enumerate() {
        arrays.push((format!("{index:03}/in/x"), Tensor::from_slice([1, 4], input).expect("a tensor")));
        arrays.push((format!("{index:03}/label"), Tensor::scalar(*label)));
    }
    write_arrays(path, &arrays);
}

fn write_arrays(path: &Path, arrays: &[(String, Tensor)]) {
    let file = std::fs::File::create(path).expect("a file can be created");
    let arrays = arrays.iter().map(|(name, tensor)| (name.as_str(), tensor));
    write_npz(file, arrays).expect("arrays can be written");
}

fn case(index: i32) -> ([f32; 4], i64) {
    let first = index % 2 == 0;
    let (large, small) = (2.0 + index as f32, index as f32 / 64.0);
    (if first { [large, large, small, small] } else { [small, small, large, large] }, i64::from(!first))
}

fn folder() -> TempDir {
    let folder = temp_dir();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("model.onnx"), model()).expect("a file can be written");
    std::fs::write(path("packager.toml"), CONFIGURATION).expect("a file can be written");
    std::fs::write(path("labels.json"), r#"["low", "high"]"#).expect("a file can be written");
    std::fs::write(path("text.npz"), "no archive").expect("a file can be written");
    let cases = |from: i32, to: i32| (from..to).map(case).collect::<Vec<_>>();
    write_cases(&path("tune.npz"), &cases(0, 40));
    write_cases(&path("judge.npz"), &cases(100, 140));
    write_cases(&path("one.npz"), &cases(0, 1));
    write_cases(&path("nan.npz"), &[([0.0, f32::NAN, 0.0, 0.0], 0)]);
    write_cases(&path("infinite.npz"), &[([0.0, f32::INFINITY, 0.0, 0.0], 0)]);
    write_cases(&path("labels.npz"), &[([1.0, 0.0, 0.0, 0.0], 0), ([1.0, 0.0, 2.0, 0.0], 7)]);
    write_arrays(&path("none.npz"), &[]);
    write_arrays(&path("name.npz"), &[("000/in/z".to_owned(), Tensor::scalar(1.0f32))]);
    let wide = Tensor::from_slice([1, 5], &[0.0f32; 5]).expect("a tensor");
    write_arrays(&path("shape.npz"), &[("000/in/x".to_owned(), wide.clone()), ("001/in/x".to_owned(), wide)]);
    folder
}

/// What differs from machine to machine: times.
fn settled(text: &str) -> String {
    text.lines().filter(|line| !line.contains("ms a case")).map(|line| format!("{line}\n")).collect()
}

macro_rules! lines {
    ($($name:ident: $($line:literal),+;)*) => {$(
        #[test]
        fn $name() {
            let folder = folder();
            let mut told_last = String::new();
            for line in [$($line),+] {
                let words = line.split_whitespace().chain(["--progress", "none"]);
                told_last = format!("$ packager {line}\n{}", settled(&told(&packager(folder.path(), words))));
            }
            insta::assert_snapshot!(stringify!($name), told_last);
        }
    )*};
}

lines! {
    quantize_within_a_budget:
        "quantize model.onnx --include MatMul --calibrate tune.npz --evaluate judge.npz --max-loss 1% -o out.pannier";
    quantize_and_inspect:
        "quantize model.onnx --scheme q8 --include MatMul --calibrate tune.npz --evaluate judge.npz --max-loss 10% --gate bound -o out.pannier",
        "inspect out.pannier";
    quantize_and_rebuild:
        "quantize model.onnx --include MatMul --calibrate tune.npz --evaluate judge.npz -o out.pannier",
        "verify out.pannier --allow-unsigned --rebuild model.onnx --calibrate tune.npz --evaluate judge.npz";
    quantize_and_rebuild_with_other_cases:
        "quantize model.onnx --include MatMul --calibrate tune.npz --evaluate judge.npz -o out.pannier",
        "verify out.pannier --allow-unsigned --rebuild model.onnx --calibrate judge.npz --evaluate tune.npz";
    quantize_with_one_file: "quantize model.onnx --include MatMul --evaluate judge.npz -o out.pannier";
    quantize_with_one_case: "quantize model.onnx --include MatMul --evaluate one.npz -o out.pannier";
    quantize_without_cases: "quantize model.onnx --include MatMul -o out.pannier";
    quantize_with_an_empty_file: "quantize model.onnx --include MatMul --evaluate none.npz -o out.pannier";
    quantize_with_a_file_of_text: "quantize model.onnx --include MatMul --evaluate text.npz -o out.pannier";
    quantize_with_wrong_names: "quantize model.onnx --include MatMul --calibrate name.npz -o out.pannier";
    quantize_with_wrong_shapes: "quantize model.onnx --include MatMul --calibrate shape.npz --evaluate judge.npz -o out.pannier";
    quantize_with_nan: "quantize model.onnx --include MatMul --calibrate nan.npz --evaluate judge.npz -o out.pannier";
    quantize_with_infinities: "quantize model.onnx --include MatMul --calibrate infinite.npz --evaluate judge.npz -o out.pannier";
    quantize_with_unknown_labels: "quantize model.onnx --include MatMul --calibrate tune.npz --evaluate labels.npz -o out.pannier";
    quantize_an_impossible_budget:
        "quantize model.onnx --scheme q8 --include MatMul --calibrate tune.npz --evaluate judge.npz --metric cosine --max-loss 0% -o out.pannier";
    quantize_what_cannot_be_proved:
        "quantize model.onnx --include MatMul --calibrate tune.npz --evaluate judge.npz --max-loss 1% --gate bound -o out.pannier";
    quantize_again:
        "quantize model.onnx --scheme q8 --include MatMul -o out.pannier",
        "quantize out.pannier --scheme fp16 --allow-unsigned -o again.pannier";
    quantize_nothing: "quantize model.onnx --scheme q8 -o out.pannier";
    quantize_an_unknown_layer: "quantize model.onnx --scheme q8 --include matmull -o out.pannier";
    build_with_a_gate_and_no_quantization: "build model.onnx --gate bound";
}
