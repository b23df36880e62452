//! The runtime as a WebAssembly guest: a module, and a component, that import nothing.
//!
//! `ABI.md` beside this crate specifies the module's exports, `wasm/wit/model.wit` those of the component.
//!
//! # Invariants
//!
//! - Nothing is imported: no clock, no randomness, no input or output but what the host writes into memory. The same calls
//!   give the same answers in every instance.
//! - No number that the host gets wrong makes a call trap, and none makes it touch memory that it did not hand out.
//! - There is no `unsafe` here: it is in `wasm/interface`.
//!
//! # What it does not do
//!
//! It keeps no time (the host does), and it decides nothing about trust that the host did not tell it.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod abi;
#[cfg(target_family = "wasm")]
mod component;
mod guest;
mod options;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: pannier_wasm_interface::Allocator = pannier_wasm_interface::Allocator;
