//! The runtime as a WebAssembly guest that imports nothing.
