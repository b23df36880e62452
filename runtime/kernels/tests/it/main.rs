//! Every kernel against a naive computation in f64, on every instruction set that the machine has; and the deterministic
//! kernels against each other, bit by bit.

mod bytes;
mod conv;
mod math;
mod matmul;
mod packing;
mod rows;
mod stored;
mod support;
