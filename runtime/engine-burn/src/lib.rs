//! Programs on GPUs: the graph is interpreted, operator after operator, over burn's tensors.
//!
//! # How it works
//!
//! Preparing brings the weights to the device once. A run brings the inputs there, hands the operators to the device in the
//! graph's order, and reads the outputs back in one transaction. What shapes are computed from is known to the CPU, and is
//! computed there: nothing is read back between operators.
//!
//! # Backends
//!
//! Cargo features add constructors of [`Burn`], and choose nothing:
//!
//! - `flex`: [`Burn::flex`], the CPU. It is slower than the executor; it is here to test this crate where there is no GPU.
//! - `wgpu`: `Burn::wgpu` natively, through Vulkan, Metal or DirectX 12, and `Burn::wgpu_async` anywhere.
//! - `webgpu`: the same in browsers.
//! - `fusion`: `wgpu` with neighbouring elementwise operators compiled into one kernel. Not for WebAssembly.
//!
//! # Types
//!
//! The device computes with binary32, 32-bit integers and booleans. float16 and bfloat16 are widened when they are brought there,
//! quantized weights are dequantized; 64-bit integers that do not fit, and float64, are refused. What the CPU computes of shapes
//! has the graph's types.
//!
//! # What it does not do
//!
//! It does not ask the device to stop: a deadline is kept between operators, when they are handed over, and a device may
//! have many of them still to compute. It runs no operator whose result has a size that only the data tells.

#![forbid(unsafe_code)]

#[cfg(all(feature = "fusion", target_family = "wasm"))]
compile_error!("`fusion` waits for the device by blocking, which a page must not: leave the feature out");

#[cfg(feature = "wgpu")]
mod adapter;
mod array;
mod attributes;
mod device;
mod engine;
mod failure;
mod guard;
mod host;
mod meter;
mod ops;
mod prepared;
mod scope;
mod shape;
mod supports;
mod value;

#[cfg(feature = "wgpu")]
pub use adapter::{AdapterInfo, GpuError, GpuOptions};
pub use engine::Burn;

/// The operators that this engine has, sorted. Of some it lacks attributes: ask [`Engine::supports`](pannier_engine::Engine::supports).
pub fn operators() -> Vec<&'static str> {
    ops::names()
}
