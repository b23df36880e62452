//! OTLP's metrics, from a body to reports. Every byte is hostile: what is not understood is refused with a reason, and the
//! rest is kept.

mod count;
mod normalise;

pub use normalise::{Limits, Point, Reason, Rejected, Report, normalise};

use crate::Error;
use pannier_otlp_messages::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse, Message, Status,
};

/// How a body is written. The answer is written the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Encoding {
    /// The encoding that a `Content-Type` names.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Encoding> {
        match content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    /// The `Content-Type` of it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    /// Decodes a request of at most so many objects.
    ///
    /// # Errors
    /// [`Error::TooLarge`]: it has more. [`Error::Malformed`]: it is no request in this encoding.
    pub fn decode(self, body: &[u8], max_objects: usize) -> Result<ExportMetricsServiceRequest, Error> {
        let objects = match self {
            Encoding::Protobuf => count::protobuf(body, max_objects + 1),
            Encoding::Json => count::json(body),
        };
        if objects > max_objects {
            return Err(Error::TooLarge { what: "objects in the body", limit: max_objects as u64 });
        }
        match self {
            Encoding::Protobuf => {
                ExportMetricsServiceRequest::decode(body).map_err(|error| Error::malformed(error.to_string()))
            }
            Encoding::Json => serde_json::from_slice(body).map_err(|error| Error::malformed(error.to_string())),
        }
    }

    /// The body of an answer that takes the request, or a part of it.
    #[must_use]
    pub fn answer(self, rejected: &Rejected) -> Vec<u8> {
        let partial_success = (rejected.count() > 0).then(|| ExportMetricsPartialSuccess {
            rejected_data_points: i64::try_from(rejected.count()).unwrap_or(i64::MAX),
            error_message: rejected.message(),
        });
        self.write(&ExportMetricsServiceResponse { partial_success })
    }

    /// The body of an answer that refuses it. `code` is one of `google.rpc.Code`.
    #[must_use]
    pub fn refusal(self, code: i32, message: &str) -> Vec<u8> {
        self.write(&Status { code, message: message.to_owned() })
    }

    /// Writes a message.
    #[must_use]
    pub fn write<M: Message + serde::Serialize>(self, message: &M) -> Vec<u8> {
        match self {
            Encoding::Protobuf => message.encode_to_vec(),
            Encoding::Json => serde_json::to_vec(message).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
