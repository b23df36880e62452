//! The five real models: bundles as the packager builds them, opened with this engine alone, their golden cases run.
//!
//! The packager is another program: it has tract in it, which has no business in this crate's tests. `PANNIER_PACKAGER` names it.

use pannier::{Options, Session, Trust};
use pannier_engine_burn::Burn;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const MODELS: [&str; 5] = ["magika", "ocr-cls", "ocr-det", "ocr-rec", "silero-vad"];

/// The packager, if somebody built it.
fn packager() -> Option<PathBuf> {
    let program = std::env::var_os("PANNIER_PACKAGER").map(PathBuf::from);
    if program.is_none() {
        println!("skipped: PANNIER_PACKAGER names no packager to build the models' bundles with");
    }
    program
}

fn models() -> PathBuf {
    if let Some(folder) = std::env::var_os("PANNIER_MODELS") {
        return folder.into();
    }
    let beside = project().join("../shared/models");
    if beside.join("magika/model.onnx").is_file() {
        return beside;
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache"));
    cache.join("pannier/models")
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The bundle of one model, built with its example configuration.
fn bundle(packager: &Path, name: &str) -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("pannier-burn-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder is made");
    let model = models().join(name);
    for source in [project().join("docs/examples").join(name), model.clone()] {
        for file in std::fs::read_dir(&source).expect("the folder is readable").flatten() {
            let small = file.path().extension().is_some_and(|end| end == "json" || end == "toml" || end == "onnx");
            if small {
                std::fs::copy(file.path(), folder.join(file.file_name())).expect("the file is copied");
            }
        }
    }
    let output = folder.join("model.pannier");
    let mut command = Command::new(packager);
    command.args(["build", "--quiet", "--config"]).arg(folder.join("packager.toml"));
    command.arg("--evaluate").arg(model.join("evaluation.npz")).arg("--output").arg(&output);
    let built = command.output().expect("the packager starts");
    assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
    let bytes = std::fs::read(&output).expect("the bundle is readable");
    std::fs::remove_dir_all(&folder).expect("the folder is removed");
    bytes
}

/// Opens each model with this engine only, which runs its golden cases, and says how far the answers are from the references.
fn answers_like_the_references(engine: &Burn) {
    let Some(packager) = packager() else { return };
    let mut failures = Vec::new();
    for name in MODELS {
        let options = Options { engines: vec![Arc::new(engine.clone())], ..Options::default() };
        match Session::from_bytes(bundle(&packager, name), &Trust::AllowUnsigned, &options) {
            Ok(session) => {
                let report = session.report();
                let Some(test) = report.self_test else { panic!("{name} has no golden cases") };
                println!(
                    "{name} on {}: {} golden cases, {} elements, largest difference {:.1e}, weights {} bytes, peak {} bytes",
                    report.engine,
                    test.cases,
                    test.elements,
                    test.largest_difference,
                    report.memory.weight_bytes,
                    report.memory.peak_bytes
                );
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn on_the_cpu() {
    answers_like_the_references(&Burn::flex());
}

/// On a GPU, or on a driver that is a program on the CPU, if there is one.
#[cfg(feature = "wgpu")]
#[test]
fn on_a_gpu() {
    if let Some(gpu) = crate::support::gpu() {
        answers_like_the_references(&gpu);
    }
}
