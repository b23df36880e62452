//! Code apart from memory.

use wasm_encoder::{EntityType, ImportSection, MemoryType, SectionId};
use wasmparser::{FunctionBody, Global, Operator};

use crate::functions::rewrite_functions;
use crate::memory::initial_image;
use crate::module::{Module, SHELL_FEATURES, section_body};
use crate::plain::make_plain;
use crate::{Error, MemoryImage, Refusal};

/// Module and field name of the memory that a shell imports first.
pub const MEMORY_IMPORT: (&str, &str) = ("pannier", "memory");

/// Module and field name of the shared memory of one page that a shell imports second. Only its first word counts: while it
/// is not zero, code of the shell traps (`unreachable`) at the next loop or call. No other instruction of the shell reaches it.
pub const STOP_IMPORT: (&str, &str) = ("pannier", "stop");

/// Counts what [`split`] has made of the same guest in the course of this crate. Who keeps shells, or code compiled of them, keeps this
/// with them: with another number they are made anew.
pub const SPLIT_REVISION: u32 = 2;

/// A module's code and its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// The module without its memory, which it imports as [`MEMORY_IMPORT`], and without data; with checks whether it is to
    /// stop, see [`STOP_IMPORT`]. Compiled once, it works on every memory that starts with `memory` or with what the module
    /// made of it.
    pub shell: Vec<u8>,
    /// What the memory holds when the module is instantiated.
    pub memory: MemoryImage,
}

/// Splits a guest so that its memory can be replaced. `guest` is the raw or the plain module: what [`plain`](crate::plain()) does is done
/// first. Never panics.
///
/// The stack pointer, the only mutable global that is let through, has its first value again whenever no call is under way.
/// So an instance made of the shell and an image of the memory, taken between two calls, goes on where that instance was.
///
/// # Errors
/// Those of [`plain`](crate::plain()); [`Error::Refused`] if its memory would not be all of its state, see [`Refusal`].
pub fn split(guest: &[u8]) -> Result<Split, Error> {
    let mut shell = Module::read(guest)?;
    make_plain(&mut shell)?;
    refuse_other_state(&shell)?;
    let memory = initial_image(&shell)?;

    let mut imports = ImportSection::new();
    // No maximum: how far a memory may grow is said where it is defined.
    let own =
        MemoryType { minimum: memory.pages(), maximum: None, memory64: false, shared: false, page_size_log2: None };
    let stop = MemoryType { minimum: 1, maximum: Some(1), shared: true, ..own };
    imports.import(MEMORY_IMPORT.0, MEMORY_IMPORT.1, EntityType::Memory(own));
    imports.import(STOP_IMPORT.0, STOP_IMPORT.1, EntityType::Memory(stop));
    rewrite_functions(&mut shell)?;
    shell.set(SectionId::Import, section_body(&imports)?);
    shell.remove(SectionId::Memory);
    shell.remove(SectionId::DataCount);
    shell.remove(SectionId::Data);
    Ok(Split { shell: shell.finish_with(SHELL_FEATURES)?, memory })
}

fn refuse_other_state(module: &Module) -> Result<(), Error> {
    let count = module.items::<Global>(SectionId::Global)?.iter().filter(|global| global.ty.mutable).count();
    if count > 1 {
        return Err(Refusal::MutableGlobals { count }.into());
    }
    if module.body(SectionId::Start).is_some() {
        return Err(Refusal::Start.into());
    }
    for body in module.items::<FunctionBody>(SectionId::Code)? {
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            if let Some(name) = stateful(&operators.read()?) {
                return Err(Refusal::Instruction { name }.into());
            }
        }
    }
    Ok(())
}

/// Instructions that change a table or use up a segment.
fn stateful(operator: &Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::MemoryInit { .. } => "memory.init",
        Operator::DataDrop { .. } => "data.drop",
        Operator::TableInit { .. } => "table.init",
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        _ => return None,
    })
}
