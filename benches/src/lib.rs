//! What the measuring programs share: memory of this process, and cases out of `.npz` files.
//!
//! `cargo xtask bench` runs the programs in `src/bin`, each measurement in a process of its own.

pub mod cases;
pub mod memory;
