//! A module or a component as a list of sections: all that is needed to find and to add custom ones.

use std::ops::Range;

use wasm_encoder::{Encode, RawSection, Section as _};
use wasmparser::BinaryReader;

use crate::Error;

/// Id of every custom section.
pub(crate) const CUSTOM: u8 = 0;

/// Magic, version and layer of a core module.
pub(crate) const MODULE_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";
/// Magic, version and layer of a component.
const COMPONENT_HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// What a file of WebAssembly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A core module.
    Module,
    /// A component of the component model.
    Component,
}

/// One section of the outermost module or component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// Number of the section's kind; 0 is custom.
    pub id: u8,
    /// Name of a custom section.
    pub name: Option<&'a str>,
    /// Contents: of a custom section what follows its name.
    pub contents: &'a [u8],
    /// Where the whole section lies, its id and size included, in bytes from the start.
    pub range: Range<usize>,
    /// All of the section but its id and size.
    pub(crate) body: &'a [u8],
}

/// All bytes before the section that ends a file, and its contents.
pub type Ending<'a> = (&'a [u8], &'a [u8]);

/// Says from the first eight bytes what this is. Never panics.
///
/// # Errors
/// [`Error::NotWasm`].
pub fn kind(wasm: &[u8]) -> Result<Kind, Error> {
    match wasm.first_chunk() {
        Some(&MODULE_HEADER) => Ok(Kind::Module),
        Some(&COMPONENT_HEADER) => Ok(Kind::Component),
        _ => Err(Error::NotWasm),
    }
}

/// Lists the sections of the outermost module or component. What is inside them is not looked at. Never panics.
///
/// # Errors
/// [`Error::NotWasm`]; [`Error::Truncated`]; [`Error::Invalid`] where a size or a custom section's name is malformed.
pub fn sections(wasm: &[u8]) -> Result<Vec<Section<'_>>, Error> {
    kind(wasm)?;
    let mut reader = BinaryReader::new(wasm, 0);
    reader.read_bytes(MODULE_HEADER.len())?;
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8()?;
        let size_bytes = usize::try_from(reader.read_var_u32()?).unwrap_or(usize::MAX);
        let actual_bytes = reader.bytes_remaining();
        if size_bytes > actual_bytes {
            return Err(Error::Truncated { offset: start, expected_bytes: size_bytes, actual_bytes });
        }
        let mut section = BinaryReader::new(reader.read_bytes(size_bytes)?, reader.original_position());
        let body = rest(&mut section.clone())?;
        let name = if id == CUSTOM { Some(section.read_string()?) } else { None };
        sections.push(Section {
            id,
            name,
            contents: rest(&mut section)?,
            range: start..reader.original_position(),
            body,
        });
    }
    Ok(sections)
}

/// Contents of the custom section with this name, if there is one. Never panics.
///
/// # Errors
/// Those of [`sections`]; [`Error::Duplicate`] if the file has it twice, because two readers could take different ones.
pub fn custom_section<'a>(wasm: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, Error> {
    Ok(one(sections(wasm)?, name)?.map(|section| section.contents))
}

/// The custom section with this name that ends the file: all bytes before it, and its contents. None if no section has the
/// name. Never panics.
///
/// There is one way to write such a section, so no byte of it can change without being noticed.
///
/// # Errors
/// Those of [`custom_section`]; [`Error::NotLast`] if other sections follow or the section's size is not in its shortest form.
pub fn last_section<'a>(wasm: &'a [u8], name: &str) -> Result<Option<Ending<'a>>, Error> {
    let Some(section) = one(sections(wasm)?, name)? else { return Ok(None) };
    let not_last = || Error::NotLast { name: name.to_owned() };
    let (before, end) = wasm.split_at_checked(section.range.start).ok_or_else(not_last)?;
    let mut expected = Vec::new();
    append_section(&mut expected, name, section.contents);
    if end == expected { Ok(Some((before, section.contents))) } else { Err(not_last()) }
}

/// Adds a custom section at the end of a module or component. Never panics.
pub fn append_section(wasm: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let mut body = Vec::with_capacity(contents.len().saturating_add(name.len()).saturating_add(5));
    name.encode(&mut body);
    body.extend_from_slice(contents);
    RawSection { id: CUSTOM, data: &body }.append_to(wasm);
}

/// All bytes that the reader has not read.
pub(crate) fn rest<'a>(reader: &mut BinaryReader<'a>) -> Result<&'a [u8], Error> {
    Ok(reader.read_bytes(reader.bytes_remaining())?)
}

fn one<'a>(sections: Vec<Section<'a>>, name: &str) -> Result<Option<Section<'a>>, Error> {
    let mut found = sections.into_iter().filter(|section| section.name == Some(name));
    let first = found.next();
    match found.next() {
        Some(_) => Err(Error::Duplicate { name: name.to_owned() }),
        None => Ok(first),
    }
}
