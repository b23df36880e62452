//! Open, verify and run Pannier bundles.
//!
//! ```no_run
//! use pannier::{Options, PublicKey, Session, Tensor, Trust, inputs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = PublicKey::from_pem(&std::fs::read_to_string("publisher.pub")?)?;
//! let session = Session::open("model.pannier", &Trust::Keys(vec![publisher]), &Options::default())?;
//! let outputs = session.run(inputs! { "x" => Tensor::from_slice([1, 3], &[1.0f32, 2.0, 3.0])? })?;
//! for (name, tensor) in outputs.iter() {
//!     println!("{name}: {tensor:?}");
//! }
//! println!("on {}", session.report().engine);
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - Nothing runs before its signature or digest was checked, unless the caller said [`Trust::AllowUnsigned`].
//! - No engine's type is in this interface. An engine is a value in [`Options::engines`]; features only add to the
//!   default of that list, or, those of `burn`, a constructor of such a value.
//! - The manifest's resource envelope is enforced on every run.
//!
//! # What it does not do
//!
//! It turns no file into a tensor and no tensor into a text, and it starts no thread. It opens no connection: with the feature
//! `telemetry` it adds up what sessions do, and whoever holds the recorder sends it.

#![forbid(unsafe_code)]

mod error;
mod inputs;
mod load;
mod loader;
mod observe;
mod options;
mod report;
mod session;
mod state;
mod wait;

pub use error::{Error, LoadStep};
pub use inputs::{Inputs, Outputs, Value};
pub use loader::Loader;
pub use options::{Options, RunOptions};
pub use pannier_bundle::manifest::{self, Manifest};
pub use pannier_bundle::trust::{Policy, PublicKey, Trust, Verdict};
pub use pannier_bundle::{Code, DType, Dim, Limits};
pub use pannier_engine::golden::SelfTest;
pub use pannier_engine::{
    Cancel, Clock, Element, Engine, EngineError, Interrupt, MemoryUse, Program, Tensor, TensorError, TensorView, Watch,
};
#[cfg(any(feature = "burn", feature = "wgpu"))]
pub use pannier_engine_burn::Burn;
#[cfg(feature = "wgpu")]
pub use pannier_engine_burn::{AdapterInfo, GpuError, GpuOptions};
#[cfg(feature = "tract")]
pub use pannier_engine_tract::TractEngine;
#[cfg(all(feature = "executor", not(target_family = "wasm")))]
pub use pannier_executor::ParkedThreads;
#[cfg(feature = "executor")]
pub use pannier_executor::{Executor, ThreadPool};
pub use pannier_graph::GraphLimits;
#[cfg(feature = "telemetry")]
pub use pannier_telemetry as telemetry;
pub use report::{LoadTimes, Rejected, Report};
pub use session::Session;
pub use state::State;

/// Compiles the examples of the project's README.
#[cfg(all(doctest, feature = "tract"))]
#[doc = include_str!("../../README.md")]
struct Readme;
