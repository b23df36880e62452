//! Answers: JSON, and errors in JSON.

use crate::Error;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use serde::Serialize;

/// A document.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(serde_json::to_vec(&self.0).unwrap_or_default()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// What an error looks like.
#[derive(Serialize)]
struct Problem<'a> {
    code: &'a str,
    message: String,
    hint: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response<Body> {
        let mut response =
            Json(Problem { code: self.code(), message: self.to_string(), hint: self.hint() }).into_response();
        mark(&mut response, &self);
        response
    }
}

/// Sets the status and what goes with it.
pub fn mark(response: &mut Response<Body>, error: &Error) {
    *response.status_mut() = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.status() == 401 {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pannier-monitor\""));
    }
}

/// For every path that is none.
pub async fn nothing_here(uri: Uri) -> Error {
    Error::NotFound { what: format!("`{}`", uri.path()) }
}

/// For methods that a path does not take.
pub async fn wrong_method(method: axum::http::Method) -> Error {
    Error::Method { method: method.to_string() }
}
