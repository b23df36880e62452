//! Bundles in the sandbox, as applications and users of the command meet it: bad input of every kind, the same answers
//! as natively, and what is promised about bits.
//!
//! How the sandbox stands up to a hostile guest is tested beside it, in `targets/wasmtime/tests`.

mod answers;
mod bits;
mod cache;
mod command;
mod instances;
mod limits;
mod lying;
