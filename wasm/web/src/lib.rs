//! The runtime for JavaScript: the WebAssembly half of the npm package `@pannier/runtime`. The other half is in `npm/`, and the
//! two are of one version: what they say to each other is specified nowhere else than in `abi.rs`.
//!
//! # Invariants
//!
//! - An instance holds one session: its memory goes when the session goes, and a call that never returns takes nothing else
//!   with it.
//! - Two functions are imported: the clock, and who is told of the steps of loading.
//! - Tensors are copied once on each way.
//! - No number that JavaScript gets wrong makes a call touch memory that it did not hand out. There is no `unsafe` but for
//!   the declaration of the imports.
//!
//! # What it does not do
//!
//! It fetches nothing and keeps nothing: bytes come in, piece by piece, and what to do between them is decided in JavaScript.
//!
//! Natively this crate is empty.

#![cfg(target_family = "wasm")]

pub mod abi;
mod host;
mod options;
mod web;

#[global_allocator]
static ALLOCATOR: pannier_wasm_interface::Allocator = pannier_wasm_interface::Allocator;
