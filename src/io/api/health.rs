//! `GET /healthz`, `/readyz` and `/metrics`: for whoever keeps the process running and watches it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;

/// Prometheus' text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Fine as long as it answers at all.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// Whether the gate may be asked, and what it still waits for.
pub(super) async fn readyz(State(api): State<Arc<Api>>) -> Response {
    let waiting = api.ready.waiting();
    let status = if waiting.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": waiting.is_empty(), "waiting": waiting}))).into_response()
}

pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let metrics = &api.metrics;
    metrics.sessions_halted.set(i64::try_from(api.halts.halted()).unwrap_or(i64::MAX));
    metrics.ready.set(i64::from(api.ready.waiting().is_empty()));
    let text = metrics.render().map_err(|error| {
        let message = format!("expected metrics that can be written down: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", message)
    })?;
    Ok(([(header::CONTENT_TYPE, EXPOSITION)], text).into_response())
}
