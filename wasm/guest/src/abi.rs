//! The plain ABI: what `ABI.md` specifies, as exported functions.
//!
//! Nothing here follows a pointer that the host gave. A pointer only names a buffer that `Guest::allocate` handed out,
//! so no number that the host gets wrong can touch memory that is not meant for it.

use std::cell::RefCell;

use pannier::Code;

use crate::guest::Guest;
use crate::options::LoadOptions;
use pannier_wasm_interface::model::{Model, Output};
use pannier_wasm_interface::{Failure, text, trust};

/// Version of the ABI. It changes when a host that keeps to the old one would fail.
const VERSION: u32 = 1;

/// What functions with a status return.
const OK: u32 = 0;
const FAILED: u32 = 1;

/// Bits of `flags` of [`pannier_load`].
const ALLOW_UNSIGNED: u32 = 1 << 0;
const SKIP_SELF_TEST: u32 = 1 << 1;
const DETERMINISTIC: u32 = 1 << 2;

thread_local! {
    static GUEST: RefCell<Guest> = {
        #[cfg(target_family = "wasm")]
        start();
        RefCell::default()
    };
}

/// Version of this ABI.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_abi() -> u32 {
    VERSION
}

/// A buffer of so many bytes, 64-byte aligned; null if there is no memory for it.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_alloc(size: usize) -> *mut u8 {
    with(std::ptr::null_mut(), |guest| guest.allocate(size).unwrap_or(std::ptr::null_mut()))
}

/// Frees a buffer of [`pannier_alloc`].
#[unsafe(no_mangle)]
pub extern "C" fn pannier_free(buffer: *mut u8) {
    with((), |guest| guest.free(buffer));
}

/// Loads a bundle and frees its buffer.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_load(
    bundle: *mut u8,
    bundle_size: usize,
    trust: *const u8,
    trust_size: usize,
    flags: u32,
    now_unix_s: u64,
    memory_bytes: u64,
) -> u32 {
    status(|guest| {
        let text = guest.text(trust, trust_size);
        let trust = text.and_then(|text| trust::from_text(&text, flags & ALLOW_UNSIGNED != 0));
        // Taken before anything can fail: the buffer is consumed whatever comes of it.
        let bundle = guest.take_bundle(bundle, bundle_size);
        if flags & !(ALLOW_UNSIGNED | SKIP_SELF_TEST | DETERMINISTIC) != 0 {
            return Err(Failure::usage(format!("flags {flags:#x} are not known")));
        }
        let options = LoadOptions {
            trust: trust?,
            self_test: flags & SKIP_SELF_TEST == 0,
            deterministic: flags & DETERMINISTIC != 0,
            now_unix_s: Some(now_unix_s).filter(|now| *now > 0),
            memory_bytes: Some(memory_bytes).filter(|bytes| *bytes > 0),
        };
        clearing(|| guest.load(bundle?, &options))
    })
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

/// Leaves a description of the model as the text.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_describe() -> u32 {
    status(|guest| {
        text::leave(guest.model()?.describe().to_json());
        Ok(())
    })
}

/// Room for the shape of an input; null if there is no such input or its rank is another.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_input_shape(index: u32, rank: u32) -> *mut u32 {
    let place = |model: &mut Model| Ok(model.input_shape(number(index), number(rank))?.as_mut_ptr());
    pointer(|guest| place(guest.model_mut()?))
}

/// Room for the elements of an input; null if type or size do not fit.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_input_data(index: u32, dtype: u32, size: usize) -> *mut u8 {
    let place = |model: &mut Model| Ok(model.input_data(number(index), dtype, size)?.as_mut_ptr());
    pointer(|guest| place(guest.model_mut()?))
}

/// Runs with the inputs that were given.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_run() -> u32 {
    status(|guest| guest.model_mut()?.run())
}

/// Runs with the inputs that were given and the state that the guest keeps.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_step() -> u32 {
    status(|guest| guest.model_mut()?.step())
}

/// Forgets state, inputs and outputs.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_reset() {
    with((), |guest| {
        if let Ok(model) = guest.model_mut() {
            model.reset();
        }
    });
}

/// Number of outputs of the last run.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_outputs() -> u32 {
    with(0, |guest| guest.model().map_or(0, |model| count(model.outputs().len())))
}

/// Element type of an output; 0 if there is no such output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_dtype(index: u32) -> u32 {
    output(index, 0, |output| output.tensor.dtype().onnx_number().unsigned_abs())
}

/// Number of dimensions of an output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_rank(index: u32) -> u32 {
    output(index, 0, |output| count(output.shape.len()))
}

/// Shape of an output; null if there is no such output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_shape(index: u32) -> *const u32 {
    output(index, std::ptr::null(), |output| output.shape.as_ptr())
}

/// Elements of an output; null if there is no such output.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_data(index: u32) -> *const u8 {
    output(index, std::ptr::null(), |output| output.tensor.bytes().as_ptr())
}

/// Size of an output's elements in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn pannier_output_size(index: u32) -> usize {
    output(index, 0, |output| output.tensor.bytes().len())
}

/// What comes before the first call.
#[cfg(target_family = "wasm")]
fn start() {
    // tract registers its kernels in constructors. A linker would wrap every export to run them, but stands back where they
    // are called by hand, and the component's bindings do that in their own exports. The function is theirs, so that
    // whichever interface is called first, they run once.
    wit_bindgen::rt::run_ctors_once();
    text::leave_panics();
}

/// Calls into the guest. After a call that never returned there is only `refused`: what that call left half done is not
/// to be used, and its text stays.
pub(crate) fn with<R>(refused: R, call: impl FnOnce(&mut Guest) -> R) -> R {
    GUEST.with(|guest| match guest.try_borrow_mut() {
        Ok(mut guest) => {
            #[cfg(target_family = "wasm")]
            pannier_wasm_interface::forget_refusal();
            call(&mut guest)
        }
        Err(_) => refused,
    })
}

fn status(call: impl FnOnce(&mut Guest) -> Result<(), Failure>) -> u32 {
    with(FAILED, |guest| call(guest).map_or_else(|failure| leave(&failure, FAILED), |()| OK))
}

fn pointer<T>(call: impl FnOnce(&mut Guest) -> Result<*mut T, Failure>) -> *mut T {
    let null = std::ptr::null_mut();
    with(null, |guest| call(guest).unwrap_or_else(|failure| leave(&failure, null)))
}

fn output<R>(index: u32, absent: R, read: impl FnOnce(&Output) -> R) -> R {
    with(None, |guest| guest.model().ok()?.outputs().get(number(index)).map(read)).unwrap_or(absent)
}

fn leave<R>(failure: &Failure, result: R) -> R {
    text::leave(failure.to_json());
    result
}

/// Loading, after which no copies of what it read lie in memory.
pub(crate) fn clearing<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_family = "wasm")]
    return pannier_wasm_interface::clearing(work);
    #[cfg(not(target_family = "wasm"))]
    work()
}

/// If a call never returned and no panic said why, says what is known.
fn explain_trap() {
    if GUEST.with(|guest| guest.try_borrow_mut().is_ok()) {
        return;
    }
    text::leave_final(|| Failure::new(Code::Failed, "a call did not come to its end"));
}

/// An index or a rank; one that does not fit is too large for anything.
fn number(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A number of outputs or dimensions.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
