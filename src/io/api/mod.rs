//! The control API and the console.
//!
//! | route | file |
//! |---|---|
//! | `POST /v1/events` | `events` |
//! | `POST /v1/gate` | `gate` |
//! | `GET /v1/sessions`, `/v1/sessions/{id}` | `sessions` |
//! | `POST /v1/sessions/{id}/halt`, `/resume` | `orders` |
//! | `GET /v1/halts`, `/v1/findings`, `/v1/rules` | `lists` |
//! | `GET /healthz`, `/readyz`, `/metrics` | `health` |
//! | `GET /` | `console` |
//!
//! Answers are JSON; errors are `{"error":{"code","message"}}`, and the message says what was expected.
//! Nothing that names a state of a session is answered before the halts are known: not knowing is 503,
//! never "running" or "allow". There are no tokens and no TLS yet, so it listens on loopback only, and
//! `guard` keeps pages of other sites out.

mod answer;
mod console;
mod error;
mod events;
mod gate;
mod guard;
mod health;
mod listen;
mod lists;
mod orders;
mod request;
mod sessions;

#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tokio::sync::watch;

use self::error::ApiError;
use self::guard::Guard;
use super::fleet::Fleet;
use super::halts::HaltView;
use super::ingest::Ingest;
use super::metrics::Metrics;
use super::orders::Orders;
use super::ready::Readiness;
use super::recent::Recent;
use crate::engine::Program;
use crate::limits::HTTP_BODY_BYTES_MAX;

pub use listen::{BindError, HttpSettings, bind, serve};

/// How long the workers may take for what they know of sessions. They answer between two batches; where
/// none runs yet, they do not answer at all.
const WORKERS_WAIT: Duration = Duration::from_secs(1);

/// What the API answers from.
pub struct Api {
    /// Who is halted.
    pub halts: Arc<HaltView>,
    /// The workers, which know what sessions do.
    pub fleet: Fleet,
    /// Where operators' orders go.
    pub orders: Orders,
    /// Everyone's metrics.
    pub metrics: Arc<Metrics>,
    /// The latest findings.
    pub recent: Arc<Recent>,
    /// Where posted events go.
    pub ingest: Ingest,
    /// What is still missing before the gate may be believed.
    pub ready: Arc<Readiness>,
    /// The rules in force.
    pub program: watch::Receiver<Arc<Program>>,
}

/// All routes, with all that every request passes.
pub fn router(api: Arc<Api>) -> Router {
    let guard = Arc::new(Guard::new(api.metrics.clone()));
    let changes = Router::new()
        .route("/v1/events", post(events::post))
        .route("/v1/gate", post(gate::ask))
        .route("/v1/sessions/{session}/halt", post(orders::halt))
        .route("/v1/sessions/{session}/resume", post(orders::resume))
        .route_layer(from_fn(guard::json_only));
    Router::new()
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{session}", get(sessions::one))
        .route("/v1/halts", get(lists::halts))
        .route("/v1/findings", get(lists::findings))
        .route("/v1/rules", get(lists::rules))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/", get(console::page))
        .route("/assets/app.js", get(console::script))
        .route("/assets/app.css", get(console::style))
        .merge(changes)
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .layer(from_fn_with_state(api.clone(), error::masked))
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(api)
}

async fn unknown_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_route", "expected a route of this API, such as /v1/sessions")
}

async fn wrong_method(request: Request) -> ApiError {
    let message = format!("expected a method of the `allow` header, got {}", request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
}

/// An answer of the workers, or what to say when there is none in time.
async fn ask_workers<T>(question: impl Future<Output = T>) -> Result<T, ApiError> {
    let answer = tokio::time::timeout(WORKERS_WAIT, question).await;
    answer.map_err(|_| ApiError::unavailable("workers_busy", "expected an answer of the workers within 1 s"))
}
