//! A guest with its model in it.

use crate::component::{BUNDLES, component_without};
use crate::memory::set_image;
use crate::module::Module;
use crate::plain::make_plain;
use crate::{Error, MemoryImage, append_section};

/// A custom section to be added: bytes under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomSection<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its contents.
    pub contents: &'a [u8],
}

/// Makes a core module that starts with the given contents of its memory. `guest` is the raw or the plain module from which
/// the instance was made whose memory this is. The custom sections are added at the end. Never panics.
///
/// This gives what Wizer gives, without it: Wizer would compile the guest a second time to run the same loading again,
/// and take the same image of the same memory at the end, which is here already.
///
/// # Errors
/// Those of [`plain`](crate::plain()); [`Error::Refused`] if it has not exactly one memory; [`Error::ImageSize`] if that may not grow so far.
pub fn self_contained(guest: &[u8], image: &MemoryImage, custom: &[CustomSection]) -> Result<Vec<u8>, Error> {
    let mut module = Module::read(guest)?;
    make_plain(&mut module)?;
    module.retain_custom(is_shipped);
    set_image(&mut module, image)?;
    let mut wasm = module.finish()?;
    append(&mut wasm, custom);
    Ok(wasm)
}

/// Makes a component that starts with the given contents of its memory. `raw` is the raw module; the image may come from an
/// instance of its plain form, which has the same code and the same memory. The custom sections are added at the end. Never panics.
///
/// # Errors
/// Those of [`component`](crate::component()); [`Error::Refused`] if it has not exactly one memory; [`Error::ImageSize`] if that may not grow so far.
pub fn self_contained_component(raw: &[u8], image: &MemoryImage, custom: &[CustomSection]) -> Result<Vec<u8>, Error> {
    let mut module = Module::read(raw)?;
    module.retain_custom(is_shipped);
    set_image(&mut module, image)?;
    let mut wasm = component_without(&module.finish()?, BUNDLES)?;
    append(&mut wasm, custom);
    Ok(wasm)
}

/// Names of functions are for those who work on the guest: a panic leaves its message without them, and they would be a
/// tenth of the file.
fn is_shipped(name: &str) -> bool {
    name != "name"
}

fn append(wasm: &mut Vec<u8>, custom: &[CustomSection]) {
    for section in custom {
        append_section(wasm, section.name, section.contents);
    }
}
