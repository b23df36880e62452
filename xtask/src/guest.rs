//! `guest`: the runtime as a WebAssembly module and as a component, in both flavours, into `wasm/guest/dist`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::environment::{self, cargo};
use crate::setup::wasm;
use crate::shell;

/// The flavours with what they may use. A module that has relaxed SIMD runs nowhere else.
pub const FLAVOURS: [(&str, &str); 2] = [("simd128", "+simd128"), ("relaxed-simd", "+simd128,+relaxed-simd")];

/// What Cargo wants between flags in `CARGO_ENCODED_RUSTFLAGS`, the one variable that allows spaces in them.
const ENCODED_SEPARATOR: &str = "\x1f";

/// The profile in the root `Cargo.toml`, of every build with tract or burn in it.
pub const PROFILE: &str = "guest";

/// Builds what is not up to date and returns the folder. With nothing to do this takes about a second.
pub fn ensure() -> Result<PathBuf> {
    build(&[])
}

/// As [`ensure`], with options for Cargo such as `--locked`.
pub fn build(options: &[&str]) -> Result<PathBuf> {
    wasm::ensure()?;
    let folder = environment::root().join("wasm/guest/dist");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (flavour, features) in FLAVOURS {
        let raw =
            link(&Linked { package: "pannier-guest", profile: PROFILE, folder: "guest", flavour, features }, options)?;
        let place = |name: String| folder.join(name);
        update(&place(format!("raw-{flavour}.wasm")), &raw)?;
        update(&place(format!("pannier-guest-{flavour}.wasm")), &pannier_wasm_module::plain(&raw)?)?;
        update(&place(format!("pannier-guest-{flavour}.component.wasm")), &pannier_wasm_module::component(&raw)?)?;
    }
    Ok(folder)
}

/// What is linked: a package of this workspace, in a profile of the root `Cargo.toml`, for one of the [`FLAVOURS`].
pub struct Linked {
    pub package: &'static str,
    pub profile: &'static str,
    /// Begin of the name of the target folder: those with the same share what they have compiled.
    pub folder: &'static str,
    pub flavour: &'static str,
    pub features: &'static str,
}

/// Links a package, with options for Cargo, and returns the module.
pub fn link(linked: &Linked, options: &[&str]) -> Result<Vec<u8>> {
    let Linked { package, profile, folder, flavour, features } = linked;
    // Cargo tells artefacts of different flags apart, but not where one of them is `--remap-path-prefix`: in one folder the
    // flavours would overwrite each other's, and compile everything each time.
    let target_dir = environment::target_dir()?.join(format!("{folder}-{flavour}"));
    let mut rustc = cargo();
    rustc.env("CARGO_ENCODED_RUSTFLAGS", rustflags(features)?.join(ENCODED_SEPARATOR));
    rustc.args(["rustc", "--package", package, "--lib", "--crate-type", "cdylib"]);
    rustc.arg("--target-dir").arg(&target_dir).args(["--target", wasm::TARGET, "--profile", profile]).args(options);
    shell::run(&mut rustc)?;
    let module = target_dir.join(wasm::TARGET).join(profile).join(package.replace('-', "_")).with_extension("wasm");
    fs::read(&module).with_context(|| module.display().to_string())
}

/// Instructions, the seed of random operators (see `entropy.rs` of `wasm/interface`), loops that compute addresses as the source
/// does (docs/adr/016-addresses-in-loops.md), and paths in panic messages that are the same on every machine: what is cached
/// for a guest is keyed by the digest of its bytes. Paths of this workspace are relative anyway.
fn rustflags(features: &str) -> Result<Vec<String>> {
    let home = match std::env::var_os("CARGO_HOME").filter(|folder| !folder.is_empty()) {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?).join(".cargo"),
    };
    let features = format!("target-feature={features}");
    let remap = format!("--remap-path-prefix={}=crates", home.join("registry/src").display());
    let flags = ["-C", &features, "-C", "llvm-args=-disable-lsr", "--cfg", r#"getrandom_backend="custom""#, &remap];
    Ok(flags.map(str::to_string).to_vec())
}

/// Writes the file if it is not what it should be, so that what is built from it stays fresh.
fn update(path: &Path, wasm: &[u8]) -> Result<()> {
    let shown = path.file_name().unwrap_or_default().to_string_lossy();
    let size = format!("{:.2} MB", wasm.len() as f64 / 1e6);
    if fs::read(path).is_ok_and(|current| current == wasm) {
        eprintln!("  {shown}: {size}, unchanged");
        return Ok(());
    }
    fs::write(path, wasm).with_context(|| path.display().to_string())?;
    eprintln!("  {shown}: {size}");
    Ok(())
}
