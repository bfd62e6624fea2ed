//! Health, metrics, rules.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use crate::rules::{Check, Rule};

/// The process serves.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// The gate may be believed.
pub(super) async fn readyz(State(api): State<Arc<Api>>) -> (StatusCode, Json<Value>) {
    let waiting = api.ready.waiting();
    let status = if waiting.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": waiting.is_empty(), "waiting": waiting})))
}

/// Text exposition for Prometheus.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, ApiError> {
    api.metrics.sessions_halted.set(i64::try_from(api.halts.halted()).unwrap_or(i64::MAX));
    api.metrics.ready.set(i64::from(api.ready.waiting().is_empty()));
    let text = api.metrics.render();
    let failed =
        |error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", format!("cannot be rendered: {error}"));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.map_err(failed)?))
}

/// The rules in force.
pub(super) async fn rules(State(api): State<Arc<Api>>) -> Json<Value> {
    let program = api.program.borrow().clone();
    let rules: Vec<Value> = program.rules().rules.iter().map(describe).collect();
    Json(json!({"hash": &*program.rules().hash, "rules": rules}))
}

fn describe(rule: &Rule) -> Value {
    let kind = match rule.check {
        Check::Match(_) => "match",
        Check::Scope(_) => "scope",
        Check::Rate(_) => "rate",
    };
    json!({
        "id": &*rule.id, "version": &*rule.version, "title": &*rule.title, "description": rule.description,
        "severity": rule.severity, "action": rule.action, "mode": rule.mode, "tags": &*rule.tags, "kind": kind,
    })
}
