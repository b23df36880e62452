//! What comes from JavaScript, and how errors get there.

use std::cell::RefCell;
use std::time::Duration;

use js_sys::Function;
use pannier::LoadStep;
use pannier_wasm_interface::Failure;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn now_ms() -> f64;
}

thread_local! {
    /// Told of the steps of loading. Here and not in the options, which may cross threads where there are any.
    static ON_STEP: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// The time since the page or the worker was opened.
pub(crate) fn now() -> Duration {
    Duration::try_from_secs_f64(now_ms() / 1e3).unwrap_or_default()
}

/// Says that a step of loading begins, or how far it has come: the number of operators that are done, and of all.
pub(crate) fn tell(step: LoadStep) {
    let (name, operators) = match step {
        LoadStep::Prepare => ("prepare", None),
        LoadStep::SelfTest => ("self-test", None),
        LoadStep::Compile { done, total } => ("compile", Some((done, total))),
        _ => return,
    };
    let number = |number: usize| JsValue::from(u32::try_from(number).unwrap_or(u32::MAX));
    let none = (JsValue::UNDEFINED, JsValue::UNDEFINED);
    let (done, total) = operators.map_or(none, |(done, total)| (number(done), number(total)));
    ON_STEP.with_borrow(|on_step| {
        if let Some(on_step) = on_step {
            // What goes wrong in there is not this step's failure.
            let _ = on_step.call3(&JsValue::UNDEFINED, &JsValue::from_str(name), &done, &total);
        }
    });
}

/// Tells `on_step` of the steps by name, until what this returns is dropped.
pub(crate) fn telling(on_step: Function) -> Telling {
    ON_STEP.set(Some(on_step));
    Telling
}

pub(crate) struct Telling;

impl Drop for Telling {
    fn drop(&mut self) {
        ON_STEP.set(None);
    }
}

/// The result of a call: an error is an object with `code`, `message` and `hint`.
pub(crate) fn given<T>(result: Result<T, Failure>) -> Result<T, JsValue> {
    result.map_err(|failure| object(&failure.to_json()))
}

/// A JSON text as a value.
pub(crate) fn object(json: &str) -> JsValue {
    // It was written by a serializer; and if it were none, the text itself would say most.
    js_sys::JSON::parse(json).unwrap_or_else(|_| JsValue::from_str(json))
}
