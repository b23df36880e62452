//! The global allocator: the standard one, which also leaves no copies behind and remembers what it had to refuse.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Blocks from this size on are zeroed when they are freed during loading. Smaller ones are not worth the time: what
/// counts is whole pages of zeros.
const WORTHWHILE_BYTES: usize = 1024;

static CLEARING: AtomicBool = AtomicBool::new(false);
static REFUSED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The allocator of every WebAssembly build; each declares it itself.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

/// Does `work`, which loads a model; large blocks that it frees are zeroed.
///
/// Loading frees several times what it keeps: the bundle, compressed chunks, the self-test's tensors. An image of the
/// memory afterwards holds every page that is not all zeros, so pages that nobody needs should be zeros, and no copy of
/// the bundle should stay behind. Measured on five models: 23.3 instead of 38.5 MiB of such pages for the largest, 7.2
/// instead of 16.1 for a small one, each within 1 MiB of what is in use; no difference in time could be told from noise.
pub fn clearing<R>(work: impl FnOnce() -> R) -> R {
    CLEARING.store(true, Relaxed);
    let result = work();
    CLEARING.store(false, Relaxed);
    result
}

/// Forgets what was refused before.
pub fn forget_refusal() {
    REFUSED_BYTES.store(0, Relaxed);
}

/// Size of the last block that there was no memory for.
pub fn refused_bytes() -> Option<usize> {
    Some(REFUSED_BYTES.load(Relaxed)).filter(|size| *size > 0)
}

fn noted(block: *mut u8, size_bytes: usize) -> *mut u8 {
    if block.is_null() {
        REFUSED_BYTES.store(size_bytes, Relaxed);
    }
    block
}

// SAFETY: every block comes from and goes back to `System` with the layout that the caller gave; on the way back its
// bytes may be zeroed first, when nobody else may use them any more.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of `System`.
        noted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        noted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= WORTHWHILE_BYTES && CLEARING.load(Relaxed) {
            // SAFETY: the block is `layout.size()` bytes long and ours until it is freed in the next line.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < WORTHWHILE_BYTES || !CLEARING.load(Relaxed) {
            // SAFETY: as above.
            return noted(unsafe { System.realloc(block, layout, size) }, size);
        }
        // `System` would free the old place without clearing it.
        // SAFETY: the caller promises that `size`, rounded up to the alignment, fits `isize`.
        let fresh = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !fresh.is_null() {
            // SAFETY: both blocks are at least that long, and a new block overlaps no other.
            unsafe { fresh.copy_from_nonoverlapping(block, size.min(layout.size())) };
            // SAFETY: as above.
            unsafe { self.dealloc(block, layout) };
        }
        fresh
    }
}
