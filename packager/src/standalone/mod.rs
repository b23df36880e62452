//! Self-contained WebAssembly files: the runtime and one model, loaded already, in one module or component without imports.
//!
//! A file is a valid module or component of its own; what Pannier adds are custom sections, in this order at its end:
//!
//! | section | contents |
//! |---|---|
//! | `pannier.manifest` | the manifest section of the bundle that it was made of |
//! | `pannier.labels` | the labels section of that bundle, if it had one |
//! | `pannier.runtime` | JSON: which engine and which instructions run the model |
//! | `pannier.signature` | the signatures, then the SHA-256 of all bytes of the file before that digest |
//!
//! A signature is the same document as on a bundle. Its statement is about two resources: `manifest`, the contents of that
//! section, and `module`, all bytes of the file before the signature section. So everything but the signatures is signed,
//! and signatures can be added. The digest at the end finds accidents in files that nobody signed.

mod error;
mod file;
mod inspection;
mod javascript;
mod parts;
mod write;

pub use error::{StandaloneError, Why};
pub use file::{Runtime, Standalone};
pub use inspection::{Inspection, inspect, screen};
pub use javascript::javascript;
pub use parts::{Part, parts};
pub use write::contain;

use pannier_bundle::Source;

/// Name of the section with the manifest.
pub const MANIFEST: &str = "pannier.manifest";
/// Name of the section with the lists of labels.
pub const LABELS: &str = "pannier.labels";
/// Name of the section that says what runs the model.
pub const RUNTIME: &str = "pannier.runtime";
/// Name of the section with the signatures: always the last one.
pub const SIGNATURE: &str = "pannier.signature";

/// What WebAssembly starts with.
const MAGIC: [u8; 4] = *b"\0asm";

/// Whether these bytes are WebAssembly, whatever the file is called.
pub fn is_wasm(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// Whether a source holds WebAssembly, by its first bytes.
///
/// # Errors
/// Whatever the source returns.
pub fn starts_as_wasm(source: &impl Source) -> Result<bool, pannier_bundle::Error> {
    let mut start = [0; MAGIC.len()];
    if source.size_bytes() < start.len() as u64 {
        return Ok(false);
    }
    source.read_at(0, &mut start)?;
    Ok(start == MAGIC)
}

/// All of a file that is WebAssembly; nothing of any other.
///
/// # Errors
/// Whatever the source returns; [`pannier_bundle::Error::Memory`] if it does not fit into memory.
pub fn read_wasm(source: &impl Source) -> Result<Option<Vec<u8>>, pannier_bundle::Error> {
    if !starts_as_wasm(source)? {
        return Ok(None);
    }
    let size_bytes = source.size_bytes();
    let too_large = || pannier_bundle::Error::Memory { what: "the file".to_owned(), size_bytes };
    let mut file = vec![0; usize::try_from(size_bytes).map_err(|_| too_large())?];
    source.read_at(0, &mut file)?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests;
