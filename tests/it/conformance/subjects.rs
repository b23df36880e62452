//! The bundles that every row runs, with their cases.

use crate::support::bundle::{constant, publisher, shape, signed, target};
use crate::support::npz::{self, Case};
use crate::support::onnx::{self, Onnx};
use crate::support::{model, temp_dir};
use pannier::DType::{self, Bool, F32, I64};
use pannier::{PublicKey, Tensor};
use pannier_engine::golden::Tolerance;

/// A bundle with inputs and the answers that are right.
pub struct Subject {
    /// Its name.
    pub name: String,
    /// A sealed and signed bundle.
    pub bundle: Vec<u8>,
    /// Who signed it.
    pub key: PublicKey,
    /// What counts as the same answer.
    pub tolerance: Tolerance,
    /// What goes in, and what must come out.
    pub cases: Vec<Case>,
}

/// The real models by the name of their folder.
pub const REAL: [&str; 5] = ["magika", "ocr-cls", "ocr-det", "ocr-rec", "silero-vad"];

/// Most cases of one real model here. `models` runs all of them.
const MOST_CASES: usize = 8;

/// A real model, with ONNX Runtime's answers.
pub fn real(name: &str) -> Subject {
    let folder = model(name);
    let mut target = target(name, &folder.join("model.onnx"));
    if name == "silero-vad" {
        // The sampling rate chooses a branch of the model: 16 kHz is the one that its file is for.
        target.constants.push(constant("sr", "16000"));
        target.shapes.push(shape("input", "1x576"));
        target.shapes.push(shape("state", "2x1x128"));
    }
    let mut cases = npz::cases(&folder.join("evaluation.npz"), MOST_CASES);
    for case in &mut cases {
        case.inputs.retain(|(input, _)| !target.constants.iter().any(|constant| constant.name == *input));
    }
    Subject {
        name: name.to_owned(),
        bundle: signed(&target).unwrap_or_else(|error| panic!("{name}: {error}")),
        key: publisher().public_key().clone(),
        tolerance: Tolerance { absolute: 1e-4, relative: 1e-3, norm: 0.0 },
        cases,
    }
}

/// Tiny models, each for one thing that real ones do. Their answers are small numbers that can be computed by hand, so
/// they must be exact.
pub fn small() -> Vec<Subject> {
    vec![symbolic_shapes(), several_outputs(), state_fed_back(), branches(), no_elements(), every_type()]
}

fn subject(name: &str, model: &Onnx, cases: Vec<Case>) -> Subject {
    let folder = temp_dir();
    let target = target(&name.replace(' ', "-"), &model.save(folder.path()));
    Subject {
        name: name.to_owned(),
        bundle: signed(&target).unwrap_or_else(|error| panic!("{name}: {error}")),
        key: publisher().public_key().clone(),
        tolerance: Tolerance { absolute: 0.0, relative: 0.0, norm: 0.0 },
        cases,
    }
}

fn case<const I: usize, const O: usize>(name: &str, inputs: [(&str, Tensor); I], outputs: [(&str, Tensor); O]) -> Case {
    let named =
        |tensors: Vec<(&str, Tensor)>| tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    Case { name: name.to_owned(), inputs: named(inputs.into()), outputs: named(outputs.into()) }
}

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(shape, values).expect("shape and values agree")
}

/// One bundle, three batch sizes.
fn symbolic_shapes() -> Subject {
    let model = Onnx::new(17)
        .input("x", F32, "batch,2")
        .floats("w", "2,3", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .node("MatMul", &["x", "w"], &["y"])
        .output("y", F32, "batch,3");
    let cases = vec![
        case("batch 1", [("x", f32s(&[1, 2], &[1.0, 1.0]))], [("y", f32s(&[1, 3], &[5.0, 7.0, 9.0]))]),
        case(
            "batch 3",
            [("x", f32s(&[3, 2], &[1.0, 0.0, 0.0, 1.0, -1.0, -1.0]))],
            [("y", f32s(&[3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -5.0, -7.0, -9.0]))],
        ),
        case("batch 1 again", [("x", f32s(&[1, 2], &[2.0, 0.0]))], [("y", f32s(&[1, 3], &[2.0, 4.0, 6.0]))]),
    ];
    subject("symbolic shapes", &model, cases)
}

/// Two inputs, three outputs of different types; one output is an input unchanged.
fn several_outputs() -> Subject {
    let model = Onnx::new(17)
        .input("a", F32, "3")
        .input("b", F32, "3")
        .node("Add", &["a", "b"], &["sum"])
        .node("Less", &["a", "b"], &["less"])
        .node("Identity", &["a"], &["same"])
        .output("sum", F32, "3")
        .output("less", Bool, "3")
        .output("same", F32, "3");
    let (a, b) = (f32s(&[3], &[1.0, 2.0, 3.0]), f32s(&[3], &[3.0, 2.0, 1.0]));
    let less = Tensor::from_bools([3], &[true, false, false]).expect("a tensor");
    let outputs = [("sum", f32s(&[3], &[4.0; 3])), ("less", less), ("same", a.clone())];
    subject("several outputs", &model, vec![case("once", [("a", a), ("b", b)], outputs)])
}

/// A running sum: the state of one case is the answer of the case before.
fn state_fed_back() -> Subject {
    let model = Onnx::new(17)
        .input("x", F32, "2")
        .input("state", F32, "2")
        .node("Add", &["x", "state"], &["next"])
        .output("next", F32, "2");
    let mut state = [0.0_f32; 2];
    let cases = (1..=4).map(|step: u8| {
        let x = [f32::from(step), -f32::from(step)];
        let next = [state[0] + x[0], state[1] + x[1]];
        let inputs = [("x", f32s(&[2], &x)), ("state", f32s(&[2], &state))];
        state = next;
        case(&format!("step {step}"), inputs, [("next", f32s(&[2], &next))])
    });
    subject("state fed back", &model, cases.collect())
}

/// An `If` whose condition is known only when it runs.
fn branches() -> Subject {
    let branch = |op: &str| Onnx::new(17).node(op, &["x"], &["taken"]).output("taken", F32, "2").into_graph();
    let model = Onnx::new(17)
        .input("positive", Bool, "")
        .input("x", F32, "2")
        .node("If", &["positive"], &["y"])
        .with(onnx::graph("then_branch", branch("Relu")))
        .with(onnx::graph("else_branch", branch("Neg")))
        .output("y", F32, "2");
    let flag = |value: bool| Tensor::from_bools([], &[value]).expect("a scalar");
    let x = || f32s(&[2], &[-1.0, 2.0]);
    let cases = vec![
        case("then", [("positive", flag(true)), ("x", x())], [("y", f32s(&[2], &[0.0, 2.0]))]),
        case("else", [("positive", flag(false)), ("x", x())], [("y", f32s(&[2], &[1.0, -2.0]))]),
    ];
    subject("branches", &model, cases)
}

/// Tensors without elements, and scalars.
fn no_elements() -> Subject {
    let model =
        Onnx::new(17).input("x", F32, "n").input("by", F32, "").node("Mul", &["x", "by"], &["y"]).output("y", F32, "n");
    let by = || Tensor::scalar(2.0_f32);
    let cases = vec![
        case("none", [("x", f32s(&[0], &[])), ("by", by())], [("y", f32s(&[0], &[]))]),
        case("two", [("x", f32s(&[2], &[1.0, 2.0])), ("by", by())], [("y", f32s(&[2], &[2.0, 4.0]))]),
    ];
    subject("no elements", &model, cases)
}

/// Each element type goes in, is transposed and comes out with the same bits. But for bfloat16, which no engine takes as
/// an input so far.
pub fn every_type() -> Subject {
    let mut model = Onnx::new(17);
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for dtype in DType::ALL.iter().copied().filter(|dtype| *dtype != DType::BF16) {
        let (input, output) = (format!("{}_in", dtype.name()), format!("{}_out", dtype.name()));
        model = model
            .input(&input, dtype, "2,3")
            .node("Transpose", &[&input], &[&output])
            .with(onnx::ints("perm", &[1, 0]))
            .output(&output, dtype, "3,2");
        let elements: Vec<Vec<u8>> = (0..6).map(|index| element(dtype, index)).collect();
        let transposed: Vec<u8> =
            [0, 3, 1, 4, 2, 5].into_iter().flat_map(|index: usize| elements[index].clone()).collect();
        inputs.push((input, Tensor::new(dtype, [2, 3], elements.concat()).expect("a tensor")));
        outputs.push((output, Tensor::new(dtype, [3, 2], transposed).expect("a tensor")));
    }
    subject("every type", &model, vec![Case { name: "once".to_owned(), inputs, outputs }])
}

/// The bytes of one element, different for each index. The highest byte is small enough for no float to be a NaN.
fn element(dtype: DType, index: u8) -> Vec<u8> {
    match dtype {
        Bool => vec![index % 2],
        I64 => (i64::MIN + i64::from(index)).to_le_bytes().to_vec(),
        _ => (0..dtype.size_bytes()).map(|byte| index * 10 + byte as u8 + 1).collect(),
    }
}
