//! OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use crate::config::{Compression, Config, Protocol};
use flate2::write::GzEncoder;
use pannier_telemetry::Transport;
use pannier_telemetry::delivery::{Accepted, Refused};
use pannier_telemetry::otlp::Message;
use pannier_telemetry::otlp::messages::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use serde_json::Value;
use std::io::{self, Write};
use std::time::Duration;
use ureq::Agent;

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Posts payloads.
pub(crate) struct Http {
    agent: Agent,
    config: Config,
}

impl Http {
    pub(crate) fn new(config: &Config) -> Http {
        let agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            // A redirect would carry the headers to wherever it leads.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("pannier-otlp/", env!("CARGO_PKG_VERSION")))
            .build();
        Http { agent: agent.into(), config: config.clone() }
    }
}

impl Transport for Http {
    fn send(&mut self, request: &[u8]) -> Result<Accepted, Refused> {
        let Config { protocol, compression, url, headers, .. } = &self.config;
        // What cannot be encoded can never be sent.
        let body = encode(request, *protocol, *compression).ok_or(Refused::Never)?;
        let mut post = self.agent.post(url).header("content-type", content_type(*protocol));
        if *compression == Compression::Gzip {
            post = post.header("content-encoding", "gzip");
        }
        for (name, value) in headers {
            post = post.header(name, value);
        }
        let mut answer = post.send(&body[..]).map_err(|error| match error {
            // A URL or a header that is none.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Refused::Never,
            // Nobody there, or not in time.
            _ => Refused::Later(None),
        })?;
        let status = answer.status().as_u16();
        if !(200..300).contains(&status) {
            let retry_after = answer.headers().get("retry-after").and_then(|value| seconds(value.to_str().ok()?));
            return Err(Refused::from_status(status, retry_after));
        }
        let is_json =
            answer.headers().get("content-type").is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
        // It was taken, whatever became of the answer.
        let answer = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().unwrap_or_default();
        Ok(Accepted { rejected_points: rejected_points(&answer, is_json) })
    }
}

fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Protobuf => "application/x-protobuf",
        Protocol::Json => "application/json",
    }
}

/// The body of a request. `None` if `request` is no payload.
fn encode(request: &[u8], protocol: Protocol, compression: Compression) -> Option<Vec<u8>> {
    let body = match protocol {
        Protocol::Protobuf => request.to_vec(),
        Protocol::Json => serde_json::to_vec(&ExportMetricsServiceRequest::decode(request).ok()?).ok()?,
    };
    match compression {
        Compression::None => Some(body),
        Compression::Gzip => gzip(&body).ok(),
    }
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

/// `Retry-After` in seconds. A date, which the header may be as well, is left to the backoff.
fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

fn rejected_points(answer: &[u8], is_json: bool) -> u64 {
    let rejected = match is_json {
        // 64-bit integers are texts in OTLP's JSON, and numbers from receivers that do not know.
        true => serde_json::from_slice::<Value>(answer).ok().and_then(|answer| {
            let rejected = answer.get("partialSuccess")?.get("rejectedDataPoints")?;
            rejected.as_i64().or_else(|| rejected.as_str()?.parse().ok())
        }),
        false => ExportMetricsServiceResponse::decode(answer)
            .ok()
            .and_then(|answer| Some(answer.partial_success?.rejected_data_points)),
    };
    rejected.and_then(|rejected| u64::try_from(rejected).ok()).unwrap_or(0)
}
