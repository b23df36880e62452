//! The files that the scripts take: bundles, keys, cases.

use crate::conformance::subjects;
use crate::support::bundle::{publisher, signed, target};
use crate::support::tensors::numbers;
use crate::support::{Onnx, temp_dir};
use pannier::DType::F32;
use pannier::{Code, Tensor};
use pannier_packager::build;
use pannier_packager::config::{InputConfig, InputContent, OutputConfig, OutputContent, Target};
use pannier_packager::sign::PrivateKey;
use serde_json::{Value, json};
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

/// Tensors as `tests/browser/harness/inputs.mjs` takes them.
fn named(tensors: &[(String, Tensor)]) -> Value {
    let each = tensors.iter().map(|(name, tensor)| {
        (name.clone(), json!({ "type": tensor.dtype().name(), "dims": tensor.shape(), "data": numbers(tensor) }))
    });
    Value::Object(each.collect())
}
