//! The files that the scripts take: bundles, keys, cases.

use crate::conformance::subjects;
use crate::support::bundle::{publisher, signed, target};
use crate::support::tensors::numbers;
use crate::support::{Onnx, onnx, temp_dir};
use pannier::DType::F32;
use pannier::{Code, Limits, Manifest, Tensor, Trust};
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_bundle::{Bundle, Section, encode_versioned};
use pannier_engine::golden::Golden;
use pannier_packager::build;
use pannier_packager::config::{InputConfig, InputContent, OutputConfig, OutputContent, Target};
use pannier_packager::sign::PrivateKey;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

/// The folder with all of them, made once.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(make).path()
}

fn make() -> tempfile::TempDir {
    let folder = temp_dir();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file is written");
    let magika = subjects::real("magika");
    write("magika.pannier", &magika.bundle);
    let sum = running_sum(folder.path());
    write("sum.pannier", &signed(&sum).expect("it builds"));
    write("unsigned.pannier", &build::build(&sum, None, &mut |_, _, _| {}).expect("it builds").bundle);
    write("types.pannier", &subjects::every_type().bundle);
    write("scaled.pannier", &signed(&scaled(folder.path())).expect("it builds"));
    write("branches.pannier", &signed(&branches(folder.path())).expect("it builds"));
    write("far.pannier", &signed(&far_from_zero(folder.path())).expect("it builds"));
    let unsigned = std::fs::read(folder.path().join("unsigned.pannier")).expect("it was written");
    write("wrong.pannier", &with_wrong_answers(unsigned));
    let key = publisher().public_key().to_pem();
    write("publisher.pub", key.as_bytes());
    write("stranger.pub", PrivateKey::generate().expect("random numbers").public_key().to_pem().as_bytes());
    let policy = |least: &str| {
        format!(
            "[roles]\npublisher = 1\n[minimum_version]\n\"*\" = \"{least}\"\n\
             [[keys]]\nname = \"them\"\nroles = [\"publisher\"]\npem = \"\"\"\n{key}\"\"\"\n"
        )
    };
    let case = &magika.cases[0];
    let cases = json!({
        "magika": { "inputs": named(&case.inputs), "outputs": named(&case.outputs) },
        "codes": Code::ALL.iter().map(|code| code.name()).collect::<Vec<_>>(),
        "policies": { "good": policy("1.0.0"), "strict": policy("2.0.0") },
    });
    write("cases.json", cases.to_string().as_bytes());
    folder
}

/// `next = x + state`, where `next` is the state of the next step.
fn running_sum(folder: &Path) -> Target {
    let model = Onnx::new(17)
        .input("x", F32, "2")
        .input("state", F32, "2")
        .node("Add", &["x", "state"], &["next"])
        .output("next", F32, "2");
    let mut target = target("running-sum", &model.save(folder));
    let state = InputContent::State { output: "next".into() };
    target.inputs.insert("state".into(), InputConfig { content: state, ..InputConfig::default() });
    let next = OutputConfig { content: OutputContent::NextState, ..OutputConfig::default() };
    target.outputs.insert("next".into(), next);
    target
}

/// `y = x * w + x`, where `w` counts to 6 again and again.
fn scaled(folder: &Path) -> Target {
    let weights: Vec<f32> = (0..128 * 128_u16).map(|index| f32::from(index % 7)).collect();
    let model = Onnx::new(17)
        .input("x", F32, "128,128")
        .floats("w", "128,128", &weights)
        .node("Mul", &["x", "w"], &["xw"])
        .node("Add", &["xw", "x"], &["y"])
        .output("y", F32, "128,128");
    target("scaled", &model.save(folder))
}

/// `y = relu(x)` if the sum of `x * w` is positive, else `-x`; and zero times the places of what is not zero, of which only data tells
/// how many there are: only tract takes that. Its weights do not compress, so that they arrive in many pieces.
fn branches(folder: &Path) -> Target {
    const COLUMNS: u16 = 16384;
    let numbers = (0..2 * u32::from(COLUMNS)).scan(1_u32, |state, _| {
        // The generator of Numerical Recipes.
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(f32::from((*state >> 16) as u16) / 65536.0)
    });
    let branch = |op: &str| Onnx::new(17).node(op, &["x"], &["taken"]).output("taken", F32, "2,2").into_graph();
    let model = Onnx::new(17)
        .input("x", F32, "2,2")
        .floats("w", &format!("2,{COLUMNS}"), &numbers.collect::<Vec<f32>>())
        .floats("zero", "", &[0.0])
        .node("MatMul", &["x", "w"], &["xw"])
        .node("ReduceSum", &["xw"], &["sum"])
        .with(onnx::int("keepdims", 0))
        .node("NonZero", &["x"], &["places"])
        .node("Cast", &["places"], &["numbers"])
        .with(onnx::int("to", 1))
        .node("ReduceSum", &["numbers"], &["total"])
        .with(onnx::int("keepdims", 0))
        .node("Mul", &["total", "zero"], &["nothing"])
        .node("Add", &["sum", "nothing"], &["same"])
        .node("Greater", &["same", "zero"], &["positive"])
        .node("If", &["positive"], &["y"])
        .with(onnx::graph("then_branch", branch("Relu")))
        .with(onnx::graph("else_branch", branch("Neg")))
        .output("y", F32, "2,2");
    target("branches", &model.save(folder))
}

/// Functions with limits, each of `x`, as outputs with their names.
fn far_from_zero(folder: &Path) -> Target {
    let model = Onnx::new(20).input("x", F32, "rows,columns");
    let names = ["Asinh", "Elu", "Erf", "Exp", "HardSwish", "Mish", "Sigmoid", "Softmax", "Softplus", "Tanh"];
    let each = |model: Onnx, op: &&str| model.node(op, &["x"], &[op]).output(op, F32, "rows,columns");
    let model =
        names.iter().fold(model, each).node("Gelu", &["x"], &["Gelu"]).with(onnx::string("approximate", "tanh"));
    target("far-from-zero", &model.output("Gelu", F32, "rows,columns").save(folder))
}

/// An unsigned bundle whose golden answers no engine gives.
fn with_wrong_answers(bundle: Vec<u8>) -> Vec<u8> {
    let opened = Bundle::open(bundle, &Limits::default()).and_then(|bundle| bundle.verify(&Trust::AllowUnsigned, None));
    let verified = opened.expect("it is a bundle");
    let content = |section: &Section| {
        let mut bytes = vec![0; usize::try_from(section.content_bytes).expect("it is small")];
        verified.read_into(&section.name, &mut bytes).expect("it is whole");
        if section.name == "golden" {
            let mut golden = Golden::decode(&bytes).expect("it was built");
            golden.cases[0].outputs[0].bytes.fill(0x41);
            bytes = golden.encode();
        }
        SectionContent {
            name: section.name.clone(),
            bytes: bytes.into(),
            element_bytes: 1,
            cuts: vec![],
            critical: section.critical,
        }
    };
    let sections = verified.header().sections.iter().filter(|section| section.name != "manifest").map(content);
    let mut sections: Vec<SectionContent<'_>> = sections.collect();
    let mut manifest = verified.manifest().clone();
    manifest.bundle_id = content_id(&sections).expect("it has sections");
    sections.push(SectionContent {
        name: "manifest".into(),
        bytes: encode_versioned(Manifest::VERSION, &manifest).into(),
        element_bytes: 1,
        cuts: vec![],
        critical: true,
    });
    let sealed = seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(()));
    sealed.and_then(|sealed| sealed.assemble(&[])).expect("it seals")
}

/// Tensors as `tests/browser/harness/inputs.mjs` takes them.
pub fn named(tensors: &[(String, Tensor)]) -> Value {
    let each = tensors.iter().map(|(name, tensor)| {
        (name.clone(), json!({ "type": tensor.dtype().name(), "dims": tensor.shape(), "data": numbers(tensor) }))
    });
    Value::Object(each.collect())
}
