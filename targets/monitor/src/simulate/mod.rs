//! Devices that are not there: real OTLP payloads by the telemetry contract, from models that behave, drift and go offline.

mod device;
mod send;

pub use device::{Device, MODELS, Mood, SITES};
pub use send::{Plan, Summary, run};

use crate::otlp::Encoding;
use pannier_otlp_messages::ExportMetricsServiceRequest;
use std::io::Write as _;

/// A payload as it is sent.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The body.
    pub body: Vec<u8>,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Whether it is compressed.
    pub gzip: bool,
}

impl Payload {
    fn new(request: &ExportMetricsServiceRequest, json: bool, gzip: bool) -> Payload {
        let encoding = if json { Encoding::Json } else { Encoding::Protobuf };
        let mut body = encoding.write(request);
        if gzip {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            // Writing to memory cannot fail.
            if encoder.write_all(&body).is_ok()
                && let Ok(packed) = encoder.finish()
            {
                body = packed;
            }
        }
        Payload { body, content_type: encoding.content_type(), gzip }
    }
}
