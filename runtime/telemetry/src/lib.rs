//! What a deployed model does, in numbers: aggregation of runs and of tensor values, drift, and OTLP.
//!
//! ```text
//! Recorder::succeeded(run, inputs, outputs)      each run, within 1 % of its time
//!     |  close_window(): Snapshot                each minute
//!     v
//! otlp::Export -> ExportMetricsServiceRequest -> Delivery -> Spool -> Transport
//! ```
//!
//! # Invariants
//!
//! - It opens no socket, writes no file and reads no clock: [`Transport`] and [`Spool`] are traits, and the time is an
//!   argument. What implements them is in `pannier-otlp`, and in JavaScript.
//! - No value of a tensor leaves: only counts, extremes, means and quantiles do.
//! - A run that is recorded allocates nothing after the first one.
//! - What is sent is cumulative, so a payload that arrives twice or late changes nothing.
//!
//! # What it does not do
//!
//! It chooses no endpoint and knows no environment. It compresses nothing: transports do. It keeps no payload.

#![forbid(unsafe_code)]

pub mod baseline;
pub mod delivery;
pub mod drift;
pub mod otlp;
mod ports;
mod recorder;
pub mod sample;
pub mod sketch;
pub mod snapshot;
mod tensor;

pub use baseline::{Baseline, BaselineError, Role};
pub use delivery::{Delivery, Spool, Transport};
pub use recorder::{About, Identity, Recorder, Run};
pub use snapshot::Snapshot;
pub use tensor::{Histogram, Violation, WindowSummary};
