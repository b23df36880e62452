//! What the bytes of a file are for.

use super::{LABELS, MANIFEST, RUNTIME, SIGNATURE};
use pannier_wasm_module::{Error, Kind, Section, kind, sections};
use serde::Serialize;

/// Numbers of the sections of a core module, and that of the one for modules inside a component.
const CODE: u8 = 10;
const DATA: u8 = 11;
const INNER_MODULE: u8 = 1;

/// Bytes of a file with one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What they are.
    pub name: &'static str,
    /// How many.
    pub size_bytes: u64,
}

/// What each part of a self-contained file takes, in a fixed order; parts that are not there are left out. Together they
/// are the file.
///
/// # Errors
/// The file's sections do not add up.
pub fn parts(file: &[u8]) -> Result<Vec<Part>, Error> {
    let outer = sections(file)?;
    let inner = match kind(file)? {
        Kind::Module => Vec::new(),
        Kind::Component => inner_module(&outer).map_or(Ok(Vec::new()), sections)?,
    };
    let all = || outer.iter().chain(&inner);
    let size = |of: &dyn Fn(&Section<'_>) -> bool| all().filter(|section| of(section)).map(size_bytes).sum::<u64>();
    let named = |name: &'static str| size(&|section| section.name == Some(name));
    // In a component, 10 and 11 outside the module are other things, and small.
    let of_module = |id: u8| match inner.is_empty() {
        true => size(&|section| section.id == id),
        false => inner.iter().filter(|section| section.id == id).map(size_bytes).sum(),
    };
    let mut parts = vec![
        Part { name: "code", size_bytes: of_module(CODE) },
        Part { name: "memory with the model", size_bytes: of_module(DATA) },
        Part { name: "manifest", size_bytes: named(MANIFEST) + named(LABELS) + named(RUNTIME) },
        Part { name: "signatures", size_bytes: named(SIGNATURE) },
    ];
    let known: u64 = parts.iter().map(|part| part.size_bytes).sum();
    parts.push(Part { name: "the rest", size_bytes: (file.len() as u64).saturating_sub(known) });
    parts.retain(|part| part.size_bytes > 0);
    Ok(parts)
}

/// The guest in a component: the largest module. Others only connect it with the component's exports.
fn inner_module<'f>(outer: &[Section<'f>]) -> Option<&'f [u8]> {
    let modules = outer.iter().filter(|section| section.id == INNER_MODULE).map(|section| section.contents);
    modules.max_by_key(|module| module.len())
}

fn size_bytes(section: &Section<'_>) -> u64 {
    section.range.len() as u64
}
