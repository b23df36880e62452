//! This engine compared with the executor, and on the five real models.

mod cases;
mod engine;
#[cfg(feature = "wgpu")]
mod gpu;
mod models;
mod operators;
mod support;
