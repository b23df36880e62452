//! What the measuring programs share: cases out of `.npz` files, the loop that measures, memory and page faults of this process.
//!
//! `cargo xtask bench` runs the programs in `src/bin`, each measurement in a process of its own.

pub mod cases;
pub mod measure;
pub mod memory;
pub mod model;
