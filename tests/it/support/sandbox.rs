//! Sandboxes for tests. The guest is compiled once, for all tests and every `packager` that they start, and its code is
//! kept beside what Cargo builds.

use super::bundle::publisher;
use pannier::Trust;
use pannier_wasmtime::{Cache, Config, LoadOptions, Sandbox, SandboxedModel};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder that stands for the user's `~/.cache`.
pub fn cache_home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        // These tests lie in TARGET/PROFILE/deps; TARGET/tmp is for what tests leave.
        let executable = std::env::current_exe().expect("the path of this program");
        executable.ancestors().nth(3).expect("tests lie in the target folder").join("tmp/cache")
    })
}

/// Where sandboxes keep their files in [`cache_home`].
pub fn cache() -> PathBuf {
    cache_home().join("pannier/sandbox")
}

/// The sandbox as it is without further wishes.
pub fn fast() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| make(Config::default()))
}

/// The sandbox that gives the same bits on every machine.
pub fn deterministic() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| make(Config { deterministic: true, ..Config::default() }))
}

/// Loads a bundle of [`publisher`]'s.
///
/// # Errors
/// Those of [`Sandbox::load`].
pub fn load(
    sandbox: &Sandbox,
    bundle: &[u8],
    options: &LoadOptions,
) -> Result<SandboxedModel, pannier_wasmtime::Error> {
    sandbox.load(bundle, &Trust::Keys(vec![publisher().public_key().clone()]), options)
}

/// A sandbox with the shared compiled code that writes no memory images: the tests' bundles are signed with another key
/// in every run, so their images would fill the disk and never be read again.
fn make(config: Config) -> Sandbox {
    let of = |folder: &Path| Config { cache: Cache::Dir(folder.to_owned()), ..config.clone() };
    std::fs::create_dir_all(cache_home()).expect("the folder of the cache can be made");
    drop(Sandbox::new(&of(&cache())).unwrap_or_else(|error| panic!("{error} (`cargo xtask guest` builds the guest)")));
    let copy = super::temp_dir();
    let folder = copy.path().join("sandbox");
    // Made by the sandbox itself, with the permissions that it wants.
    copy_guest(&cache(), &folder);
    Sandbox::new(&of(&folder)).expect("it was made a moment ago")
}

/// Copies what is of the guest and of no model into a new cache.
pub fn copy_guest(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(to).expect("a folder can be made");
    for file in std::fs::read_dir(from).expect("the cache can be listed") {
        let file = file.expect("the cache can be listed");
        if !file.file_name().to_string_lossy().starts_with("image-") {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a file can be copied");
        }
    }
}
