//! Sealed, signed bundles, made as `packager build --sign` makes them.

use pannier_packager::args::{BuildFormat, NamedConstant, NamedShape};
use pannier_packager::build;
use pannier_packager::config::Target;
use pannier_packager::sign::PrivateKey;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The one who signs the tests' bundles: another key in every run of the tests.
pub fn publisher() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate().expect("the system gives random numbers"))
}

/// What to build: this model, with no settings but its name.
pub fn target(name: &str, source: &Path) -> Target {
    Target {
        name: name.to_owned(),
        source: source.to_owned(),
        format: BuildFormat::Pannier,
        output: PathBuf::new(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        licence: String::new(),
        shapes: Vec::new(),
        constants: Vec::new(),
        evaluate: None,
        calibrate: None,
        max_loss: None,
        quantize: None,
        sign: None,
        deadline_ms: 0,
        peak_memory_bytes: None,
        card: None,
        target_hints: Vec::new(),
        inputs: Default::default(),
        outputs: Default::default(),
    }
}

/// A constant for [`Target::constants`].
pub fn constant(name: &str, value: &str) -> NamedConstant {
    NamedConstant { name: name.to_owned(), value: value.to_owned() }
}

/// A pinned shape for [`Target::shapes`], written as for `--shape`.
pub fn shape(name: &str, shape: &str) -> NamedShape {
    format!("{name}={shape}").parse().expect("a shape")
}

/// Builds, seals and signs.
///
/// # Errors
/// Those of the build.
pub fn signed(target: &Target) -> Result<Vec<u8>, pannier_packager::Error> {
    build::build(target, Some(publisher()), &mut |_, _, _| {}).map(|built| built.bundle)
}
