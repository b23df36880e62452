//! Transformations of the guest module: bytes in, bytes out. Nothing here runs WebAssembly.
//!
//! The guest is linked once per flavour as a *raw* module that has two interfaces at a time: the plain ABI (`pannier_*`) and the
//! exports of the WIT package, whose resources need a few imported functions. From it are made:
//!
//! | function | result |
//! |---|---|
//! | [`plain`] | a core module with the plain ABI and no imports |
//! | [`component`] | a component with the WIT package's exports and no imports |
//! | [`split`] | the code of a plain module without its memory, to be compiled once, and the memory apart |
//! | [`memory_module`] | a module that only defines a memory with given contents |
//! | [`self_contained`], [`self_contained_component`] | a guest that starts with given contents of its memory |
//!
//! # What always holds
//!
//! - Input is validated before it is looked at, and what is returned was validated too.
//! - Everything the guest knows between two calls is in its linear memory: what would put state elsewhere (a second mutable
//!   global, tables that change, passive data) is refused, so that an image of the memory is an image of the instance.
//! - Code is copied byte by byte, and no function changes its index. Only [`split`] changes bodies: it adds checks whether
//!   to stop, and writes one instruction as two that compile better.
//!
//! # What is deliberately absent
//!
//! No WebAssembly engine, no optimiser, no file access, no knowledge of bundles or signatures: a custom section is bytes.

mod component;
mod contained;
mod error;
mod exports;
mod functions;
mod image;
mod memory;
mod module;
mod plain;
mod sections;
mod split;
#[cfg(test)]
mod tests;

pub use component::component;
pub use contained::{CustomSection, self_contained, self_contained_component};
pub use error::{Error, Refusal};
pub use exports::{Export, exports};
pub use image::MemoryImage;
pub use memory::memory_module;
pub use plain::plain;
pub use sections::{Ending, Kind, Section, append_section, custom_section, kind, last_section, sections};
pub use split::{MEMORY_IMPORT, SPLIT_REVISION, STOP_IMPORT, Split, split};

/// Size of a page of linear memory.
pub const PAGE_BYTES: u64 = 64 * 1024;

/// Pages of the largest linear memory that 32-bit addresses reach: 4 GiB.
pub const MAX_PAGES: u64 = 65_536;
