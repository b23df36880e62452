//! A loaded model.

use std::rc::Rc;

use js_sys::Uint8Array;
use pannier::{LoadTimes, Session};
use pannier_wasm_interface::model::Output;
use pannier_wasm_interface::{Description, Failure, model};
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine_names;
use crate::host::{given, object};

/// A loaded model, with the inputs of its next run and the outputs of its last one. How it is run is in `blocking.rs` and in
/// `webgpu.rs`.
#[wasm_bindgen]
pub struct Model(pub(crate) model::Model);

impl Model {
    pub(crate) fn new(session: Session) -> Model {
        Model(model::Model::new(session))
    }

    /// The session, for its recorder.
    #[cfg_attr(not(feature = "telemetry"), expect(dead_code, reason = "nothing is recorded"))]
    pub(crate) fn session(&self) -> Rc<Session> {
        self.0.session()
    }

    fn output<R>(&self, index: usize, read: impl FnOnce(&Output) -> R) -> Result<R, JsValue> {
        let output = self.0.outputs().get(index);
        given(output.map(read).ok_or_else(|| Failure::usage(format!("there is no output {index}"))))
    }
}

#[wasm_bindgen]
impl Model {
    /// The document that every build of the runtime has, with the engines of this one and what loading took.
    pub fn describe(&self) -> JsValue {
        let LoadTimes { verify_ms, read_ms, prepare_ms, self_test_ms } = self.0.session().report().load;
        let load = LoadView { verify_ms, read_ms, prepare_ms, self_test_ms };
        let document = Document { description: self.0.describe(), engines: engine_names(), load };
        object(&serde_json::to_string(&document).unwrap_or_default())
    }

    /// Gives an input: its index, its shape, its element type as a number of ONNX, its elements.
    pub fn give(&mut self, index: usize, shape: &[u32], dtype: u32, data: &Uint8Array) -> Result<(), JsValue> {
        let size_bytes = usize::try_from(data.length()).unwrap_or(usize::MAX);
        given(self.0.input_shape(index, shape.len()))?.copy_from_slice(shape);
        data.copy_to(given(self.0.input_data(index, dtype, size_bytes))?);
        Ok(())
    }

    /// Forgets state, inputs and outputs.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Element type of an output of the last run, a number of ONNX.
    #[wasm_bindgen(js_name = outputType)]
    pub fn output_type(&self, index: usize) -> Result<i32, JsValue> {
        self.output(index, |output| output.tensor.dtype().onnx_number())
    }

    /// Its shape.
    #[wasm_bindgen(js_name = outputShape)]
    pub fn output_shape(&self, index: usize) -> Result<Vec<u32>, JsValue> {
        self.output(index, |output| output.shape.clone())
    }

    /// A copy of its elements.
    #[wasm_bindgen(js_name = outputData)]
    pub fn output_data(&self, index: usize) -> Result<Uint8Array, JsValue> {
        self.output(index, |output| Uint8Array::new_from_slice(output.tensor.bytes()))
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    description: Description<'a>,
    engines: Vec<String>,
    load: LoadView,
}

#[derive(Serialize)]
struct LoadView {
    verify_ms: f64,
    read_ms: f64,
    prepare_ms: f64,
    self_test_ms: f64,
}
