//! Self-contained WebAssembly files: built by the command, checked by it, and run by hosts that know nothing of Pannier.

mod checks;
mod fixture;
mod hosts;
mod tool;
