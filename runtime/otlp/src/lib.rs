//! Sends what [`pannier_telemetry`] records to an OpenTelemetry receiver.
//!
//! ```no_run
//! use pannier_otlp::{Config, Exporter};
//! # fn recorder() -> std::sync::Arc<pannier_telemetry::Recorder> { unimplemented!() }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `None` unless the environment names an endpoint.
//! if let Some(config) = Config::from_env()? {
//!     let exporter = Exporter::start(&config);
//!     exporter.watch(recorder());
//!     // ... the session runs, and each minute a window is sent ...
//!     let counts = exporter.shutdown();
//!     println!("{} attempts failed", counts.failed);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - Nothing is sent unless an endpoint is given, and nothing where `DO_NOT_TRACK` or `OTEL_SDK_DISABLED` says so.
//! - A payload is on disk before it is sent, and until the receiver took it: whoever kills the process loses the current
//!   window and no other. One whose answer was lost is sent again, byte for byte the same.
//! - What waits is bounded; the oldest is lost first, and every loss is counted and told.
//! - The runs of a session never wait for the network or the disk: one thread does all of it.
//!
//! # What it does not do
//!
//! It follows no redirect to another host with the headers it was given, and it keeps no secret: `OTEL_EXPORTER_OTLP_HEADERS`
//! is read and not written anywhere.

#![forbid(unsafe_code)]

mod config;
mod exporter;
mod http;
mod payload;
mod spool;

pub use config::{Compression, Config, ConfigError, Protocol};
pub use exporter::Exporter;
pub use pannier_telemetry::otlp::DeliveryCounts;
pub use payload::Payload;
pub use spool::DiskSpool;
