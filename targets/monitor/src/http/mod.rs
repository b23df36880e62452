//! The server: connections, routes, who may do what.

mod answer;
mod api;
mod assets;
mod auth;
mod health;
mod receive;
mod serve;

pub use serve::serve;

use crate::app::App;
use axum::Router;
use axum::routing::{delete, get, post};
use std::sync::Arc;

/// Every route there is. `openapi.json` describes those under `/api/v1`.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/metrics", post(receive::metrics).options(receive::preflight))
        .route("/api/v1/overview", get(api::overview))
        .route("/api/v1/timeline", get(api::timeline))
        .route("/api/v1/distributions", get(api::distributions))
        .route("/api/v1/devices", get(api::devices))
        .route("/api/v1/devices/{fleet}/{device}", delete(api::delete_device))
        .route("/api/v1/devices/{fleet}/{device}/history", get(api::history))
        .route("/api/v1/alerts", get(api::alerts))
        .route("/api/v1/alerts/{id}/acknowledge", post(api::acknowledge))
        .route("/api/v1/rules", get(api::rules))
        .route("/api/v1/rules/reload", post(api::reload_rules))
        .route("/api/v1/audit", get(api::audit))
        .route("/api/v1/status", get(api::status))
        .route("/api/openapi.json", get(assets::openapi))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .route("/", get(assets::page))
        .route("/assets/{name}", get(assets::asset))
        .fallback(answer::nothing_here)
        .method_not_allowed_fallback(answer::wrong_method)
        .with_state(app)
}
