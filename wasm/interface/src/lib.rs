//! What every WebAssembly build of the runtime says to its host, and what the host says to it: descriptions and errors as
//! JSON, trust as text.
//!
//! # Invariants
//!
//! - One vocabulary: a host finds the same fields and the same codes behind the plain ABI, the component and JavaScript.
//! - `unsafe` is in the allocator and in the seed for random operators.
//!
//! # What it does not do
//!
//! It loads and runs nothing, and it exports nothing: how a host calls is a matter of `wasm/guest` and `wasm/web`.

#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(target_family = "wasm")]
mod allocator;
pub mod describe;
#[cfg(target_family = "wasm")]
mod entropy;
mod failure;
mod flavour;
pub mod model;
pub mod text;
pub mod trust;

#[cfg(target_family = "wasm")]
pub use allocator::{Allocator, clearing, forget_refusal, refused_bytes};
pub use describe::Description;
pub use failure::Failure;
pub use flavour::NAME as FLAVOUR;
pub use model::Model;
