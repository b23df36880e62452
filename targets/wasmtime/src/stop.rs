//! The word that a guest's code looks at in every loop and every call: how it is stopped from another thread.

use crate::engine::setup;
use crate::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{Engine, MemoryType, SharedMemory};

/// One page of its own, which the shell imports beside its memory.
pub(crate) struct StopFlag {
    page: SharedMemory,
    free: Arc<Free>,
}

/// Pages that no instance uses. Making one reserves address space, which takes longer than everything else about an
/// instance, so they are kept.
#[derive(Default)]
pub(crate) struct Free(Mutex<Vec<SharedMemory>>);

impl Free {
    /// A flag that is not set, for one instance.
    ///
    /// # Errors
    /// [`Error::Setup`]: there is no address space left.
    pub(crate) fn take(self: &Arc<Free>, engine: &Engine) -> Result<StopFlag, Error> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let page = match kept {
            Some(page) => page,
            None => SharedMemory::new(engine, MemoryType::shared(1, 1)).map_err(setup)?,
        };
        let flag = StopFlag { page, free: Arc::clone(self) };
        flag.store(0);
        Ok(flag)
    }
}

impl StopFlag {
    /// What the shell imports.
    pub(crate) fn page(&self) -> SharedMemory {
        self.page.clone()
    }

    /// Stops the instance at its next loop or call, until the flag is cleared.
    pub(crate) fn set(&self) {
        self.store(1);
    }

    /// Lets it run again.
    pub(crate) fn clear(&self) {
        self.store(0);
    }

    fn store(&self, value: u32) {
        let Some(word) = self.page.data().first_chunk::<4>() else { return };
        let word = word.as_ptr().cast_mut().cast::<u32>();
        // SAFETY: the pointer is to four bytes that are readable, writable and aligned, since a memory starts with a page of
        // the system; they stay where they are while `self.page` lives, as a shared memory never moves. Nothing in this
        // process takes a reference to them: Rust code reaches them only here, atomically, and the other side is
        // compiled WebAssembly, for which a shared memory is made.
        #[expect(unsafe_code, reason = "wasmtime has no safe way to write to a shared memory")]
        let word = unsafe { AtomicU32::from_ptr(word) };
        word.store(value, Ordering::Relaxed);
    }
}

impl Drop for StopFlag {
    fn drop(&mut self) {
        self.free.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.page.clone());
    }
}
