//! The functions that `npm/src/instance.js` calls.
//!
//! Bytes come in through the inbox, a place that is asked for with the size that is needed and is valid until it is asked for
//! again. Functions with a status return 0, or 1 and leave an error as the text. After a call that never returned, every call
//! fails, and the text says why.

use std::cell::RefCell;

use pannier::Loader;
use pannier_wasm_interface::model::{Model, Output};
use pannier_wasm_interface::{Failure, forget_refusal, text};

use crate::web::{self, Web};

const OK: u32 = 0;
const FAILED: u32 = 1;

thread_local! {
    static WEB: RefCell<Web> = {
        // tract registers its kernels in constructors. A linker would wrap every export to run them, but stands back where
        // they are called by hand.
        #[cfg(feature = "tract")]
        wit_bindgen::rt::run_ctors_once();
        text::leave_panics();
        RefCell::default()
    };
}

/// Where the next piece of a bundle, or the options, are written; null if there is no memory for so many bytes.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_inbox(size: usize) -> *mut u8 {
    pointer(|web| Ok(web.inbox(size)?.as_mut_ptr()))
}

/// Begins to load a bundle, with the options in the inbox: JSON, see `npm/src/options.js`.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_open(size: usize) -> u32 {
    status(|web| web.open(size))
}

/// Takes the next bytes of the bundle from the inbox.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_push(size: usize) -> u32 {
    status(|web| web.push(size))
}

/// Size of the whole bundle in bytes; 0 while it is not known.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_file_bytes() -> f64 {
    with(0.0, |web| web.loader().and_then(|loader| loader.file_bytes()).unwrap_or(0) as f64)
}

/// Leaves the SHA-256 that names the whole bundle as the text, in hexadecimal; no text while it is not known.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_sha256() {
    with((), |web| {
        let digest = web.loader().and_then(|loader| loader.sha256());
        text::leave(digest.map_or_else(String::new, |digest| pannier_wasm_interface::describe::hex(&digest)));
    });
}

/// Whether the graph has arrived and an engine of this module supports it.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_is_supported() -> u32 {
    with(0, |web| u32::from(web.loader().is_some_and(Loader::is_supported)))
}

/// Leaves the names of this module's engines as the text, in order of preference.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_engines() {
    with((), |_| text::leave(web::engines().join(" ")));
}

/// Prepares and tests the model, once all of the bundle has arrived.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_finish() -> u32 {
    status(Web::finish)
}

/// Leaves a description of the model as the text.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_describe() -> u32 {
    status(|web| {
        text::leave(web.describe()?);
        Ok(())
    })
}

/// Room for the shape of an input, in 32-bit numbers; null if there is no such input or its rank is another.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_input_shape(index: usize, rank: usize) -> *mut u32 {
    pointer(|web| Ok(web.model()?.input_shape(index, rank)?.as_mut_ptr()))
}

/// Room for the elements of an input, whose type is a number of ONNX; null if type or size do not fit.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_input_data(index: usize, dtype: u32, size: usize) -> *mut u8 {
    pointer(|web| Ok(web.model()?.input_data(index, dtype, size)?.as_mut_ptr()))
}

/// Runs with the inputs that were given.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_run() -> u32 {
    status(|web| web.model()?.run())
}

/// Runs with the inputs that were given; state inputs that were not are zeros, after [`pannier_reset`].
#[unsafe(no_mangle)]
pub extern "C" fn pannier_step() -> u32 {
    status(|web| web.model()?.step())
}

/// Forgets state, inputs and outputs.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_reset() {
    with((), |web| web.model().map(Model::reset).unwrap_or_default());
}

/// Element type of an output of the last run, a number of ONNX; 0 if there is no such output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_dtype(index: usize) -> u32 {
    output(index, 0, |output| output.tensor.dtype().onnx_number().unsigned_abs())
}

/// Number of dimensions of an output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_rank(index: usize) -> usize {
    output(index, 0, |output| output.shape.len())
}

/// Shape of an output, in 32-bit numbers.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_shape(index: usize) -> *const u32 {
    output(index, std::ptr::null(), |output| output.shape.as_ptr())
}

/// Elements of an output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_data(index: usize) -> *const u8 {
    output(index, std::ptr::null(), |output| output.tensor.bytes().as_ptr())
}

/// Size of an output's elements in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_size(index: usize) -> usize {
    output(index, 0, |output| output.tensor.bytes().len())
}

/// Where the text is that the last call left.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_text() -> *const u8 {
    explain_trap();
    text::place().0
}

/// Size of that text in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_text_size() -> usize {
    explain_trap();
    text::place().1
}

fn with<R>(refused: R, call: impl FnOnce(&mut Web) -> R) -> R {
    WEB.with(|web| match web.try_borrow_mut() {
        Ok(mut web) => {
            forget_refusal();
            call(&mut web)
        }
        Err(_) => refused,
    })
}

fn status(call: impl FnOnce(&mut Web) -> Result<(), Failure>) -> u32 {
    with(FAILED, |web| call(web).map_or_else(|failure| leave(&failure, FAILED), |()| OK))
}

fn pointer<T>(call: impl FnOnce(&mut Web) -> Result<*mut T, Failure>) -> *mut T {
    let null = std::ptr::null_mut();
    with(null, |web| call(web).unwrap_or_else(|failure| leave(&failure, null)))
}

fn output<R>(index: usize, absent: R, read: impl FnOnce(&Output) -> R) -> R {
    with(None, |web| web.model().ok()?.outputs().get(index).map(read)).unwrap_or(absent)
}

fn leave<R>(failure: &Failure, result: R) -> R {
    text::leave(failure.to_json());
    result
}

/// If a call never returned and no panic said why, says what is known.
fn explain_trap() {
    if WEB.with(|web| web.try_borrow_mut().is_err()) {
        text::leave_final(|| Failure::new(pannier::Code::Failed, "a call did not come to its end"));
    }
}
