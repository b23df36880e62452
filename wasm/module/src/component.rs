//! The component.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

use crate::Error;
use crate::module::{FEATURES, Module};

/// Wraps the raw module as a component without imports. Never panics on a module that the guest's build made; what a raw module says about
/// its interfaces is decoded by wit-component.
///
/// # Errors
/// [`Error::NotWasm`], [`Error::NotModule`], [`Error::Invalid`]; [`Error::Component`] if the module does not say which
/// interfaces it has or lacks one of their functions; [`Error::Import`] if the component would import something.
pub fn component(raw: &[u8]) -> Result<Vec<u8>, Error> {
    Module::read(raw)?;
    let failed = |reason: String| Error::Component { reason };
    let component = ComponentEncoder::default()
        .validate(true)
        .module(raw)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| failed(format!("{error:#}")))?;
    Validator::new_with_features(FEATURES.union(WasmFeatures::COMPONENT_MODEL)).validate_all(&component)?;
    refuse_imports(&component)?;
    Ok(component)
}

/// Only the outermost component counts: inside it modules import from each other.
fn refuse_imports(component: &[u8]) -> Result<(), Error> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let import = import?;
                    return Err(Error::Import {
                        module: String::new(),
                        name: import.name.name.to_owned(),
                        kind: "interface",
                    });
                }
            }
            _ => {}
        }
    }
    Ok(())
}
