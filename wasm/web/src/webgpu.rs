//! What the module for WebGPU has beside the others: a device, and calls that wait for it.

use std::cell::RefCell;
use std::sync::Arc;

use js_sys::Function;
use pannier::Engine;
use pannier_engine_burn::{Burn, GpuError, GpuOptions};
use pannier_wasm_interface::{Failure, forget_refusal, text};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::bundle::Bundle;
use crate::host::{given, object, telling};
use crate::model::Model;

thread_local! {
    static ENGINE: RefCell<Option<Arc<Burn>>> = const { RefCell::new(None) };
    /// Told of the end. Here and not in the panic hook, which may be called in any thread where there are any.
    static ON_END: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// The engine, once its device is open.
pub(crate) fn engines() -> Vec<Arc<dyn Engine>> {
    ENGINE.with_borrow(|engine| engine.iter().map(|engine| Arc::clone(engine) as Arc<dyn Engine>).collect())
}

/// Asks the browser for an adapter and a device. Comes before everything else, once. Which adapters will do has been decided: see
/// `js/webgpu/adapter.js`.
#[wasm_bindgen(js_name = openDevice)]
pub async fn open_device() -> Result<(), JsValue> {
    let failure = |error: GpuError| Failure::new(error.code(), error.to_string());
    let engine = given(Burn::wgpu_async(&GpuOptions::default().with_software()).await.map_err(failure))?;
    ENGINE.set(Some(Arc::new(engine)));
    Ok(())
}

/// Gives the device's memory back, which would wait for the next garbage collection otherwise. Nothing here runs afterwards.
#[wasm_bindgen(js_name = closeDevice)]
pub fn close_device() {
    if let Some(engine) = ENGINE.take() {
        engine.destroy();
    }
}

/// `told` is given the error when a panic ends this instance: whoever waits for an answer then waits in vain.
#[wasm_bindgen(js_name = onEnd)]
pub fn on_end(told: Function) {
    ON_END.set(Some(told));
    let leave = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        leave(panic);
        if let Some(told) = ON_END.take() {
            // What goes wrong in there is not this end's failure.
            let _ = told.call1(&JsValue::UNDEFINED, &object(&text::last()));
        }
    }));
}

#[wasm_bindgen]
impl Bundle {
    /// Prepares and tests the model, once all of the bundle has arrived, and tells of these steps.
    pub async fn finish(self, on_step: Function) -> Result<Model, JsValue> {
        forget_refusal();
        let _telling = telling(on_step);
        given(self.0.finish_async().await.map(Model::new).map_err(Failure::from))
    }
}

#[wasm_bindgen]
impl Model {
    /// Runs with the inputs that were given.
    pub async fn run(&mut self) -> Result<(), JsValue> {
        forget_refusal();
        given(self.0.run_async().await)
    }

    /// Runs with the inputs that were given; state inputs that were not are zeros, after [`Model::reset`].
    pub async fn step(&mut self) -> Result<(), JsValue> {
        forget_refusal();
        given(self.0.step_async().await)
    }
}
