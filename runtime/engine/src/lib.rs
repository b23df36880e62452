//! What an engine is: the [`Engine`] and [`Prepared`] traits, tensors, budgets and the golden self-test.
//! No engine lives here, and no public type names one.

// Tensors lend their bytes as numbers, and the wire is little-endian.
#[cfg(target_endian = "big")]
compile_error!("pannier needs a little-endian machine");

mod engine;
pub mod golden;
mod number;
mod program;
mod tensor;
mod watch;

pub use engine::{Engine, EngineError, Interrupt, MemoryUse, Prepared, RunBudget, Unsupported, Watch};
pub use pannier_bundle::{Code, DType, Dim};
pub use program::{Program, ProgramBuilder};
pub use tensor::{Element, Tensor, TensorError, TensorView, size_bytes};
pub use watch::Cancel;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use watch::Deadline;
