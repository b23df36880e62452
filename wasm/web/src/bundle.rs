//! A bundle on its way in.

use pannier::Loader;
use pannier_wasm_interface::{Failure, describe, forget_refusal};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host::given;
use crate::options::LoadOptions;

/// A bundle on its way in. How it is finished is in `blocking.rs` and in `webgpu.rs`.
#[wasm_bindgen]
pub struct Bundle(pub(crate) Loader);

#[wasm_bindgen]
impl Bundle {
    /// Begins, with options as JSON: see `js/options.js`.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str) -> Result<Bundle, JsValue> {
        let begin = || {
            let options = LoadOptions::parse(options)?;
            Ok(Bundle(Loader::new(options.trust()?, options.session()?)?))
        };
        given(begin())
    }

    /// Takes the next bytes.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), JsValue> {
        forget_refusal();
        given(self.0.push(piece).map_err(Failure::from))
    }

    /// Size of the whole bundle in bytes, once it is known.
    #[wasm_bindgen(getter, js_name = fileBytes)]
    pub fn file_bytes(&self) -> Option<f64> {
        self.0.file_bytes().map(|bytes| bytes as f64)
    }

    /// The SHA-256 that names the whole bundle, in hexadecimal, once it is trusted.
    #[wasm_bindgen(getter)]
    pub fn sha256(&self) -> Option<String> {
        self.0.sha256().map(|digest| describe::hex(&digest))
    }

    /// Whether the graph has arrived and an engine of this module supports it.
    #[wasm_bindgen(getter, js_name = isSupported)]
    pub fn is_supported(&self) -> bool {
        self.0.is_supported()
    }
}
