//! Images in and out of modules.

use wasm_encoder::{
    ConstExpr, Encode, ExportKind, ExportSection, MemorySection, MemoryType, Module as Encoder, RawSection, SectionId,
};
use wasmparser::{Data, DataKind, Operator};

use crate::module::Module;
use crate::{Error, MAX_PAGES, MemoryImage, PAGE_BYTES, Refusal};

/// A module that does nothing but define and export a memory, `memory`, with the image's contents. Never panics.
///
/// `max_pages` is the size up to which the memory may grow; `None` leaves that to the host.
///
/// # Errors
/// [`Error::ImageSize`] if the image is larger than `max_pages` or than 4 GiB.
pub fn memory_module(image: &MemoryImage, max_pages: Option<u64>) -> Result<Vec<u8>, Error> {
    check_size(image, max_pages)?;
    let mut memories = MemorySection::new();
    memories.memory(memory_type(image, max_pages));
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    let data = data_body(image);
    let mut module = Encoder::new();
    module.section(&memories).section(&exports).section(&RawSection { id: SectionId::Data.into(), data: &data });
    Ok(module.finish())
}

/// The contents that a module gives its one memory when it is instantiated.
pub(crate) fn initial_image(module: &Module) -> Result<MemoryImage, Error> {
    let memory = only_memory(module)?;
    let mut image = MemoryImage::empty(memory.initial);
    let size_bytes = memory.initial.saturating_mul(PAGE_BYTES);
    let mut end = 0;
    for (index, segment) in module.items::<Data>(SectionId::Data)?.into_iter().enumerate() {
        let offset = offset(&segment, index)?;
        if offset < end {
            return Err(Refusal::DataOrder { index }.into());
        }
        end = u64::try_from(segment.data.len()).ok().and_then(|size| offset.checked_add(size)).unwrap_or(u64::MAX);
        if end > size_bytes {
            return Err(Refusal::DataBounds { index }.into());
        }
        image.push(offset, segment.data);
    }
    Ok(image)
}

/// The one memory that a module defines.
pub(crate) fn only_memory(module: &Module) -> Result<wasmparser::MemoryType, Error> {
    let memories = module.items::<wasmparser::MemoryType>(SectionId::Memory)?;
    match memories.as_slice() {
        [memory] => Ok(*memory),
        _ => Err(Refusal::Memories { count: memories.len() }.into()),
    }
}

/// Gives a module's memory the contents of an image in place of its own.
pub(crate) fn set_image(module: &mut Module, image: &MemoryImage) -> Result<(), Error> {
    let maximum = only_memory(module)?.maximum;
    check_size(image, maximum)?;
    let mut memory = Vec::new();
    1_u32.encode(&mut memory);
    memory_type(image, maximum).encode(&mut memory);
    module.set(SectionId::Memory, memory);
    module.set(SectionId::Data, data_body(image));
    Ok(())
}

fn check_size(image: &MemoryImage, max_pages: Option<u64>) -> Result<(), Error> {
    let available = max_pages.unwrap_or(MAX_PAGES).min(MAX_PAGES);
    if image.pages() <= available {
        return Ok(());
    }
    Err(Error::ImageSize { needed_bytes: image.size_bytes(), available_bytes: available.saturating_mul(PAGE_BYTES) })
}

fn memory_type(image: &MemoryImage, maximum: Option<u64>) -> MemoryType {
    MemoryType { minimum: image.pages(), maximum, memory64: false, shared: false, page_size_log2: None }
}

/// A data section's body: one active segment per run. Written by hand because the encoder takes bytes one at a time, and
/// an image may be hundreds of megabytes.
fn data_body(image: &MemoryImage) -> Vec<u8> {
    let stored = usize::try_from(image.stored_bytes()).unwrap_or(0);
    let mut body = Vec::with_capacity(stored.saturating_add(image.runs().len().saturating_mul(14)));
    image.runs().len().encode(&mut body);
    for (offset, bytes) in image.runs() {
        const ACTIVE: u8 = 0;
        body.push(ACTIVE);
        // The offset is a u32 in the clothes of an i32: addresses above 2 GiB are written as negative numbers.
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        ConstExpr::i32_const(offset.cast_signed()).encode(&mut body);
        bytes.encode(&mut body);
    }
    body
}

fn offset(segment: &Data, index: usize) -> Result<u64, Error> {
    let DataKind::Active { offset_expr, .. } = &segment.kind else { return Err(Refusal::PassiveData.into()) };
    let mut operators = offset_expr.get_operators_reader();
    match (operators.read()?, operators.read()?) {
        (Operator::I32Const { value }, Operator::End) => Ok(u64::from(value.cast_unsigned())),
        _ => Err(Refusal::DataOffset { index }.into()),
    }
}
