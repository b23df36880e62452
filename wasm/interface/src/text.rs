//! The text that the last call left: an error, a description, or why the instance is no longer usable.

use std::cell::{Cell, RefCell};

use crate::Failure;

thread_local! {
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether the text is about a call that never returned. It is the last one then.
    static FINAL: Cell<bool> = const { Cell::new(false) };
}

/// Leaves a text.
pub fn leave(text: String) {
    TEXT.with_borrow_mut(|slot| *slot = text);
}

/// Leaves the reason why a call never returned: memory that was refused during it, or else what the caller knows. The first
/// reason stays.
pub fn leave_final(otherwise: impl FnOnce() -> Failure) {
    if !FINAL.replace(true) {
        leave(out_of_memory().unwrap_or_else(otherwise).to_json());
    }
}

/// Rust ends a program that lacks memory without a panic, and tract panics; both come from the same refusal.
#[cfg(target_family = "wasm")]
fn out_of_memory() -> Option<Failure> {
    let size_bytes = crate::refused_bytes()?;
    Some(Failure::new(pannier::Code::MemoryBudget, format!("there is no memory for {size_bytes} bytes")))
}

#[cfg(not(target_family = "wasm"))]
fn out_of_memory() -> Option<Failure> {
    None
}

/// The text.
pub fn last() -> String {
    TEXT.with_borrow(String::clone)
}

/// Where the text is, and its size in bytes. Valid until another one is left.
pub fn place() -> (*const u8, usize) {
    TEXT.with_borrow(|text| (text.as_ptr(), text.len()))
}

/// From now on a panic leaves its message as the text: after the trap that follows, the host can still read it.
/// Natively, panics belong to whoever runs the tests.
#[cfg(target_family = "wasm")]
pub fn leave_panics() {
    std::panic::set_hook(Box::new(|panic| {
        leave_final(|| Failure::new(pannier::Code::Failed, format!("the runtime panicked: {panic}")));
    }));
}
