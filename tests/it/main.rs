//! The integration suite.

mod browser;
mod build;
mod cli;
mod conformance;
mod format;
mod hostile_onnx;
mod import;
mod models;
mod oms;
mod quantize;
mod samples;
mod sandbox;
mod standalone;
mod support;
mod telemetry;
mod trust;
