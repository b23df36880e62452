//! What an engine is: the [`Engine`] and [`Prepared`] traits, tensors, budgets and the golden self-test.
//! No engine lives here, and no public type names one.
//!
//! # Invariants
//!
//! - Nothing here reads a clock, opens a file or starts a thread: time comes in as a [`Watch`].
//! - No input makes anything here panic; sizes are multiplied with overflow checks before anything is allocated.

// Tensors lend their bytes as numbers, and the wire is little-endian.
#[cfg(target_endian = "big")]
compile_error!("pannier needs a little-endian machine");

mod engine;
pub mod golden;
mod interface;
mod number;
mod program;
mod tensor;
mod watch;

#[cfg(test)]
mod tests;

pub use engine::{Answer, Engine, EngineError, Interrupt, MemoryUse, Prepared, RunBudget, Unsupported, Watch};
pub use interface::{Symbols, check_inputs};
pub use pannier_bundle::{Code, DType, Dim};
pub use program::{Program, ProgramBuilder};
pub use tensor::{Element, Tensor, TensorError, TensorView, size_bytes};
pub use watch::{Cancel, Clock, Deadline, STD_CLOCK};
