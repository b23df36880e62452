//! What a module or a component offers.

use wasmparser::{ComponentExternalKind, ExternalKind, Parser, Payload};

use crate::Error;

/// One export of the outermost module or component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is, as a word: `function`, `memory`, `interface`.
    pub kind: &'static str,
}

/// Lists the exports in the order of the file. Code is not validated. Never panics.
///
/// # Errors
/// [`Error::NotWasm`], [`Error::Invalid`].
pub fn exports(wasm: &[u8]) -> Result<Vec<Export>, Error> {
    crate::kind(wasm)?;
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ExportSection(exports) if depth == 0 => {
                for export in exports {
                    let export = export?;
                    found.push(Export { name: export.name.to_owned(), kind: core_kind(export.kind) });
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let export = export?;
                    found.push(Export { name: export.name.name.to_owned(), kind: component_kind(export.kind) });
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn core_kind(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "function",
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    }
}

fn component_kind(kind: ComponentExternalKind) -> &'static str {
    match kind {
        ComponentExternalKind::Module => "module",
        ComponentExternalKind::Func => "function",
        ComponentExternalKind::Value => "value",
        ComponentExternalKind::Type => "type",
        ComponentExternalKind::Instance => "interface",
        ComponentExternalKind::Component => "component",
    }
}
