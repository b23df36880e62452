//! The core module for hosts that know nothing of components.

use wasm_encoder::{Encode, ExportKind, SectionId};
use wasmparser::{Export, ExternalKind, Imports, TypeRef};

use crate::Error;
use crate::component::TYPE_SECTION;
use crate::module::{Module, counted_body, section_body};

/// The plain ABI: the memory, and functions with this prefix.
const MEMORY: &str = "memory";
const PREFIX: &str = "pannier_";

/// Intrinsics for exported resources come from modules with this prefix, by the name mangling of the component model's tools.
const INTRINSICS: &str = "[export]";

/// The body of a function that traps: no locals, `unreachable`, `end`.
const TRAP: [u8; 4] = [3, 0, 0x00, 0x0b];

/// Makes a core module without imports from the raw one. Never panics.
///
/// The imported functions are intrinsics of the component model, which code behind the plain ABI never calls; imports of
/// anything else are refused. Each becomes a function that traps; they come first, where the imports were, so all functions keep their indices and code is copied
/// as it is. Exports that do not belong to the plain ABI are dropped, and so are custom sections that describe the component
/// or refer to places in the code. What is plain already stays the same.
///
/// # Errors
/// [`Error::NotWasm`], [`Error::NotModule`], [`Error::Invalid`]; [`Error::Import`] if anything else than
/// such an intrinsic is imported.
pub fn plain(raw: &[u8]) -> Result<Vec<u8>, Error> {
    let mut module = Module::read(raw)?;
    make_plain(&mut module)?;
    module.finish()
}

/// Does what [`plain`] does to a module in parts.
pub(crate) fn make_plain(module: &mut Module<'_>) -> Result<(), Error> {
    let types = imported_functions(module)?;
    if !types.is_empty() {
        define_first(module, &types)?;
    }
    let exports = plain_exports(module)?;
    module.set(SectionId::Export, exports);
    module.retain_custom(is_kept);
    Ok(())
}

/// Types of the imported functions, by index.
fn imported_functions(module: &Module) -> Result<Vec<u32>, Error> {
    let mut types = Vec::new();
    for imports in module.items::<Imports>(SectionId::Import)? {
        for import in imports {
            let (_, import) = import?;
            let kind = match import.ty {
                TypeRef::Func(index) if import.module.starts_with(INTRINSICS) => {
                    types.push(index);
                    continue;
                }
                TypeRef::Func(_) | TypeRef::FuncExact(_) => "function",
                TypeRef::Table(_) => "table",
                TypeRef::Memory(_) => "memory",
                TypeRef::Global(_) => "global",
                TypeRef::Tag(_) => "tag",
            };
            return Err(Error::Import { module: import.module.to_owned(), name: import.name.to_owned(), kind });
        }
    }
    Ok(types)
}

/// Replaces the imports with as many functions in front of the module's own.
fn define_first(module: &mut Module, types: &[u32]) -> Result<(), Error> {
    let mut declared = Vec::new();
    for index in types {
        index.encode(&mut declared);
    }
    let bodies = TRAP.repeat(types.len());
    // A valid module has at most a million functions and as many imports.
    let added = u32::try_from(types.len()).unwrap_or(u32::MAX);
    let (functions, code) = {
        let (count, declarations) = module.counted(SectionId::Function)?;
        let (_, own_bodies) = module.counted(SectionId::Code)?;
        let count = count.saturating_add(added);
        (counted_body(count, &[&declared, declarations]), counted_body(count, &[&bodies, own_bodies]))
    };
    module.remove(SectionId::Import);
    module.set(SectionId::Function, functions);
    module.set(SectionId::Code, code);
    Ok(())
}

fn plain_exports(module: &Module) -> Result<Vec<u8>, Error> {
    let mut kept = wasm_encoder::ExportSection::new();
    for export in module.items::<Export>(SectionId::Export)? {
        let kind = match export.kind {
            ExternalKind::Memory if export.name == MEMORY => ExportKind::Memory,
            ExternalKind::Func if export.name.starts_with(PREFIX) => ExportKind::Func,
            _ => continue,
        };
        kept.export(export.name, kind, export.index);
    }
    section_body(&kept)
}

/// Names of functions make traps readable and stay. Debug information gives places in the code, which has moved, and
/// `component-type` sections describe exports that are gone.
fn is_kept(name: &str) -> bool {
    !(name.starts_with(".debug") || name.starts_with(TYPE_SECTION))
}
