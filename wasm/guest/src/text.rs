//! The text that the last call left: an error, a description, or why the guest is no longer usable.

use std::cell::{Cell, RefCell};

use pannier::Code;

use crate::failure::Failure;

thread_local! {
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether the text is about a call that never returned. It is the last one then.
    static FINAL: Cell<bool> = const { Cell::new(false) };
}

/// Leaves a text.
pub(crate) fn leave(text: String) {
    TEXT.with_borrow_mut(|slot| *slot = text);
}

/// Leaves the reason why a call never returned. The first reason stays.
pub(crate) fn leave_final(failure: impl FnOnce() -> Failure) {
    if !FINAL.replace(true) {
        leave(failure().to_json());
    }
}

/// Where the text is, and its size in bytes. Valid until another one is left.
pub(crate) fn place() -> (*const u8, usize) {
    TEXT.with_borrow(|text| (text.as_ptr(), text.len()))
}

/// From now on a panic leaves its message as the text: after the trap that follows, the host can still read it.
#[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "natively, panics belong to the tests"))]
pub(crate) fn leave_panics() {
    std::panic::set_hook(Box::new(|panic| {
        leave_final(|| Failure::new(Code::Failed, format!("the runtime panicked: {panic}")));
    }));
}
