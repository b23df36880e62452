//! The five real models with the configurations in `docs/examples`.

use super::{model, packager, project_root};
use std::path::Path;

/// The file that [`build`] writes.
pub const BUNDLE: &str = "example.pannier";

/// Builds the bundle of a real model as its example says, with `packager`, unsigned, into `folder`.
pub fn build(name: &str, folder: &Path) {
    // The example last: it is the configuration that counts.
    for source in [model(name), project_root().join("docs/examples").join(name)] {
        for file in std::fs::read_dir(source).expect("the folder is readable") {
            let file = file.expect("the folder is readable").path();
            if file.extension().is_some_and(|end| end == "onnx" || end == "json" || end == "toml") {
                let copy = folder.join(file.file_name().expect("a file has a name"));
                std::fs::copy(&file, copy).expect("the file is copied");
            }
        }
    }
    packager(folder, ["build", "-o", BUNDLE]).expect(0);
}
