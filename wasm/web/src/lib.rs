//! The runtime for JavaScript: the WebAssembly half of the npm package `@pannier/runtime`. The other half is in `js/`, and the
//! two are of one version: `js/instance.js` is the only caller of what is exported here.
//!
//! # Invariants
//!
//! - An instance holds one session, and the device that it may have: its memory goes when the session goes, and a call that never
//!   returns takes nothing else with it.
//! - Only the clock, what typed arrays hold, and who is told of the steps of loading come from JavaScript.
//! - Bytes and tensors are copied once on each way.
//! - There is no `unsafe`: which numbers JavaScript may give is a matter of wasm-bindgen's types.
//!
//! # What it does not do
//!
//! It fetches nothing and keeps nothing: bytes come in, piece by piece, and what to do between them is decided in JavaScript.
//!
//! Natively this crate is empty.

#![cfg(target_family = "wasm")]

#[cfg(not(feature = "webgpu"))]
mod blocking;
mod bundle;
mod host;
mod model;
mod options;
#[cfg(feature = "webgpu")]
mod webgpu;
mod window;

use pannier::{Code, Engine};
use pannier_wasm_interface::{Failure, text};
use std::sync::Arc;
use wasm_bindgen::prelude::wasm_bindgen;

pub use bundle::Bundle;
pub use model::Model;

#[global_allocator]
static ALLOCATOR: pannier_wasm_interface::Allocator = pannier_wasm_interface::Allocator;

/// Comes before every call.
#[wasm_bindgen(start)]
pub fn start() {
    // tract registers its kernels in constructors. A linker would wrap every export to run them, but stands back where they are
    // called by hand.
    #[cfg(feature = "tract")]
    wit_bindgen::rt::run_ctors_once();
    text::leave_panics();
}

/// Names of this module's engines, in order of preference.
#[wasm_bindgen(js_name = engines)]
pub fn engine_names() -> Vec<String> {
    engines().into_iter().map(|engine| engine.name().to_owned()).collect()
}

/// This module's engines, in order of preference.
fn engines() -> Vec<Arc<dyn Engine>> {
    #[cfg(feature = "webgpu")]
    return webgpu::engines();
    #[cfg(not(feature = "webgpu"))]
    pannier::Options::default().engines
}

/// Why a call never returned, as the JSON of an error. The first reason stays: after it nothing here is to be used.
#[wasm_bindgen(js_name = lastWords)]
pub fn last_words() -> String {
    text::leave_final(|| Failure::new(Code::Failed, "a call did not come to its end"));
    text::last()
}
