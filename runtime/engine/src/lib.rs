//! What an engine is: the [`Engine`] and [`Prepared`] traits, tensors, budgets and the golden self-test.
//! No engine lives here, and no public type names one.

mod engine;
pub mod golden;
mod tensor;

pub use engine::{Engine, EngineError, Interrupt, MemoryUse, Prepared, Program, RunBudget, Unsupported, Watch};
pub use pannier_bundle::{Code, DType};
pub use tensor::{Element, Tensor, TensorView};
