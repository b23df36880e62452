//! Telemetry of real models: what drifts and what does not, and what receivers make of what is sent.

mod drift;
#[allow(dead_code, reason = "the tests of pannier-otlp use the rest")]
#[path = "../../runtime/otlp/tests/it/receiver.rs"]
mod receiver;
mod receivers;
