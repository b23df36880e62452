//! Transformations of the guest module: bytes in, bytes out. Nothing here runs WebAssembly.
