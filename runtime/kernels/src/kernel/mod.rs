//! The kernels: generic over the instruction set, on raw pointers, each with one struct of arguments.
//!
//! Nothing here is called but through a [`crate::table::Table`]. The safe functions around them check every length first.

/// Calls a function with closures that are inlined into their caller, whatever their size: a closure that is not has a body of
/// its own, compiled without the caller's instruction set, in which every vector operation is a call.
macro_rules! inlined {
    ($function:path, ($($argument:expr),*), $(|$($parameter:pat_param),*| $body:expr),+) => {
        $function($($argument,)* $(#[inline(always)] |$($parameter),*| $body),+)
    };
}

pub mod byte_depthwise;
pub mod byte_pointwise;
pub mod bytes;
pub mod cell;
pub mod depthwise;
pub mod layout;
pub mod lines;
pub mod math;
pub mod packed;
pub mod pointwise;
pub mod pool;
pub mod product;
pub mod quick;
pub mod resize;
pub mod rows;
pub mod stored;
// WebAssembly pays for each byte.
#[cfg(not(target_arch = "wasm32"))]
pub mod stored_row;
pub mod winograd;
