//! Embeds the guest modules that `cargo xtask guest` built, compressed. Without them the crate builds all the same, and
//! says so when a sandbox is made.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Enough to make a third of them in a second; the best levels gain a few per cent and take minutes.
const ZSTD_LEVEL: i32 = 3;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=PANNIER_GUEST_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let guest = here.join("../../wasm/guest");
    let folder = env::var_os("PANNIER_GUEST_DIR").map_or_else(|| guest.join("dist"), PathBuf::from);
    if !folder.exists() {
        // The folder above changes when this one appears.
        println!("cargo::rerun-if-changed={}", folder.parent().unwrap_or(&guest).display());
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let mut source = String::new();
    for (name, flavour) in [("SIMD128", "simd128"), ("RELAXED_SIMD", "relaxed-simd")] {
        let module = folder.join(format!("raw-{flavour}.wasm"));
        if folder.exists() {
            println!("cargo::rerun-if-changed={}", module.display());
        }
        let value = match embed(&module, &out.join(format!("{flavour}.wasm.zst")))? {
            Some(path) => format!("Some(include_bytes!({path:?}))"),
            None => "None".to_string(),
        };
        let _ = writeln!(source, "pub(super) static {name}: Option<&[u8]> = {value};");
    }
    fs::write(out.join("guests.rs"), source)
}

/// Compresses a module if it is there, and tells where it is then.
fn embed(module: &Path, compressed: &Path) -> io::Result<Option<String>> {
    let bytes = match fs::read(module) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    fs::write(compressed, zstd::bulk::compress(&bytes, ZSTD_LEVEL)?)?;
    compressed.to_str().map(|path| Some(path.to_string())).ok_or_else(|| io::ErrorKind::InvalidFilename.into())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
