//! A validated core module as parts that can be replaced one by one.

use std::borrow::Cow;

use wasm_encoder::{Encode, RawSection, Section as _, SectionId};
use wasmparser::{BinaryReader, FromReader, SectionLimited, Validator, WasmFeatures};

use crate::sections::{CUSTOM, MODULE_HEADER, rest};
use crate::{Error, Kind, kind, sections};

/// What a guest may use: WebAssembly 2.0 and relaxed SIMD. One 32-bit memory that nobody shares, no threads, no garbage collector.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2.union(WasmFeatures::RELAXED_SIMD);

/// What a shell may use: its second memory is shared with the host.
pub(crate) const SHELL_FEATURES: WasmFeatures = FEATURES.union(WasmFeatures::MULTI_MEMORY).union(WasmFeatures::THREADS);

/// A core module, section by section.
#[derive(Debug, Clone)]
pub(crate) struct Module<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone)]
struct Part<'a> {
    id: u8,
    name: Option<&'a str>,
    /// The section without its id and size.
    body: Cow<'a, [u8]>,
}

impl<'a> Module<'a> {
    /// Validates a module and takes it apart.
    pub fn read(wasm: &'a [u8]) -> Result<Module<'a>, Error> {
        if kind(wasm)? == Kind::Component {
            return Err(Error::NotModule);
        }
        validate(wasm, FEATURES)?;
        let parts = sections(wasm)?
            .into_iter()
            .map(|section| Part { id: section.id, name: section.name, body: Cow::Borrowed(section.body) })
            .collect();
        Ok(Module { parts })
    }

    /// The items of a section; none if the module does not have it.
    pub fn items<'s, T: FromReader<'s>>(&'s self, id: SectionId) -> Result<Vec<T>, Error> {
        match self.body(id) {
            Some(body) => Ok(SectionLimited::new(BinaryReader::new(body, 0))?.into_iter().collect::<Result<_, _>>()?),
            None => Ok(Vec::new()),
        }
    }

    /// A section without its id and size.
    pub fn body(&self, id: SectionId) -> Option<&[u8]> {
        self.parts.iter().find(|part| part.id == u8::from(id)).map(|part| part.body.as_ref())
    }

    /// A section's number of items, and the bytes of the items.
    pub fn counted(&self, id: SectionId) -> Result<(u32, &[u8]), Error> {
        let Some(body) = self.body(id) else { return Ok((0, &[])) };
        let mut reader = BinaryReader::new(body, 0);
        let count = reader.read_var_u32()?;
        Ok((count, rest(&mut reader)?))
    }

    /// Replaces a section, or puts it where the order of sections wants it.
    pub fn set(&mut self, id: SectionId, body: Vec<u8>) {
        let id = u8::from(id);
        let body = Cow::Owned(body);
        if let Some(part) = self.parts.iter_mut().find(|part| part.id == id) {
            part.body = body;
            return;
        }
        let after_custom =
            self.parts.iter().rposition(|part| part.id != CUSTOM).map_or(0, |last| last.saturating_add(1));
        let at =
            self.parts.iter().position(|part| part.id != CUSTOM && order(part.id) > order(id)).unwrap_or(after_custom);
        self.parts.insert(at, Part { id, name: None, body });
    }

    /// Leaves a section out.
    pub fn remove(&mut self, id: SectionId) {
        self.parts.retain(|part| part.id != u8::from(id));
    }

    /// Whether there is a custom section whose name passes.
    pub fn has_custom(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.parts.iter().any(|part| part.name.is_some_and(&is_wanted))
    }

    /// Leaves out the custom sections whose names do not pass.
    pub fn retain_custom(&mut self, keep: impl Fn(&str) -> bool) {
        self.parts.retain(|part| part.name.is_none_or(&keep));
    }

    /// The module as bytes, validated again: a mistake made here is to be seen here.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        self.finish_with(FEATURES)
    }

    /// The same for a module that may use more than a guest.
    pub fn finish_with(self, features: WasmFeatures) -> Result<Vec<u8>, Error> {
        let size = self
            .parts
            .iter()
            .map(|part| part.body.len().saturating_add(6))
            .fold(MODULE_HEADER.len(), usize::saturating_add);
        let mut wasm = Vec::with_capacity(size);
        wasm.extend_from_slice(&MODULE_HEADER);
        for part in &self.parts {
            RawSection { id: part.id, data: &part.body }.append_to(&mut wasm);
        }
        validate(&wasm, features)?;
        Ok(wasm)
    }
}

/// A section's body: the number of items, and the items.
pub(crate) fn counted_body(count: u32, items: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::with_capacity(items.iter().map(|item| item.len()).fold(5, usize::saturating_add));
    count.encode(&mut body);
    for item in items {
        body.extend_from_slice(item);
    }
    body
}

/// The body of a section that the encoder wrote.
pub(crate) fn section_body(section: &impl Encode) -> Result<Vec<u8>, Error> {
    let mut sized = Vec::new();
    section.encode(&mut sized);
    // The encoder writes a section's size first, which a body does not have.
    let mut body = BinaryReader::new(&sized, 0).read_reader()?;
    Ok(rest(&mut body)?.to_vec())
}

fn validate(wasm: &[u8], features: WasmFeatures) -> Result<(), Error> {
    Validator::new_with_features(features).validate_all(wasm)?;
    Ok(())
}

/// Place of a section in a module: ids are in order but for two that came later.
fn order(id: u8) -> u16 {
    const TAG: u8 = SectionId::Tag as u8;
    const DATA_COUNT: u8 = SectionId::DataCount as u8;
    match id {
        TAG => u16::from(SectionId::Memory as u8) * 2 + 1,
        DATA_COUNT => u16::from(SectionId::Element as u8) * 2 + 1,
        other => u16::from(other) * 2,
    }
}
