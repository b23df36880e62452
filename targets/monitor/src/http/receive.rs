//! `/v1/metrics`: OTLP over HTTP. Answers 200 when what was sent is on the disk, and not before.
//!
//! Source: OpenTelemetry Protocol 1.x, OTLP/HTTP.

use super::answer::mark;
use super::auth;
use crate::Error;
use crate::app::App;
use crate::otlp::{Encoding, Limits, Rejected, normalise};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A body has to arrive within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Most objects in a body: see `otlp::count`.
const MAX_OBJECTS: usize = 200_000;
/// Bodies longer than this are decoded on a thread of their own.
const INLINE_BYTES: usize = 64 << 10;
/// How far ahead of the monitor's clock a device's may be.
const AHEAD_NS: i64 = 10 * 60 * 1_000_000_000;
/// Unit in which memory for bodies is lent.
const UNIT: usize = 1 << 10;

/// Pages in browsers ask first.
pub async fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    allow_pages(response.headers_mut());
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    response.headers_mut().insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, content-encoding"),
    );
    response.headers_mut().insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// Any page may send: what lets it is the token, which no browser adds by itself.
fn allow_pages(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
}

/// Takes one request.
pub async fn metrics(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    app.counters.requests.fetch_add(1, Ordering::Relaxed);
    let encoding = header(request.headers(), CONTENT_TYPE.as_str()).and_then(Encoding::of);
    let outcome = take(&app, request, encoding).await;
    let answered_in = encoding.unwrap_or(Encoding::Json);
    let body = match &outcome {
        Ok(rejected) => answered_in.answer(rejected),
        Err(error) => answered_in.refusal(error.rpc_code(), &format!("{}: {error}. {}", error.code(), error.hint())),
    };
    let mut response = Response::new(Body::from(body));
    if let Err(error) = &outcome {
        app.counters.refuse(error.status());
        mark(&mut response, error);
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answered_in.content_type()));
    allow_pages(response.headers_mut());
    response
}

async fn take(app: &Arc<App>, request: Request, encoding: Option<Encoding>) -> Result<Rejected, Error> {
    let (head, body) = request.into_parts();
    let fleet = auth::fleet(app, &head.headers)?;
    let found = || header(&head.headers, CONTENT_TYPE.as_str()).unwrap_or("none").to_owned();
    let encoding = encoding.ok_or_else(|| Error::MediaType { found: found() })?;
    let gzip = match header(&head.headers, CONTENT_ENCODING.as_str()).map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => false,
        Some("gzip") => true,
        Some(other) => return Err(Error::MediaType { found: other.to_owned() }),
    };
    let declared = header(&head.headers, CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > app.config.max_body_bytes as u64) {
        return Err(Error::TooLarge { what: "bytes in the body", limit: app.config.max_body_bytes as u64 });
    }
    let mut memory = Memory { app: Arc::clone(app), lent: Vec::new(), left: 0 };
    let body = tokio::time::timeout(BODY_TIMEOUT, read(body, &mut memory))
        .await
        .map_err(|_| Error::Slow { seconds: BODY_TIMEOUT.as_secs() })??;
    app.counters.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);

    let clock = Arc::clone(&app.clock);
    let keep_ns = app.config.keep.coarse_ms.saturating_mul(1_000_000);
    let decode = move |memory: &mut Memory| {
        let body = if gzip { gunzip(&body, memory)? } else { body };
        let now_ns = clock.now_ns();
        let limits = Limits { latest_ns: now_ns.saturating_add(AHEAD_NS), earliest_ns: now_ns.saturating_sub(keep_ns) };
        Ok::<_, Error>(normalise(encoding.decode(&body, MAX_OBJECTS)?, &fleet, limits))
    };
    let export = if memory.lent() > INLINE_BYTES {
        let work = move || decode(&mut memory).map(|export| (export, memory));
        let decoded = tokio::task::spawn_blocking(work).await;
        let (export, _memory) = decoded.map_err(|_| Error::malformed("it made the decoder fail"))??;
        export
    } else {
        decode(&mut memory)?
    };
    app.counters.reject(&export.rejected);
    let mut rejected = export.rejected;
    if !export.reports.is_empty() {
        rejected.add(&app.ingest.store(export.reports).await?.rejected);
    }
    Ok(rejected)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Memory for bodies. All requests share it, so that many large ones at once are told to come again instead of ending the process.
struct Memory {
    app: Arc<App>,
    lent: Vec<OwnedSemaphorePermit>,
    left: usize,
}

impl Memory {
    fn lend(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.left {
            let units = (bytes - self.left).div_ceil(UNIT).max(16);
            let wanted = u32::try_from(units).map_err(|_| Error::Busy)?;
            let permit = Arc::clone(&self.app.body_memory).try_acquire_many_owned(wanted).map_err(|_| Error::Busy)?;
            match self.lent.first_mut() {
                Some(first) => first.merge(permit),
                None => self.lent.push(permit),
            }
            self.left += units * UNIT;
        }
        self.left -= bytes;
        Ok(())
    }

    fn lent(&self) -> usize {
        self.lent.iter().map(|permit| permit.num_permits() * UNIT).sum()
    }
}

async fn read(mut body: Body, memory: &mut Memory) -> Result<Bytes, Error> {
    let limit = memory.app.config.max_body_bytes;
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::malformed(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Error::TooLarge { what: "bytes in the body", limit: limit as u64 });
        }
        memory.lend(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Decompresses piece by piece, and stops at the limit: what a body claims of itself is not asked.
fn gunzip(body: &[u8], memory: &mut Memory) -> Result<Bytes, Error> {
    let limit = memory.app.config.max_decompressed_bytes;
    let mut decoder = flate2::read::MultiGzDecoder::new(body);
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let count = decoder.read(&mut piece).map_err(|error| Error::malformed(format!("gzip: {error}")))?;
        let Some(data) = piece.get(..count).filter(|data| !data.is_empty()) else { return Ok(bytes.into()) };
        if bytes.len() + count > limit {
            return Err(Error::TooLarge { what: "decompressed bytes in the body", limit: limit as u64 });
        }
        memory.lend(count)?;
        bytes.extend_from_slice(data);
    }
}
