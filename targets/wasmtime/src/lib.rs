//! Runs bundles in a sandbox, under wasmtime.
