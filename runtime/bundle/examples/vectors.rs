//! Writes the test vectors: `cargo run -p pannier-bundle --example vectors`.
//!
//! The files are the same on every machine. A test fails if they are not what this writes.

use std::fs;
use std::path::Path;

#[path = "../tests/it/cases/mod.rs"]
mod cases;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/v1");
    for part in ["valid", "invalid", "invalid-semantics"] {
        // Vectors that no longer exist must not stay behind.
        let part = folder.join(part);
        if part.exists() {
            fs::remove_dir_all(&part)?;
        }
        fs::create_dir_all(&part)?;
    }
    let all = cases::all();
    for case in &all {
        fs::write(folder.join(&case.file), &case.bytes)?;
    }
    for (name, text) in cases::companions() {
        fs::write(folder.join(name), text)?;
    }
    fs::write(folder.join("manifest.json"), cases::manifest_json(&all))?;
    println!("{} vectors", all.len());
    Ok(())
}
