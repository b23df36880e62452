//! The packager: from a trained ONNX model to one signed bundle, and everything that is done with a bundle on a
//! developer's machine.
//!
//! Every verb of the `packager` command is a function in [`commands`]; the work behind it lies in the modules beside.
//! A step is one function with one input type and one output type.
//!
//! This is the only crate that reads and writes ONNX files, and the only one that holds private keys. It opens no
//! socket and sends nothing anywhere, unless `run --telemetry` or `bench --telemetry` names an endpoint.

pub mod args;
pub mod build;
pub mod commands;
pub mod compare;
pub mod config;
pub mod content;
pub mod context;
pub mod error;
pub mod export;
pub mod import;
pub mod input;
pub mod interrupt;
pub mod loaded;
pub mod measure;
pub mod output;
pub mod printer;
pub mod program;
pub mod quantize;
pub mod report;
pub mod schemas;
pub mod secret;
pub mod sign;
pub mod standalone;
pub mod suggest;
pub mod table;
pub mod telemetry;
pub mod units;

pub use context::Context;
pub use error::Error;
