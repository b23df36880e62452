//! The component.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::{ComponentEncoder, StringEncoding, metadata};

use crate::module::{FEATURES, Module};
use crate::{Error, append_section};

/// Start of the names of the sections in which wit-bindgen describes the interfaces.
pub(crate) const TYPE_SECTION: &str = "component-type";

/// The interface of a guest with a model in it. The runtime alone has none to offer.
const PACKED: &str = "packed";
/// The interface that loads bundles. A guest with a model in it loads no other.
pub(crate) const BUNDLES: &str = "bundles";

/// Wraps the raw module as a component without imports: the runtime, which loads bundles. What the module says of its
/// interfaces is decoded by wit-component. Never panics.
///
/// # Errors
/// [`Error::NotWasm`], [`Error::NotModule`], [`Error::Invalid`]; [`Error::Component`] if the module does not say which
/// interfaces it has or lacks one of their functions; [`Error::Import`] if the component would import something.
pub fn component(raw: &[u8]) -> Result<Vec<u8>, Error> {
    component_without(raw, PACKED)
}

/// The component without the export of one interface: its type says what it can do.
pub(crate) fn component_without(raw: &[u8], interface: &str) -> Result<Vec<u8>, Error> {
    if !Module::read(raw)?.has_custom(|name| name.starts_with(TYPE_SECTION)) {
        let reason = format!("it has no section {TYPE_SECTION:?}, which says what the component exports");
        return Err(Error::Component { reason });
    }
    let encode = || {
        let (stripped, mut types) = metadata::decode(raw)?;
        let unwanted: Vec<_> = types.resolve.worlds[types.world].exports.keys().cloned().collect();
        for key in unwanted {
            let name = types.resolve.name_world_key(&key);
            let name = name.split(['/', '@']).nth(1);
            if name == Some(interface) {
                types.resolve.worlds[types.world].exports.shift_remove(&key);
            }
        }
        let mut module = stripped.unwrap_or_default();
        let contents = metadata::encode(&types.resolve, types.world, StringEncoding::UTF8, None)?;
        append_section(&mut module, TYPE_SECTION, &contents);
        ComponentEncoder::default().validate(true).module(&module)?.encode()
    };
    let component = encode().map_err(|error| Error::Component { reason: format!("{error:#}") })?;
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
                if let Some(import) = imports.into_iter().next() {
                    let name = import?.name.name.to_owned();
                    return Err(Error::Import { module: String::new(), name, kind: "interface" });
                }
            }
            _ => {}
        }
    }
    Ok(())
}
