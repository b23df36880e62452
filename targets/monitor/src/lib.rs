//! `pannier-monitor`: knows how every deployed model is doing. One binary that takes OTLP from devices, keeps it in one file,
//! shows it on a page and says when something is wrong.
//!
//! ```text
//!  devices --OTLP/HTTP--> http::receive -> otlp (decode, normalise) -> ingest (queue) -> store (one writer)
//!                                                                                          |  readers
//!  people, Prometheus <--- http::{assets, api, health} <------------- view <--------------+
//!  webhooks <------------- alerts::{evaluate, webhook} <---------------+
//! ```
//!
//! Invariants: a request is answered with 200 after its points are on the disk. What is counted twice is counted once: a point is known
//! by its source, series and time. Nothing that comes in makes the process use more than a bounded part of memory, files or
//! time. The page asks no server but this one.
//!
//! It does not scale past one machine. The same OTLP goes to any other receiver unchanged.

mod alerts;
mod app;
mod clock;
pub mod commands;
mod config;
mod counters;
mod error;
mod http;
mod ingest;
mod monitor;
mod otlp;
mod series;
pub mod simulate;
mod store;
mod suggest;
mod tokens;
mod value;
mod view;

pub use config::Config;
pub use error::Error;
pub use monitor::Monitor;
pub use store::Keep;
pub use tokens::{Role, add as add_token};
