//! The calls that compute, of a module that computes itself: they return when they are done.

use js_sys::Function;
use pannier_wasm_interface::{Failure, forget_refusal};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::bundle::Bundle;
use crate::host::{given, telling};
use crate::model::Model;

#[wasm_bindgen]
impl Bundle {
    /// Prepares and tests the model, once all of the bundle has arrived, and tells of these steps.
    pub fn finish(self, on_step: Function) -> Result<Model, JsValue> {
        forget_refusal();
        let _telling = telling(on_step);
        given(self.0.finish().map(Model::new).map_err(Failure::from))
    }
}

#[wasm_bindgen]
impl Model {
    /// Runs with the inputs that were given.
    pub fn run(&mut self) -> Result<(), JsValue> {
        forget_refusal();
        given(self.0.run())
    }

    /// Runs with the inputs that were given; state inputs that were not are zeros, after [`Model::reset`].
    pub fn step(&mut self) -> Result<(), JsValue> {
        forget_refusal();
        given(self.0.step())
    }
}
