//! The numeric kernels of Pannier's own engine.
//!
//! Matrix products, convolutions, pooling, vector math, recurrent cells: numbers in slices in, numbers in slices out. There is
//! one generic source per kernel over a small trait of vectors (`simd`), compiled for each instruction set into a table of
//! functions; a [`Kernels`] value is the choice of such a table, made once.
//!
//! # How it is used
//!
//! An operation with constant weights is a small value that knows its shape: [`MatMul`], [`Conv`], [`ConvTranspose`]. It says how
//! much memory its packed weights and its scratch take, packs, and runs. Matrices are [`View`]s and [`ViewMut`]s, rows with a stride;
//! an image is a matrix of pixels x channels. What happens to a result before it is stored is a list of [`Step`]s: activation,
//! residual, scale. The same steps are an elementwise pass of their own ([`Kernels::pointwise`]).
//!
//! For 8-bit integers there are [`ByteMatMul`] and [`ByteConv`], with the same steps: [`ByteView`]s in, [`ByteOutput`]s out.
//!
//! # Invariants
//!
//! - Safe functions check every length at entry; what does not fit is a [`KernelError`], never a panic and never undefined.
//! - Nothing allocates.
//! - Every output of a product or convolution is one chain of sums in the order of k, starting at the bias. So splitting
//!   work by rows or panels, whatever the threads, changes no bit.
//! - How something is computed depends on shapes alone, never on the instruction set; so [`Kernels::deterministic`] gives the same
//!   bits on all of them.
//! - Products of 8-bit integers, and what is computed of their sums, have the same bits on all of them, always.
//!
//! # What it does not do
//!
//! It knows no graph and no engine, and plans no memory. It starts no thread but those of a [`ParkedThreads`] that somebody
//! makes.

mod byte_table;
mod bytes;
mod conv;
mod dot;
mod elementwise;
mod error;
mod isa;
mod kernel;
mod kernels;
mod matmul;
mod packed;
mod packing;
mod panels;
mod pool;
mod product;
mod recurrent;
mod simd;
mod step;
mod stored;
mod table;
mod threads;
mod tiles;
mod view;

pub use bytes::{ByteConv, ByteKind, ByteMatMul, ByteOutput, ByteView, ByteWeights, Elements, ElementsMut};
pub use conv::{Conv, ConvShape, ConvTranspose};
pub use dot::Dot;
pub use error::KernelError;
pub use isa::Isa;
pub use kernel::rows::Reduce;
pub use kernels::Kernels;
pub use matmul::MatMul;
pub use packing::Packing;
pub use pool::{LerpAxis, PoolKind};
pub use step::{Activation, Operand, Step};
pub use stored::{Blocks, Numbers, Order, PackedWeights, Storage, StoredPacking};
#[cfg(not(target_family = "wasm"))]
pub use threads::ParkedThreads;
pub use threads::{MOST_TASKS, ThreadPool, share};
pub use view::{View, ViewMut};
