//! The page and its parts, which are in the program. Nothing of it comes from anywhere else, and it may ask nobody else.

use crate::Error;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Response};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Name, type and bytes of each file.
macro_rules! files {
    ($($name:literal: $type:literal,)*) => {
        fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
            match name {
                $($name => Some(($type, include_bytes!(concat!("../../assets/", $name)))),)*
                _ => None,
            }
        }
    };
}

files! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "format.js": "text/javascript; charset=utf-8",
    "views.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

pub async fn page() -> Result<Response<Body>, Error> {
    answer("index.html")
}

pub async fn asset(Path(name): Path<String>) -> Result<Response<Body>, Error> {
    answer(&name)
}

pub async fn openapi() -> Response<Body> {
    let mut response = Response::new(Body::from(include_str!("../../openapi.json")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn answer(name: &str) -> Result<Response<Body>, Error> {
    let (kind, bytes) = file(name).ok_or_else(|| Error::NotFound { what: format!("asset `{name}`") })?;
    let mut response = Response::new(Body::from(bytes));
    for (header, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ] {
        response.headers_mut().insert(header, HeaderValue::from_static(value));
    }
    Ok(response)
}
